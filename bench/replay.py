"""History through the stream: a log on SQLite is read from its beginning, and a query over a text and a number answers it.

Events of about 330 bytes in batches of 500, as they come over HTTP, or of 5,000; ten second windows for each of 50 sources.
Beside it the same log only read, and read and decoded into what the query wants. Events for each second of one core: all
threads of the process count.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.append import event_row
from weft.core.batch import Batch, LogBatch
from weft.core.clock import SystemClock
from weft.core.ids import new_ids
from weft.core.times import MINUTE_US
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.engine.plan import plan
from weft.stream.fields import extract
from weft.stream.lineup import Asked, Lineup
from weft.stream.query import read_query
from weft.stream.runs import joined, runs

ROUNDS: Final = 3
EVENTS: Final = 500_000
SPAN_US: Final = 10 * MINUTE_US
BATCHES: Final = (500, 5_000)
AT_ONCE_BYTES: Final = 4 << 20
"""So much a share takes in at once."""
TARGET: Final = 1_000_000.0
QUERY: Final = read_query(
    {
        "name": "pages",
        "from": "events",
        "key": ["source"],
        "window": "10s",
        "select": {"n": "count", "mean": "avg(data.x)", "right": "max(data.x)"},
        "start": "earliest",
    }
)
Work = Callable[[Sequence[LogBatch]], int]


async def run() -> dict[str, Any]:
    """Medians of interleaved rounds."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        for size in BATCHES:
            await _fill(Path(folder) / str(size), size)
        for _ in range(ROUNDS):
            for size in BATCHES:
                for name, work in {"only read": _only_read, "decoded": _decoded, "answered": _answering()}.items():
                    per_s = await _replay(Path(folder) / str(size), work)
                    found.setdefault(f"{name}, {size:,} a batch", []).append(per_s)
    per_s = {name: statistics.median(rounds) for name, rounds in found.items()}
    return {
        "rounds": ROUNDS,
        "rows": {name: {"events_per_core_s": figure} for name, figure in per_s.items()},
        "ratios": {
            f"replay through a query, {size:,} a batch, events/s a core": {
                "is": per_s[f"answered, {size:,} a batch"],
                "target": TARGET,
            }
            for size in BATCHES
        },
    }


def _log(folder: Path) -> SqliteLog:
    return SqliteLog(f"sqlite://{folder.absolute()}/log", settings=LogSettings(), clock=SystemClock())


async def _fill(folder: Path, size: int) -> None:
    chance, now_us = random.Random(1), SystemClock().now_us()
    rows = [event_row(number, chance) for number in range(size)]
    times_us = now_us - SPAN_US + np.arange(EVENTS, dtype=np.int64) * SPAN_US // EVENTS
    async with _log(folder) as log:
        for first in range(0, EVENTS, size):
            times = times_us[first : first + size]
            ids = new_ids(size, now_us)
            await log.append(Batch(topic="events", rows=b",".join(rows), ids=ids, times_us=times, received_at_us=now_us))


async def _replay(folder: Path, work: Work) -> float:
    """Events per second of processor time. What was read is handed over in portions, like a share does it."""
    count = 0
    async with _log(folder) as log, aclosing(log.follow("bench", ["events"])) as batches:
        began_s = time.process_time()
        ready: list[LogBatch] = []
        async for batch in batches:
            ready.append(batch)
            is_last = batch.next_offset == EVENTS
            if is_last or sum(one.size_bytes for one in ready) >= AT_ONCE_BYTES:
                count += work(ready)
                ready = []
            if is_last:
                break
        took_s = time.process_time() - began_s
    assert count == EVENTS, "events are missing"
    return count / took_s


def _only_read(batches: Sequence[LogBatch]) -> int:
    return sum(batch.count for batch in batches)


def _decoded(batches: Sequence[LogBatch]) -> int:
    fields = plan(QUERY, 1).fields
    return sum(next(iter(extract(joined(one), fields).values())).count for one in runs(batches))


def _answering() -> Work:
    lineup = Lineup("events", bound_us=0, limit_bytes=1 << 28)
    lineup.align([Asked(QUERY, 1)], starts={0: 0}, ends={0: 0}, largest_us=None)

    def answer(batches: Sequence[LogBatch]) -> int:
        for one in runs(batches):
            lineup.take(joined(one))
        return sum(batch.count for batch in batches)

    return answer
