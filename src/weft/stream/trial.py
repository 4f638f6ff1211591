"""Trial: a query answered over events that are handed in, or over history, and nothing is kept."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from weft.core import times
from weft.core.batch import LogBatch
from weft.core.event import Event, EventRow
from weft.core.times import DAY_US
from weft.core.watermark import max_time_us
from weft.stream.engine.engine import Engine
from weft.stream.engine.taken import Late, Result
from weft.stream.query import Query

_AFTER_ALL_US: Final = 400 * DAY_US
"""So far beyond the last event every window is over."""


def check(query: Query) -> Query:
    """The query itself, if the engine can answer it. Raises Invalid that names the field which is wrong, and Unsupported."""
    Engine(default_bound_us=0).add(query, 1)
    return query


class Trial:
    """One query over batches, each partition in its order."""

    def __init__(self, query: Query, *, bound_us: int, limit_bytes: int) -> None:
        self.events = 0
        self.results = 0
        self._query = msgspec.structs.replace(query, start="earliest")
        self._engine = Engine(default_bound_us=bound_us, limit_bytes=limit_bytes)
        self._engine.add(self._query, 1)
        self._behind_us = bound_us + (query.lateness_us if query.emit == "final" else 0)
        self._open: frozenset[int] = frozenset()
        self._newest_us: dict[int, int] = {}
        self._next_offsets: dict[int, int] = {}

    def hold_open(self, partitions: Iterable[int]) -> None:
        """Say at first which partitions there will be: a window is over when it is over in all of them."""
        self._open = frozenset(partitions)
        self._engine.partitions(self._query.topic, self._open)

    @property
    def over_until_us(self) -> int | None:
        """Windows that end by then are over and have had their answers; None before every partition has had an event."""
        if not self._newest_us or self._open - self._newest_us.keys():
            return None
        return min(self._newest_us.values()) - self._behind_us

    def take(self, batch: LogBatch) -> tuple[Sequence[Result], Sequence[Late]]:
        """Take in a batch; returns what is answered now, and what came too late."""
        taken = self._engine.take(batch)
        self.events += batch.count
        newest_us = max_time_us(batch.times_us, batch.received_at_us)
        if batch.tick_us is not None:
            newest_us = batch.tick_us
        if newest_us is not None:
            self._newest_us[batch.partition] = max(self._newest_us.get(batch.partition, newest_us), newest_us)
        self._next_offsets[batch.partition] = batch.next_offset
        results = list(taken.results)
        self.results += len(results)
        return results, taken.late

    def advance(self, time_us: int) -> Iterator[Result]:
        """Let event time come to at least this far in every partition, as ticks do; returns what is answered then."""
        for partition, offset in sorted(self._next_offsets.items()):
            results, _ = self.take(_tick(self._query.topic, partition, offset, self._newest_us.get(partition), time_us))
            yield from results

    def finish(self) -> Iterator[Result]:
        """Let time go on behind the last event until every window is over; returns what is answered then."""
        return self.advance(max(self._newest_us.values(), default=0) + _AFTER_ALL_US)


def _tick(topic: str, partition: int, offset: int, newest_us: int | None, tick_us: int) -> LogBatch:
    nothing = np.empty(0, dtype=np.int64)
    return LogBatch(
        topic=topic,
        partition=partition,
        first_offset=offset,
        rows=b"",
        ids=(),
        times_us=nothing,
        received_at_us=nothing,
        max_time_before_us=newest_us,
        tick_us=tick_us,
    )


def batch_of_rows(rows: Sequence[EventRow], *, topic: str, now_us: int) -> LogBatch:
    """Rows as a client would send them, in this order. One without a time happened now. Raises Invalid."""
    times_us = [_time_of(row, index, now_us) for index, row in enumerate(rows)]
    return LogBatch(
        topic=topic,
        partition=0,
        first_offset=0,
        rows=b",".join(msgspec.json.encode(row) for row in rows),
        ids=[row.id or str(index) for index, row in enumerate(rows)],
        times_us=np.array(times_us, dtype=np.int64),
        received_at_us=np.array(times_us, dtype=np.int64),
        max_time_before_us=None,
    )


def _time_of(row: EventRow, index: int, now_us: int) -> int:
    text = row.time or row.timestamp
    return now_us if text is None else times.parse(text, field=f"events.{index}.time")


def batch_of(events: Sequence[Event], *, topic: str, partition: int, first_offset: int, newest_us: int | None) -> LogBatch:
    """Events as a batch of the log: those of consecutive offsets, the largest event time before them beside."""
    return LogBatch(
        topic=topic,
        partition=partition,
        first_offset=first_offset,
        rows=b",".join(msgspec.json.encode(row_of(event)) for event in events),
        ids=[event.id for event in events],
        times_us=np.array([event.time_us for event in events], dtype=np.int64),
        received_at_us=np.array([event.received_at_us for event in events], dtype=np.int64),
        max_time_before_us=newest_us,
    )


def row_of(event: Event) -> EventRow:
    """An event as it is written."""
    return EventRow(
        type=event.type,
        source=event.source,
        subject=event.subject,
        severity=event.severity,  # pyright: ignore[reportArgumentType] - it was checked when it came in
        user_id=event.user_id,
        session_id=event.session_id,
        correlation_id=event.correlation_id,
        tags=event.tags,
        data=msgspec.Raw(msgspec.json.encode(event.data)),
        metadata=msgspec.Raw(msgspec.json.encode(event.metadata)),
    )
