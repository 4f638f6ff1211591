"""An engine fed with few events whose times are microseconds, for tests of windows and aggregates."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weft.core.batch import LogBatch
from weft.core.times import SECOND_US
from weft.core.watermark import max_time_us
from weft.stream.engine.engine import Engine
from weft.stream.engine.taken import Result, Taken
from weft.stream.query import read_query

Event = tuple[int, dict[str, Any]]


def event(time_s: float, source: str = "a", **data: Any) -> Event:
    """An event of a source at a second after 1970; members of data by name."""
    return event_us(round(time_s * SECOND_US), source, **data)


def event_us(time_us: int, source: str = "a", **data: Any) -> Event:
    """The same at a microsecond."""
    return time_us, {"type": "reading", "source": source, "data": data}


class EngineUnderTest:
    """An engine with queries over the topic `events`, and the log it reads."""

    def __init__(self, *queries: Mapping[str, Any], bound_us: int = 0, limit_bytes: int = 64 << 20) -> None:
        self._settings: dict[str, int] = {"default_bound_us": bound_us, "limit_bytes": limit_bytes}
        self.engine = Engine(**self._settings)
        self._offsets: dict[int, int] = {}
        self._newest: dict[int, int | None] = {}
        for number, query in enumerate(queries):
            self.add(query, name=f"q{number}")

    def add(self, query: Mapping[str, Any], *, name: str, version: int = 1) -> None:
        """One more query."""
        self.engine.add(read_query({"name": name, "from": "events", **query}), version)

    def batch(self, events: Sequence[Event], partition: int = 0, tick_us: int | None = None) -> LogBatch:
        """The next batch of a partition."""
        times = np.array([time_us for time_us, _ in events], dtype=np.int64)
        first = self._offsets.get(partition, 0)
        before = self._newest.get(partition)
        batch = LogBatch(
            topic="events",
            partition=partition,
            first_offset=first,
            rows=b",".join(json.dumps(row).encode() for _, row in events),
            ids=[f"{partition}-{first + at}" for at in range(len(events))],
            times_us=times,
            received_at_us=times.copy(),
            max_time_before_us=before,
            tick_us=tick_us,
        )
        newest = tick_us if tick_us is not None else max_time_us(times, times)
        self._newest[partition] = newest if before is None else max(before, newest or before)
        self._offsets[partition] = batch.next_offset
        return batch

    def take(self, events: Sequence[Event], partition: int = 0) -> Taken:
        """Take events in as one batch."""
        return self.engine.take(self.batch(events, partition))

    def tick(self, time_us: int, partition: int = 0) -> list[Result]:
        """Move time on; the results that come of it."""
        return list(self.engine.take(self.batch([], partition, time_us)).results)

    def restart(self) -> None:
        """Go on with a new engine from a snapshot."""
        snapshot = self.engine.snapshot()
        self.engine = Engine(**self._settings)
        self.engine.restore(snapshot)
