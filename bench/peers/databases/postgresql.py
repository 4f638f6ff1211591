"""PostgreSQL 15 with its defaults: the write-ahead log is flushed at each commit."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.databases.binaries import find_program

_USUAL = Path("/usr/lib/postgresql/15/bin")


def missing() -> str | None:
    """Why it cannot run here."""
    if _program("initdb") is None:
        return "postgresql-15 is not installed"
    return None if os.geteuid() or _has_user() else "PostgreSQL refuses to run as root and there is no user postgres"


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """A server with an empty database; its URL is in `folder / "url"`."""
    home = folder / "postgresql"
    home.mkdir()
    folder.chmod(0o755)
    if not os.geteuid():
        shutil.chown(home, "postgres", "postgres")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    _call("initdb", "-D", str(home / "data"), "-A", "trust", "-U", "app", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home}"
    _call("pg_ctl", "-D", str(home / "data"), "-o", options, "-l", str(home / "log"), "-w", "start")
    (folder / "url").write_text(f"postgresql+asyncpg://app@127.0.0.1:{port}/postgres")
    try:
        yield
    finally:
        _call("pg_ctl", "-D", str(home / "data"), "-m", "immediate", "-w", "stop")


def _program(name: str) -> str | None:
    usual = _USUAL / name
    return str(usual) if usual.exists() else find_program(name)


def _has_user() -> bool:
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return False
    return True


def _call(name: str, *arguments: str) -> None:
    command = [_program(name) or name, *arguments]
    if not os.geteuid():
        command = ["runuser", "-u", "postgres", "--", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
