"""History: what a topic held, read again as batches in about the order in which it arrived, from the log or from the store."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from weft.core.batch import LogBatch, split_rows
from weft.core.errors import Corrupt
from weft.core.event import Event
from weft.core.position import TopicPartition
from weft.core.watermark import BEGINNING, max_time_us
from weft.log.port import Log
from weft.store.port import EventStore
from weft.stream.trial import batch_of

Origin = Literal["store", "log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which part of history: event times in [start, end)."""

    start_us: int | None = None
    end_us: int | None = None

    def within(self, batch: LogBatch) -> LogBatch | None:
        """The batch without events outside; None where nothing is left. What is left counts as consecutive."""
        if batch.tick_us is not None:
            return batch if self.end_us is None or batch.tick_us < self.end_us else None
        keep = np.ones(batch.count, dtype=np.bool_)
        if self.start_us is not None:
            keep &= batch.times_us >= self.start_us
        if self.end_us is not None:
            keep &= batch.times_us < self.end_us
        if keep.all():
            return batch if batch.count else None
        index = np.flatnonzero(keep)
        if not len(index):
            return None
        rows = split_rows(batch.rows)
        return LogBatch(
            topic=batch.topic,
            partition=batch.partition,
            first_offset=batch.first_offset,
            rows=b",".join(bytes(rows[number]) for number in index.tolist()),
            ids=[batch.ids[number] for number in index.tolist()],
            times_us=batch.times_us[index],
            received_at_us=batch.received_at_us[index],
            max_time_before_us=batch.max_time_before_us,
        )


class History:
    """The past of a topic. `partitions` and `events` say how much there is before it is read."""

    def __init__(self, topic: str, origin: Origin, *, log: Log, store: EventStore) -> None:
        self.topic = topic
        self._origin = origin
        self._log = log
        self._store = store
        self.partitions: list[int] = []
        self.events = 0

    async def look(self) -> None:
        """Find out how much there is."""
        if self._origin == "log":
            parts = [part for part in (await self._log.state()).partitions if part.topic == self.topic]
            self.partitions = [part.partition for part in parts]
            self.events = sum(part.events_total - part.events_trimmed - part.events_erased for part in parts)
        else:
            counts = [count for count in (await self._store.state()).topics if count.topic == self.topic]
            self.partitions = [count.partition for count in counts]
            self.events = sum(count.stored_total - count.erased_total - count.retired_total for count in counts)

    async def batches(self, stretch: Stretch) -> AsyncGenerator[LogBatch, None]:
        """Every batch up to now, each partition in its order, and of several the one that arrived first."""
        read: Callable[[int], AsyncGenerator[LogBatch, None]] = self._of_log if self._origin == "log" else self._of_store
        async with AsyncExitStack() as stack:
            sources = [await stack.enter_async_context(aclosing(read(partition))) for partition in self.partitions]
            heads = {number: batch for number, source in enumerate(sources) if (batch := await anext(source, None)) is not None}
            while heads:
                first = min(heads, key=lambda number: _arrival(heads[number]))
                if (kept := stretch.within(heads[first])) is not None:
                    yield kept
                following = await anext(sources[first], None)
                if following is None:
                    del heads[first]
                else:
                    heads[first] = following

    async def _of_log(self, partition: int) -> AsyncGenerator[LogBatch, None]:
        at = TopicPartition(self.topic, partition)
        (part,) = [part for part in (await self._log.state()).partitions if (part.topic, part.partition) == at]
        offset = part.start_offset
        while offset < part.end_offset:
            try:
                batches = await self._log.read(at, offset)
            except Corrupt as damage:
                offset = max(int(damage.details["next_offset"]), offset + 1)
                continue
            for batch in batches:
                yield batch
            offset = batches[-1].next_offset if batches else part.end_offset

    async def _of_store(self, partition: int) -> AsyncGenerator[LogBatch, None]:
        newest_us: int | None = None
        async with aclosing(self._store.replay(TopicPartition(self.topic, partition))) as chunks:
            async for events in chunks:
                for run in _runs(events):
                    batch = batch_of(
                        run, topic=self.topic, partition=partition, first_offset=run[0].offset or 0, newest_us=newest_us
                    )
                    yield batch
                    counted_us = max_time_us(batch.times_us, batch.received_at_us)
                    newest_us = counted_us if newest_us is None else max(newest_us, counted_us or BEGINNING)


def _runs(events: Sequence[Event]) -> list[Sequence[Event]]:
    """Stretches of consecutive offsets."""
    offsets = np.array([event.offset or 0 for event in events], dtype=np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(offsets) != 1) + 1).tolist(), len(events)]
    return [events[first:after] for first, after in pairwise(cuts) if after > first]


def _arrival(batch: LogBatch) -> int:
    return int(batch.received_at_us[0]) if batch.count else batch.tick_us or 0
