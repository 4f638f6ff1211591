"""Pathway: tumbling windows of a minute, which let go of a window a second after its end."""

import json
import sys
import time

import pathway as pw
import pyarrow.parquet as pq


class Event(pw.Schema):
    time_us: int
    key: str
    value: float


class File(pw.io.python.ConnectorSubject):
    """The file as events."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def run(self) -> None:
        for batch in pq.ParquetFile(self._path).iter_batches(10_000):
            for row in batch.to_pylist():
                self.next(**row)
            self.commit()


totals = {"windows": 0, "events": 0, "total": 0.0}


def count(key: pw.Pointer, row: dict, time: int, is_addition: bool) -> None:
    """A result came, or went because a better one comes."""
    sign = 1 if is_addition else -1
    totals["windows"] += sign
    totals["events"] += sign * row["events"]
    totals["total"] += sign * row["total"]


def main(path: str) -> None:
    events = pw.io.python.read(File(path), schema=Event, autocommit_duration_ms=None)
    results = events.windowby(
        events.time_us,
        window=pw.temporal.tumbling(duration=60_000_000),
        instance=events.key,
        behavior=pw.temporal.common_behavior(cutoff=1_000_000, keep_results=True),
    ).reduce(
        events=pw.reducers.count(),
        total=pw.reducers.sum(pw.this.value),
        largest=pw.reducers.max(pw.this.value),
    )
    pw.io.subscribe(results, on_change=count)
    began_s = time.perf_counter()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    print(json.dumps({"seconds": time.perf_counter() - began_s, **totals}))


main(sys.argv[1])
