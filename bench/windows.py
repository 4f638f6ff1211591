"""The windows engine over columns that are decoded already, beside bare numpy and a plain Python loop over the same events.

Text keys in another Arrow array for every batch, 2 s of disorder, 10 s of events a round, a snapshot for each second of them.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weft.core.batch import LogBatch
from weft.core.times import SECOND_US
from weft.core.watermark import max_time_us
from weft.stream.column import Column, Field
from weft.stream.engine.engine import Engine
from weft.stream.query import read_query
from weft.stream.words import Words

ROUNDS: Final = 3
EVENTS: Final = 5_000_000
PER_BATCH: Final = 50_000
PER_S: Final = 500_000
DISORDER_US: Final = 2 * SECOND_US
START_US: Final = 1_780_000_000 * SECOND_US
SOURCE: Final = Field("source", "text", ("source",))
VALUE: Final = Field("data.value", "number", ("data", "value"))
SELECT: Final = {"n": "count", "total": "sum(value)", "mean": "avg(value)", "top": "max(value)"}
Floats = npt.NDArray[np.float64]


class Part(NamedTuple):
    """A batch, its columns, and its keys as dense numbers for those who need no words."""

    batch: LogBatch
    columns: dict[Field, Column]
    keys: npt.NDArray[np.int64]
    values: Floats


def parts(keys: int, events: int) -> Iterator[Part]:
    """Batches of events; the words of each are an Arrow array of its own, as decoding makes them."""
    chance = np.random.default_rng(1)
    words = [f"device-{number}" for number in range(keys)]
    newest: int | None = None
    ids = ["-"] * PER_BATCH  # nobody asks for them
    for first in range(0, events, PER_BATCH):
        order = np.arange(first, first + PER_BATCH)
        times = START_US + order * SECOND_US // PER_S - chance.integers(0, DISORDER_US, PER_BATCH)
        numbers = chance.integers(0, keys, PER_BATCH)
        different, codes = np.unique(numbers, return_inverse=True)
        values = np.round(chance.normal(20, 5, PER_BATCH), 2)
        batch = LogBatch(
            topic="events",
            partition=0,
            first_offset=first,
            rows=b"",
            ids=ids,
            times_us=times,
            received_at_us=times + DISORDER_US,
            max_time_before_us=newest,
        )
        newest = max(max_time_us(times, times + DISORDER_US) or 0, newest or 0)
        fresh = Words(pa.array([words[number] for number in different.tolist()], pa.string()))
        columns = {SOURCE: Column("text", codes.astype(np.int32), words=fresh), VALUE: Column("number", values)}
        yield Part(batch, columns, numbers, values)


def engine(keys: int, *, window: object = "10s", queries: int = 1, events: int = EVENTS) -> float:
    """Events per second of processor time through the engine, snapshots included."""
    under_test = Engine(default_bound_us=DISORDER_US)
    for number in range(queries):
        query = {"name": f"q{number}", "from": "events", "key": ["source"], "window": window, "select": SELECT}
        under_test.add(read_query(query | ({"where": f"value > {number % 40}"} if queries > 1 else {})), 1)
    spent, answered = 0.0, 0
    for part in parts(keys, events):
        started = time.process_time()
        answered += len(under_test.take(part.batch, part.columns).results)
        if part.batch.next_offset % PER_S == 0:
            under_test.snapshot()
        spent += time.process_time() - started
    assert answered, "nothing was answered"
    return events / spent


def numpy_alone(keys: int, events: int = EVENTS) -> float:
    """The same sums by numpy for keys that are dense numbers: no texts, no late events, no exact sums, no snapshots."""
    counts, sums = np.zeros(keys * 64, dtype=np.int64), np.zeros(keys * 64)
    tops = np.full(keys * 64, -np.inf)
    spent = 0.0
    for part in parts(keys, events):
        started = time.process_time()
        cells = (part.batch.times_us // (10 * SECOND_US) % 64) * keys + part.keys
        np.add.at(counts, cells, 1)
        np.add.at(sums, cells, part.values)
        np.maximum.at(tops, cells, part.values)
        spent += time.process_time() - started
    return events / spent


def python_alone(keys: int, events: int = 500_000) -> float:
    """A loop over a dict, as one would write it first; sums as they round."""
    cells: dict[tuple[int, str], list[float]] = {}
    spent = 0.0
    for part in parts(keys, events):
        words = part.columns[SOURCE].words or ()
        sources = [words[code] for code in part.columns[SOURCE].values.tolist()]
        rows = list(zip(part.batch.times_us.tolist(), sources, part.values.tolist(), strict=True))
        started = time.process_time()
        for time_us, source, value in rows:
            cell = cells.setdefault((time_us // (10 * SECOND_US), source), [0, 0.0, value])
            cell[0] += 1
            cell[1] += value
            cell[2] = max(cell[2], value)
        spent += time.process_time() - started
    return events / spent


def run() -> dict[str, Any]:
    """Medians of interleaved rounds, in events for each second of one core."""
    sliding = {"sliding": "60s", "slide": "10s"}
    cases: dict[str, Callable[[], float]] = {
        "engine, 1,000 keys": lambda: engine(1_000),
        "engine, 100,000 keys": lambda: engine(100_000),
        "engine, 60 s by 10 s, 1,000 keys": lambda: engine(1_000, window=sliding),
        "engine, 60 s by 10 s, 100,000 keys": lambda: engine(100_000, window=sliding),
        "engine, 100 queries of 1 s in one pass, 1,000 keys": lambda: engine(
            1_000, window="1s", queries=100, events=EVENTS // 5
        ),
        "numpy, dense numbers, 1,000 keys": lambda: numpy_alone(1_000),
        "numpy, dense numbers, 100,000 keys": lambda: numpy_alone(100_000),
        "Python loop, 1,000 keys": lambda: python_alone(1_000),
        "Python loop, 100,000 keys": lambda: python_alone(100_000),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            found[name].append(case())
    per_s = {name: statistics.median(rounds) for name, rounds in found.items()}
    return {
        "rounds": ROUNDS,
        "rows": {name: {"events_per_core_s": figure} for name, figure in per_s.items()},
        "ratios": {
            "1,000 keys, M events/s": {"is": per_s["engine, 1,000 keys"] / 1e6, "target": 30.0},
            "100,000 keys, M events/s": {"is": per_s["engine, 100,000 keys"] / 1e6, "target": 8.0},
            "1,000 keys, of numpy alone": {
                "is": per_s["engine, 1,000 keys"] / per_s["numpy, dense numbers, 1,000 keys"],
                "target": 0.25,
            },
        },
    }
