"""Ends: which partitions this process appends to, and where they stand as far as it knows."""

import time
from dataclasses import dataclass
from typing import Final

from weft.core.position import TopicPartition
from weft.log.kafka.marks import Marks
from weft.log.kafka.message import largest
from weft.log.kafka.slot import Slot
from weft.log.kafka.topics import Topics

_LOOK_EVERY_S: Final = 1.0


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
    looked_s: float
    next_offset: int | None = None
    is_shared: bool = False


class Ends:
    """Kept by the sending thread. Who shares a partition with others looks at its end again now and then."""

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
        """Where a partition stands. Raises KafkaException where that cannot be asked."""
        known = self._known.get(at)
        now_s = time.monotonic()
        if known is None:
            known = self._known[at] = _Known(self._look(at), now_s)
        elif known.is_shared and now_s - known.looked_s >= _LOOK_EVERY_S:
            seen = self._look(at)
            known.end.take(seen.max_time_us)
            known.end.ticks = max(known.end.ticks, seen.ticks)
            known.looked_s, known.is_shared = now_s, False
        return known.end

    def note(self, at: TopicPartition, first_offset: int, last_offset: int, *, in_one_piece: bool = True) -> None:
        """Offsets this process got; a gap before or between them says that somebody else appends there too."""
        known = self._known.get(at)
        if known is not None:
            known.is_shared |= not in_one_piece or known.next_offset not in {None, first_offset}
            known.next_offset = last_offset + 1

    def forget(self, at: TopicPartition) -> None:
        """What was counted on did not happen."""
        self._known.pop(at, None)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()

    def _look(self, at: TopicPartition) -> End:
        """What the last message of a partition says of it."""
        start, end = self._marks.range(at)
        mark = self._marks.find([(at, end - 1)]).get((at, end - 1)) if end > start else self._marks.known(at, end - 1)
        return End(None, 0) if mark is None else End(mark.max_time_us, mark.ticks_after)
