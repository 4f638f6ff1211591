"""What machine a figure was measured on. A figure without it says nothing."""

import os
import platform
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile

import apsw

LIBRARIES = ("uvicorn", "fastapi", "msgspec", "apsw", "duckdb", "pyarrow", "zstandard")


def describe(folder: Path) -> dict[str, object]:
    """Processor, memory, kernel, versions, and how long this disk takes to flush 4 KiB (median, microseconds)."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite_embedded": apsw.sqlite_lib_version(),
        "sqlite_of_python": sqlite3.sqlite_version,
        "libraries": {name: version(name) for name in LIBRARIES},
        "flush_4k_us": _flush_us(folder),
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _flush_us(folder: Path, rounds: int = 200) -> float:
    block = os.urandom(4096)
    took: list[float] = []
    with NamedTemporaryFile(dir=folder) as file:
        for _ in range(rounds):
            file.write(block)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return round(sorted(took)[rounds // 2] * 1e6, 1)
