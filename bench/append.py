"""The log alone: appending through the port, and reading it back, beside plain SQLite and plain files on the same disk."""

import asyncio
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import zstandard

from weft.core.batch import Batch
from weft.core.clock import SystemClock
from weft.core.ids import new_ids
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog

ROUNDS: Final = 5
BATCH: Final = 500
CALLERS: Final = 8
BATCHES_EACH: Final = 60
SINGLE_CALLERS: Final = 64
SINGLES_EACH: Final = 200
Row = dict[str, float]


async def run() -> dict[str, Any]:
    """Medians of five interleaved rounds."""
    cases: dict[str, Callable[[Path], Awaitable[Row]]] = {
        "log, 500 a batch, 8 callers": _log_batches,
        "log, single events, 64 callers": _log_singles,
        "log, read back": _log_replay,
        "log, read back as columns": _log_columns,
        "SQLite FULL, a row an event, 500 a commit": _sqlite_batches,
        "SQLite FULL, a row an event, 64 a commit": _sqlite_singles,
        "file, rows + fdatasync, 500 a flush": _file_rows,
        "file, zstd + fdatasync, 500 a flush": _file_compressed,
    }
    found: dict[str, list[Row]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
                found[name].append(await case(Path(folder)))
    rows = {name: _medians(rounds) for name, rounds in found.items()}
    batches, singles = rows["log, 500 a batch, 8 callers"], rows["log, single events, 64 callers"]
    return {
        "rounds": ROUNDS,
        "rows": rows,
        "ratios": {
            "appending in batches to SQLite with a row an event": {
                "is": batches["events_per_s"] / rows["SQLite FULL, a row an event, 500 a commit"]["events_per_s"],
                "target": 2.0,
            },
            "appending in batches to a file with zstd": {
                "is": batches["events_per_s"] / rows["file, zstd + fdatasync, 500 a flush"]["events_per_s"],
                "target": 0.6,
            },
            "single events a second": {"is": singles["events_per_s"], "target": 60_000.0},
            "read back as columns, events a second": {
                "is": rows["log, read back as columns"]["events_per_s"],
                "target": 1_000_000.0,
            },
        },
    }


def event_row(number: int, chance: random.Random) -> bytes:
    """About 331 bytes of JSON like a click."""
    return msgspec.json.encode(
        {
            "type": "web.click",
            "source": f"web-{number % 50}",
            "user_id": f"user-{chance.randrange(10_000)}",
            "session_id": f"session-{chance.getrandbits(48):012x}",
            "correlation_id": f"request-{chance.getrandbits(64):016x}",
            "time": f"2026-01-31T12:{number % 60:02d}:{chance.randrange(60):02d}.{chance.randrange(10**6):06d}Z",
            "tags": ["web", "click"],
            "data": {"page": f"/page/{chance.randrange(500)}", "x": chance.randrange(2000), "y": chance.randrange(2000)},
            "metadata": {"agent": "Mozilla/5.0 (X11; Linux x86_64)", "region": "eu-central"},
        }
    )


def _rows(count: int = BATCH) -> list[bytes]:
    chance = random.Random(1)
    return [event_row(number, chance) for number in range(count)]


def _batch(rows: list[bytes], clock: SystemClock) -> Batch:
    now = clock.now_us()
    count = len(rows)
    times = np.arange(now, now + count, dtype=np.int64)
    return Batch(topic="events", rows=b",".join(rows), ids=new_ids(count, now), times_us=times, received_at_us=now)


def _log(folder: Path) -> SqliteLog:
    return SqliteLog(f"sqlite://{folder.absolute()}/log", settings=LogSettings(), clock=SystemClock())


async def _append(log: SqliteLog, rows: list[bytes], callers: int, times: int) -> Row:
    clock = SystemClock()
    latencies: list[float] = []

    async def call() -> None:
        for _ in range(times):
            batch = _batch(rows, clock)
            began = time.perf_counter()
            await log.append(batch)
            latencies.append(time.perf_counter() - began)

    began, thread_began = time.perf_counter(), time.thread_time()
    await asyncio.gather(*(call() for _ in range(callers)))
    took_s, loop_s = time.perf_counter() - began, time.thread_time() - thread_began
    events = callers * times * len(rows)
    latencies.sort()
    return {
        "events_per_s": events / took_s,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "loop_us_per_event": 1e6 * loop_s / events,
    }


async def _log_batches(folder: Path) -> Row:
    async with _log(folder) as log:
        row = await _append(log, _rows(), CALLERS, BATCHES_EACH)
    return {**row, "bytes_per_event": _size_bytes(folder) / (CALLERS * BATCHES_EACH * BATCH)}


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("log/partition-000/0*.db*"))


async def _log_singles(folder: Path) -> Row:
    async with _log(folder) as log:
        return await _append(log, _rows(1), SINGLE_CALLERS, SINGLES_EACH)


async def _log_replay(folder: Path) -> Row:
    return await _replay(folder, columns=False)


async def _log_columns(folder: Path) -> Row:
    return await _replay(folder, columns=True)


async def _replay(folder: Path, *, columns: bool) -> Row:
    async with _log(folder) as log:
        await _append(log, _rows(), CALLERS, BATCHES_EACH)
    total, count = CALLERS * BATCHES_EACH * BATCH, 0
    async with _log(folder) as log, aclosing(log.follow("bench", ["*"])) as batches:
        began, cpu_began = time.perf_counter(), time.process_time()
        async for batch in batches:
            count += batch.columns.num_rows if columns else batch.count
            if count >= total:
                break
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    return {"events_per_s": total / took_s, "cpu_us_per_event": 1e6 * cpu_s / total}


async def _sqlite_batches(folder: Path) -> Row:
    return await asyncio.to_thread(_sqlite, folder, BATCH, 100)


async def _sqlite_singles(folder: Path) -> Row:
    return await asyncio.to_thread(_sqlite, folder, SINGLE_CALLERS, 300)


def _sqlite(folder: Path, size: int, times: int) -> Row:
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE event (offset INTEGER PRIMARY KEY, id TEXT, time INTEGER, row BLOB)")
    rows, clock = _rows(size), SystemClock()
    latencies: list[float] = []
    began = time.perf_counter()
    for _ in range(times):
        started = time.perf_counter()
        now = clock.now_us()
        connection.execute("BEGIN")
        ids = new_ids(size, now)
        connection.executemany(
            "INSERT INTO event (id, time, row) VALUES (?, ?, ?)", [(ids[n], now + n, row) for n, row in enumerate(rows)]
        )
        connection.execute("COMMIT")
        latencies.append(time.perf_counter() - started)
    took_s = time.perf_counter() - began
    connection.close()
    return _figures(latencies, took_s, size * times, (folder / "plain.db").stat().st_size)


async def _file_rows(folder: Path) -> Row:
    return await asyncio.to_thread(_file, folder, None)


async def _file_compressed(folder: Path) -> Row:
    return await asyncio.to_thread(_file, folder, zstandard.ZstdCompressor(level=1))


def _file(folder: Path, compressor: zstandard.ZstdCompressor | None) -> Row:
    content, times = b",".join(_rows()), 200
    path = folder / "plain"
    latencies: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began = time.perf_counter()
    for _ in range(times):
        started = time.perf_counter()
        os.write(descriptor, content if compressor is None else compressor.compress(content))
        os.fdatasync(descriptor)
        latencies.append(time.perf_counter() - started)
    took_s = time.perf_counter() - began
    os.close(descriptor)
    return _figures(latencies, took_s, BATCH * times, path.stat().st_size)


def _figures(latencies: list[float], took_s: float, events: int, size_bytes: int) -> Row:
    latencies.sort()
    return {
        "events_per_s": events / took_s,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "bytes_per_event": size_bytes / events,
    }


def _medians(rounds: list[Row]) -> Row:
    return {column: statistics.median(row[column] for row in rounds) for column in rounds[0]}


if __name__ == "__main__":
    for name, row in asyncio.run(run())["rows"].items():
        print(f"{name:44}", "  ".join(f"{column} {value:,.2f}" for column, value in row.items()))
