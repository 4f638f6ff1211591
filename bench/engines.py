"""Windows beside other stream engines: count, sum and max for each key and minute, over the same ten million events.

The peers run as `bench/peers/streams` says, each in an environment of its own; one that was not installed is named. Each engine
reads the same Parquet file; Weft also takes columns that are decoded already, and batches of its own log.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.peers.streams import environments
from weft.core.batch import LogBatch
from weft.stream.column import Column, Field
from weft.stream.engine.engine import Engine
from weft.stream.engine.plan import plan
from weft.stream.engine.taken import Result
from weft.stream.query import read_query
from weft.stream.words import Words

EVENTS: Final = 10_000_000
LOG_EVENTS: Final = 1_000_000
KEYS: Final = {1_000: 30e6, 100_000: 8e6}
"""How many, and the events a second to reach from decoded columns."""
PEERS: Final = {"bytewax": 50.0, "pathway": 50.0, "spark": 5.0}
"""Programs, and how many times as fast to be."""
BATCH: Final = 50_000
ROUNDS: Final = 3
SNAPSHOT_S: Final = 1.0
LIMIT_S: Final = 240
SPAN_US: Final = 600_000_000
START_US: Final = 1_700_000_040_000_000
QUERY: Final = read_query(
    {
        "name": "minutes",
        "from": "events",
        "key": ["source"],
        "window": "1m",
        "select": {"events": "count", "total": "sum(data.value)", "largest": "max(data.value)"},
        "start": "earliest",
    }
)
Answer = dict[str, float]
Columns = Mapping[Field, Column]
Source = Callable[[], Iterator[tuple[LogBatch, Columns | None]]]


class Measured:
    """What was measured so far, in the form of a results page."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.ratios: dict[str, dict[str, float]] = {}
        self.left_out: dict[str, str] = {}

    def row(self, engine: str, keys: int, events: int, seconds: float, answer: Mapping[str, float]) -> float:
        """Note how fast an engine was, and what it answered, so that one can see that all answered the same."""
        told = {"windows": int(answer["windows"]), "events": int(answer["events"]), "total": round(answer["total"], 1)}
        self.rows[f"{engine}, {keys:,} keys"] = {"events/s": round(events / seconds), **told}
        return events / seconds


def run() -> dict[str, Any]:
    """Medians of three rounds of Weft, one run of each peer."""
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        for keys, goal in KEYS.items():
            path = Path(folder) / f"{keys}.parquet"
            write_events(path, EVENTS, keys)
            rates = _measure_weft(path, keys, measured)
            columns = f"{keys:,} keys: decoded columns, events/s"
            measured.ratios[columns] = {"is": rates["decoded columns"], "target": goal}
            for name, least in PEERS.items():
                rate = _measure_peer(name, path, keys, measured)
                if rate is not None:
                    measured.ratios[f"{keys:,} keys: weft / {name}, the same file"] = {
                        "is": rates["the file"] / rate,
                        "target": least,
                    }
    return {"rounds": ROUNDS, "rows": measured.rows, "ratios": measured.ratios, "left_out": measured.left_out}


def write_events(path: Path, count: int, keys: int) -> None:
    """Events in about the order of their times: up to 0.4 s away from it."""
    random = np.random.default_rng(7)
    times_us = START_US + np.sort(random.integers(0, SPAN_US, count)) + random.integers(-400_000, 400_000, count)
    names = pa.array([f"device-{number:06d}" for number in range(keys)])
    table = pa.table(
        {
            "time_us": pa.array(times_us, pa.int64()),
            "key": names.take(pa.array(random.integers(0, keys, count))),
            "value": pa.array(np.round(random.random(count) * 100, 3)),
        }
    )
    pq.write_table(table, path, row_group_size=500_000)


def _measure_weft(path: Path, keys: int, measured: Measured) -> dict[str, float]:
    decoded = [_decoded(batch) for batch in pq.ParquetFile(path).iter_batches(BATCH)]
    log_batches = list(_log_batches(path))
    sources: dict[str, tuple[int, Source]] = {
        "decoded columns": (EVENTS, lambda: _placed(iter(decoded))),
        "the file": (EVENTS, lambda: _placed(_decoded(batch) for batch in pq.ParquetFile(path).iter_batches(BATCH))),
        "batches of the log": (LOG_EVENTS, lambda: ((batch, None) for batch in log_batches)),
    }
    found: dict[str, list[tuple[float, Answer]]] = {name: [] for name in sources}
    for _ in range(ROUNDS):
        for name, (_, source) in sources.items():
            began_s = time.perf_counter()
            answer = _answer(source(), reads_results=name != "decoded columns")
            found[name].append((time.perf_counter() - began_s, answer))
    rates: dict[str, float] = {}
    for name, (events, _) in sources.items():
        seconds, answer = sorted(found[name], key=lambda one: one[0])[ROUNDS // 2]
        rates[name] = measured.row(f"weft, {name}", keys, events, seconds, answer)
    return rates


def _answer(source: Iterator[tuple[LogBatch, Columns | None]], *, reads_results: bool) -> Answer:
    """What comes out, with a snapshot every second as a running Weft takes them. Results are counted, or read one by one as
    they are in the peers."""
    engine = Engine(default_bound_us=1_000_000)
    engine.add(QUERY, 1, positions={})
    answer: Answer = {"windows": 0, "events": 0, "total": 0.0, "snapshots": 0}
    next_s, last = time.perf_counter() + SNAPSHOT_S, None
    for batch, columns in source:
        _add(answer, engine.take(batch, columns).results, reads_results=reads_results)
        last = batch
        if time.perf_counter() >= next_s:
            engine.snapshot()
            answer["snapshots"] += 1
            next_s = time.perf_counter() + SNAPSHOT_S
    if last is not None:
        _add(answer, engine.take(_tick_after(last)).results, reads_results=reads_results)
    return answer


def _add(answer: Answer, results: Sequence[Result], *, reads_results: bool) -> None:
    answer["windows"] += len(results)
    for result in results if reads_results else ():
        answer["events"] += result.events
        answer["total"] += result.values["total"]


def _decoded(batch: pa.RecordBatch) -> tuple[np.ndarray[Any, Any], pa.StringArray, np.ndarray[Any, Any]]:
    return batch.column("time_us").to_numpy(), batch.column("key"), batch.column("value").to_numpy()


def _placed(decoded: Iterator[Any]) -> Iterator[tuple[LogBatch, Columns]]:
    """Batches with columns beside them; of texts of keys the different ones are found here, batch by batch."""
    key, value = _fields()
    offset, newest_us = 0, None
    for times_us, names, values in decoded:
        encoded = names.dictionary_encode()
        codes = encoded.indices.to_numpy()
        columns = {
            key: Column("text", codes, words=Words(encoded.dictionary)),
            value: Column("number", values),
        }
        yield _batch(times_us, offset, newest_us), columns
        offset += len(times_us)
        newest_us = max(int(times_us.max()), newest_us or 0)


def _fields() -> tuple[Field, Field]:
    fields = {field.name: field for field in plan(QUERY, 1).fields}
    return fields["source"], fields["data.value"]


def _batch(times_us: Any, offset: int, newest_us: int | None, rows: bytes = b"") -> LogBatch:
    return LogBatch(
        topic="events",
        partition=0,
        first_offset=offset,
        rows=rows,
        ids=range(len(times_us)),  # nobody asks for them
        times_us=times_us,
        received_at_us=times_us,
        max_time_before_us=newest_us,
    )


def _log_batches(path: Path) -> Iterator[LogBatch]:
    """The first events as they would stand in the log."""
    offset, newest_us = 0, None
    for batch in pq.ParquetFile(path).iter_batches(BATCH):
        if offset >= LOG_EVENTS:
            return
        times_us, names, values = _decoded(batch)
        rows = b",".join(
            msgspec.json.encode({"type": "reading", "source": name, "data": {"value": value}})
            for name, value in zip(names.to_pylist(), values.tolist(), strict=True)
        )
        yield _batch(times_us, offset, newest_us, rows)
        offset += len(times_us)
        newest_us = max(int(times_us.max()), newest_us or 0)


def _tick_after(last: LogBatch) -> LogBatch:
    nothing = np.empty(0, dtype=np.int64)
    return LogBatch(
        topic=last.topic,
        partition=0,
        first_offset=last.next_offset,
        rows=b"",
        ids=(),
        times_us=nothing,
        received_at_us=nothing,
        max_time_before_us=int(last.times_us.max()),
        tick_us=START_US + 2 * SPAN_US,
    )


def _measure_peer(name: str, path: Path, keys: int, measured: Measured) -> float | None:
    python, case = environments.find_python(name), f"{name}, {keys:,} keys"
    if python is None:
        measured.left_out[case] = f"not installed; python -m bench.peers.streams.environments {name}"
        return None
    program = environments.HERE / f"{name}_windows.py"
    try:
        done = subprocess.run([python, program, path], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    except subprocess.TimeoutExpired:
        measured.left_out[case] = f"not done after {LIMIT_S} s, so less than {round(EVENTS / LIMIT_S):,} events/s"
        return None
    except subprocess.CalledProcessError as failed:
        measured.left_out[case] = failed.stderr.strip().splitlines()[-1][:200]
        return None
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return measured.row(name, keys, EVENTS, answer["seconds"], answer)
