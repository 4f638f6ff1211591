"""Which events were set aside as dead letters, so that nobody calls them missing. Reads each dead letter of the log once."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import msgspec

from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.log.dead_letter import SUFFIX
from weft.log.port import Log, LogState


class _Letter(msgspec.Struct):
    """What of a dead letter's `data` says which events it stands for."""

    topic: str
    partition: int
    offset: int
    events: int


_decode: Final = msgspec.json.Decoder(_Letter).decode


@dataclass(slots=True)
class Dead:
    """Dead-lettered events: how many by topic, where, and which topics had dead letters that the log no longer keeps."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    forgotten: set[str] = field(default_factory=set[str])
    _ranges: dict[TopicPartition, list[tuple[int, int]]] = field(default_factory=dict[TopicPartition, list[tuple[int, int]]])

    def add(self, place: TopicPartition, offset: int, count: int) -> None:
        """Note `count` events from `offset` on, once: the same events may be set aside again after a crash."""
        ranges = self._ranges.setdefault(place, [])
        known = bisect_right(ranges, (offset, 0))
        if known < len(ranges) and ranges[known][0] == offset:
            return
        ranges.insert(known, (offset, offset + count))
        self.counts[place.topic] = self.counts.get(place.topic, 0) + count

    def has(self, place: TopicPartition, offset: int) -> bool:
        """Whether the event at this place was set aside."""
        ranges = self._ranges.get(place, [])
        before = bisect_right(ranges, (offset, 2**63)) - 1
        return before >= 0 and ranges[before][0] <= offset < ranges[before][1]


class DeadIndex:
    """Keeps `Dead` up to date, reading only dead letters it has not seen."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._dead = Dead()
        self._next: dict[TopicPartition, int] = {}

    async def look(self, state: LogState) -> Dead:
        """All dead letters up to the ends in `state`."""
        for partition in state.partitions:
            if not partition.topic.endswith(SUFFIX):
                continue
            if partition.events_trimmed or partition.events_erased:
                self._dead.forgotten.add(partition.topic.removesuffix(SUFFIX))
            place = TopicPartition(partition.topic, partition.partition)
            await self._read(place, max(self._next.get(place, 0), partition.start_offset), partition.end_offset)
        return self._dead

    async def _read(self, place: TopicPartition, offset: int, end: int) -> None:
        while offset < end:
            try:
                batches = await self._log.read(place, offset)
            except Corrupt as damage:
                next_offset = damage.details.get("next_offset")
                offset = max(next_offset if isinstance(next_offset, int) else 0, offset + 1)
                self._dead.forgotten.add(place.topic.removesuffix(SUFFIX))
                continue
            if not batches:
                break
            for batch in batches:
                for row in batch.event_rows:
                    letter = _decode(row.data)
                    self._dead.add(TopicPartition(letter.topic, letter.partition), letter.offset, letter.events)
            offset = batches[-1].next_offset
        self._next[place] = offset
