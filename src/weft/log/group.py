"""Group: what one flush makes durable. Appends of one topic that are small are stored as one batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import zstandard

from weft.core.batch import Batch, LogBatch, UInt64s
from weft.core.ids import IdRange
from weft.core.repeat import NO_KEY
from weft.core.watermark import max_time_us
from weft.log.frame import FLAG_TICK, Content, Frame, Header, checksum, pack, spread
from weft.log.topic_end import TopicEnd

_NO_TIMES: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Stored:
    """One batch as it goes to disk and as readers of this process see it. `keys` are the repeat keys, if any."""

    topic: str
    frame: Frame
    batch: LogBatch
    keys: UInt64s | None


@dataclass(slots=True)
class _Pile:
    """Batches of one topic that will be one frame. Only the end's next offset is up to date before it is finished."""

    end: TopicEnd
    batches: list[Batch] = field(default_factory=list[Batch])
    size_bytes: int = 0


class Group:
    """Gives offsets to batches in order of arrival and makes frames of them."""

    def __init__(
        self, partition: int, end_of: Callable[[str], TopicEnd], compressor: zstandard.ZstdCompressor, merge_bytes: int
    ) -> None:
        self.partition = partition
        self.stored: list[Stored] = []
        self._end_of = end_of
        self._compressor = compressor
        self._merge_bytes = merge_bytes
        self._piles: dict[str, _Pile] = {}

    def add(self, batch: Batch) -> int:
        """Take events in; returns the first one's offset."""
        topic, size = batch.topic, len(batch.rows)
        pile = self._piles.get(topic)
        if pile is not None and pile.size_bytes + size > self._merge_bytes:
            self._finish(topic)
            pile = None
        if pile is None:
            pile = self._piles[topic] = _Pile(self._end_of(topic))
        pile.batches.append(batch)
        pile.size_bytes += size
        first_offset = pile.end.next_offset
        pile.end.next_offset += batch.count
        return first_offset

    def tick(self, topic: str, time_us: int) -> None:
        """Move a topic's time on."""
        self._finish(topic)
        end = self._end_of(topic)
        before = end.max_time_us
        after = time_us if before is None else max(before, time_us)
        received_us = end.appended_at_us or 0
        header = Header(
            end.next_offset, 0, FLAG_TICK, time_us, time_us, before, after, end.events_total, received_us, received_us
        )
        frame = Frame(header, checksum(topic, self.partition, header, None, b""), None, b"")
        batch = LogBatch(
            topic=topic,
            partition=self.partition,
            first_offset=end.next_offset,
            rows=b"",
            ids=(),
            times_us=_NO_TIMES,
            received_at_us=_NO_TIMES,
            max_time_before_us=before,
            tick_us=time_us,
        )
        end.next_offset += 1
        end.max_time_us = after
        self.stored.append(Stored(topic, frame, batch, None))

    def finish(self) -> list[Stored]:
        """Everything taken in, as frames."""
        for topic in list(self._piles):
            self._finish(topic)
        return self.stored

    def _finish(self, topic: str) -> None:
        pile = self._piles.pop(topic, None)
        if pile is None:
            return
        batches, end = pile.batches, pile.end
        rows = batches[0].rows if len(batches) == 1 else b",".join([batch.rows for batch in batches])
        times_us = batches[0].times_us if len(batches) == 1 else np.concatenate([batch.times_us for batch in batches])
        received = _received(batches)
        received_at_us = spread(received)
        keys = _keys(batches)
        packed_keys = None if keys is None else keys.tobytes()
        body = pack(Content(rows, [batch.ids for batch in batches], times_us, received), self._compressor)
        before = end.max_time_us
        newest = max_time_us(times_us, received_at_us)
        if newest is not None and (before is None or newest > before):
            end.max_time_us = newest
        header = Header(
            first_offset=end.next_offset - len(times_us),
            events=len(times_us),
            flags=0,
            min_time_us=int(times_us.min()),
            max_time_us=int(times_us.max()),
            max_time_before_us=before,
            max_time_after_us=end.max_time_us,
            events_before=end.events_total,
            received_first_us=min(run[0] for run in received),
            received_last_us=max(run[0] for run in received),
        )
        end.events_total += len(times_us)
        end.appended_at_us = header.received_last_us
        frame = Frame(header, checksum(topic, self.partition, header, packed_keys, body), packed_keys, body)
        batch = LogBatch(
            topic=topic,
            partition=self.partition,
            first_offset=header.first_offset,
            rows=rows,
            ids=_ids(batches),
            times_us=times_us,
            received_at_us=received_at_us,
            max_time_before_us=before,
        )
        self.stored.append(Stored(topic, frame, batch, keys))


def _received(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for batch in batches:
        if runs and runs[-1][0] == batch.received_at_us:
            runs[-1] = (batch.received_at_us, runs[-1][1] + batch.count)
        else:
            runs.append((batch.received_at_us, batch.count))
    return runs


def _keys(batches: Sequence[Batch]) -> UInt64s | None:
    if all(batch.repeat_keys is None for batch in batches):
        return None
    return np.concatenate(
        [np.full(batch.count, NO_KEY, dtype=np.uint64) if batch.repeat_keys is None else batch.repeat_keys for batch in batches]
    )


def _ids(batches: Sequence[Batch]) -> Sequence[str]:
    if len(batches) == 1:
        return batches[0].ids
    if all(isinstance(batch.ids, IdRange) and batch.count == 1 for batch in batches):
        return [batch.ids[0] for batch in batches]
    return [text for batch in batches for text in batch.ids]
