"""Bytewax: tumbling windows of a minute by event time, one worker."""

import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Event = tuple[str, tuple[datetime, float]]
Sums = tuple[int, float, float]


class FilePartition(StatefulSourcePartition):
    """The file as events, ten thousand at a time."""

    def __init__(self, path: str) -> None:
        self._batches = pq.ParquetFile(path).iter_batches(10_000)

    def next_batch(self) -> Iterable[Event]:
        batch = next(self._batches, None)
        if batch is None:
            raise StopIteration
        times, keys, values = (batch.column(name).to_pylist() for name in ("time_us", "key", "value"))
        return [(key, (EPOCH + timedelta(microseconds=at), value)) for at, key, value in zip(times, keys, values, strict=True)]

    def snapshot(self) -> None:
        return None


class File(FixedPartitionedSource):
    """One file, one partition."""

    def __init__(self, path: str) -> None:
        self._path = path

    def list_parts(self) -> list[str]:
        return ["file"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> FilePartition:
        return FilePartition(self._path)


class Totals(DynamicSink, StatelessSinkPartition):
    """Counts what comes out."""

    def __init__(self) -> None:
        self.windows, self.events, self.total = 0, 0, 0.0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "Totals":
        return self

    def write_batch(self, items: list[tuple[str, tuple[int, Sums]]]) -> None:
        for _, (_, (count, total, _)) in items:
            self.windows += 1
            self.events += count
            self.total += total


def add(sums: Sums, event: tuple[datetime, float]) -> Sums:
    """One more event in a window."""
    count, total, largest = sums
    value = event[1]
    return count + 1, total + value, max(largest, value)


def main(path: str) -> None:
    totals = Totals()
    flow = Dataflow("windows")
    events = op.input("file", flow, File(path))
    clock = windowing.EventClock(ts_getter=lambda event: event[0], wait_for_system_duration=timedelta(seconds=1))
    windower = windowing.TumblingWindower(length=timedelta(minutes=1), align_to=EPOCH)
    folded = windowing.fold_window(
        "fold",
        events,
        clock,
        windower,
        builder=lambda: (0, 0.0, float("-inf")),
        folder=add,
        merger=lambda one, other: (one[0] + other[0], one[1] + other[1], max(one[2], other[2])),
    )
    op.output("totals", folded.down, totals)
    began_s = time.perf_counter()
    run_main(flow)
    seconds = time.perf_counter() - began_s
    print(json.dumps({"seconds": seconds, "windows": totals.windows, "events": totals.events, "total": totals.total}))


main(sys.argv[1])
