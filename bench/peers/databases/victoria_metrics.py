"""VictoriaMetrics. It acknowledges before it flushes, and keeps numbers only."""

from pathlib import Path

from bench.peers.databases.binaries import find_program


def missing() -> str | None:
    """Why it cannot run here."""
    return None if find_program("victoria-metrics") else "victoria-metrics is not installed"


def command(port: int, folder: Path) -> list[str]:
    """How to start it."""
    program = find_program("victoria-metrics") or ""
    return [program, f"-storageDataPath={folder}/victoria", f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR"]
