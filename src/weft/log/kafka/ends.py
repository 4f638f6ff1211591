"""Ends: which partitions this process appends to, and where they stand as far as it knows."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from weft.core.position import TopicPartition
from weft.log.kafka.marks import Mark, Marks
from weft.log.kafka.message import largest
from weft.log.kafka.slot import Slot
from weft.log.kafka.topics import Topics

_LOOK_EVERY_S: Final = 1.0
_COUNTED: Final = 16
"""Of more foreign messages in a row only the last is read: its writer counted the ticks before it."""

Span = tuple[int, int]
"""Offsets from the first up to, and without, the second."""


@dataclass(slots=True)
class End:
    """The largest event time and the number of ticks up to the end of a partition."""

    max_time_us: int | None
    ticks: int

    def take(self, time_us: int | None) -> None:
        """Something of this time is appended."""
        self.max_time_us = largest(self.max_time_us, time_us)


@dataclass(slots=True)
class _Known:
    end: End
    next_offset: int
    foreign: deque[Span] = field(default_factory=deque[Span])  # filled by the listening thread
    looked_s: float = -math.inf


class Ends:
    """Kept by the sending thread. What others write into a partition is counted as soon as it shows, once a second at most."""

    def __init__(self, topics: Topics, marks: Marks, slot: Slot, chosen: int | None) -> None:
        self._topics = topics
        self._marks = marks
        self._slot = slot
        self._chosen = chosen
        self._known: dict[TopicPartition, _Known] = {}

    def place(self, topic: str) -> TopicPartition:
        """The partition of a topic this process appends to; the topic is made where it is not there."""
        count = self._topics.count_partitions(topic)
        return TopicPartition(topic, self._slot.partition(topic, count) if self._chosen is None else self._chosen % count)

    def get(self, at: TopicPartition) -> End:
        """Where a partition of this process stands. Raises KafkaException where that cannot be asked."""
        known = self._known.get(at)
        now_s = time.monotonic()
        if known is None:
            known = self._known[at] = self._look(at)
        elif known.foreign and now_s - known.looked_s >= _LOOK_EVERY_S:
            known.looked_s = now_s
            self._count(at, known)
        return known.end

    def reach(self, at: TopicPartition, next_offset: int, last: Mark) -> End:
        """Where any partition stands that was seen to end at an offset, after some mark."""
        known = self._known.get(at)
        if known is None:
            known = self._known[at] = _Known(End(last.max_time_us, last.ticks_after), next_offset)
        elif known.next_offset < next_offset:
            known.foreign.append((known.next_offset, next_offset))
            known.next_offset = next_offset
        self._count(at, known)
        return known.end

    def note(self, at: TopicPartition, first_offset: int, last_offset: int, *, foreign: Sequence[Span] = ()) -> None:
        """Offsets this process got. What lies before them or, as said, between them somebody else wrote."""
        known = self._known.get(at)
        if known is None:
            return
        if first_offset > known.next_offset:
            known.foreign.append((known.next_offset, first_offset))
        known.foreign.extend(foreign)
        known.next_offset = max(known.next_offset, last_offset + 1)

    def forget(self, at: TopicPartition) -> None:
        """What was counted on did not happen."""
        self._known.pop(at, None)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()

    def _count(self, at: TopicPartition, known: _Known) -> None:
        spans: list[Span] = []
        while known.foreign:
            spans.append(known.foreign.popleft())
        offsets = [offset for span in spans for offset in range(*span)] if _size(spans) <= _COUNTED else [spans[-1][1] - 1]
        marks = list(self._marks.find((at, offset) for offset in offsets).values())
        counted = known.end.ticks + sum(mark.ticks_after - mark.ticks_before for mark in marks)
        known.end.ticks = max([counted, *(mark.ticks_after for mark in marks)])
        for mark in marks:
            known.end.take(mark.max_time_us)

    def _look(self, at: TopicPartition) -> _Known:
        """What the last message of a partition says of it."""
        start, end = self._marks.range(at)
        mark = self._marks.find([(at, end - 1)]).get((at, end - 1)) if end > start else self._marks.known(at, end - 1)
        return _Known(End(None, 0) if mark is None else End(mark.max_time_us, mark.ticks_after), end)


def _size(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)
