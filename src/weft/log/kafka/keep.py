"""Keep: the state of the log, the positions of groups, and trimming. All of it asks the brokers; nothing is kept here."""

from collections.abc import Iterable, Mapping
from typing import Final

from weft.core.errors import Unavailable
from weft.core.position import Positions, TopicPartition
from weft.core.times import SECOND_US
from weft.log.kafka.admin import END, START, Admin, Offsets
from weft.log.kafka.client import KafkaError
from weft.log.kafka.client import TopicPartition as KafkaPartition
from weft.log.kafka.group_offsets import GroupOffsets
from weft.log.kafka.marks import Mark, Marks
from weft.log.kafka.settings import KafkaSettings
from weft.log.kafka.topics import Topics, retention_s
from weft.log.port import PartitionState

Range = tuple[int, int]
GroupPositions = Mapping[str, Mapping[TopicPartition, int]]

_NO_SUCH_TOPIC: Final = KafkaError.UNKNOWN_TOPIC_OR_PART


class Keeper:
    """Asks and keeps house. Blocks: for one thread, not for the loop. Raises KafkaException or Unavailable."""

    def __init__(self, admin: Admin, offsets: GroupOffsets, topics: Topics, marks: Marks, settings: KafkaSettings) -> None:
        self._admin = admin
        self._offsets = offsets
        self._settings = settings
        self._prefix = settings.prefix
        self._topics = topics
        self._marks = marks

    # What there is

    def ranges(self) -> dict[TopicPartition, Range]:
        """First readable and next offset of every partition that ever held something."""
        places = {self._place(at): at for at in self._topics.partitions()}
        starts = self._admin.offsets(list(places), START)
        ends = self._admin.offsets(list(places), END)
        found = {at: (starts[place], ends[place]) for place, at in places.items() if place in starts and place in ends}
        return {at: bounds for at, bounds in sorted(found.items()) if bounds[1] > 0}

    def partition_states(self) -> tuple[list[PartitionState], int]:
        """Every partition as it stands, and about how many bytes all of them hold."""
        ranges = self.ranges()
        lasts = self._lasts(ranges)
        firsts = self._marks.find((at, start) for at, (start, end) in ranges.items() if 0 < start < end)
        positions = self.group_positions(ranges)
        states: list[PartitionState] = []
        size = 0
        for at, (start, end) in ranges.items():
            last, first = lasts.get(at), firsts.get((at, start))
            ticks = 0 if last is None else last.ticks_after
            trimmed_ticks = ticks if first is None and start else 0 if first is None else first.ticks_before
            size += (end - start) * (0 if last is None else last.size_bytes)
            states.append(
                PartitionState(
                    topic=at.topic,
                    partition=at.partition,
                    start_offset=start,
                    end_offset=end,
                    events_total=end - ticks,
                    events_trimmed=start - trimmed_ticks,
                    events_erased=0,
                    repeats_total=0,
                    max_time_us=None if last is None else last.max_time_us,
                    appended_at_us=None if last is None else last.received_at_us,
                    positions={group: offsets[at] for group, offsets in sorted(positions.items()) if at in offsets},
                )
            )
        return states, size

    def _lasts(self, ranges: Mapping[TopicPartition, Range]) -> dict[TopicPartition, Mark]:
        """The mark of the last message of each partition; where all is trimmed, what this process still knows."""
        found = self._marks.find((at, end - 1) for at, (start, end) in ranges.items() if end > start)
        known = {at: self._marks.known(at, end - 1) for at, (_, end) in ranges.items()}
        return {at: mark for at, (_, end) in ranges.items() if (mark := found.get((at, end - 1)) or known[at]) is not None}

    def ticked(self, topic: str) -> list[tuple[TopicPartition, int, Mark]]:
        """The ends of a topic's partitions, and their last marks."""
        ranges = {at: bounds for at, bounds in self.ranges().items() if at.topic == topic}
        return [(at, ranges[at][1], mark) for at, mark in self._lasts(ranges).items()]

    # Groups

    def group_positions(self, of: Iterable[TopicPartition]) -> GroupPositions:
        """The committed offsets of every group in some partitions."""
        places = [self._place(at) for at in of]
        names = [name for name in self._admin.groups() if name.startswith(self._prefix)]
        found = {name: self._positions(name, places) for name in names}
        return {name.removeprefix(self._prefix): positions for name, positions in found.items() if positions}

    def _positions(self, group_name: str, places: Offsets) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, place.partition): place.offset
            for place in self._offsets.get(group_name, places)
            if (topic := self._topics.our_name(place.topic)) is not None
        }

    def forward(self, group: str, positions: Positions) -> list[KafkaPartition]:
        """What of the positions is further than what the group committed, as Kafka wants it."""
        known = self._positions(self._prefix + group, [self._place(at) for at in positions])
        return [
            KafkaPartition(self._topics.kafka_name(at.topic), at.partition, offset)
            for at, offset in positions.items()
            if offset > known.get(at, -1)
        ]

    def commit(self, group: str, offsets: list[KafkaPartition]) -> None:
        """Commit for a group that has no member at the moment."""
        self.check(self._offsets.commit(self._prefix + group, offsets), group)

    def check(self, places: Offsets, group: str) -> None:
        """Raise Unavailable where a position was not taken; a topic that is gone needs none."""
        for place in places:
            if place.error is not None and place.error.code() != _NO_SUCH_TOPIC:
                raise Unavailable(f"the position of group '{group}' in {place.topic} was not kept: {place.error.str()}")

    # Trimming

    def trim(self, now_us: int, max_age_s: float) -> int:
        """Remove what is older than this and than its topic keeps, and consumed by every group; returns how many events."""
        ranges = {at: bounds for at, bounds in self.ranges().items() if bounds[0] < bounds[1]}
        old = self._older(ranges, now_us, max_age_s)
        if not old:
            return 0
        positions = self.group_positions(old)
        ends: dict[TopicPartition, int] = {}
        for at, offset in old.items():
            held = min((offsets[at] for offsets in positions.values() if at in offsets), default=offset)
            if min(offset, held) > ranges[at][0]:
                ends[at] = min(offset, held)
        return self._delete(ranges, ends)

    def _older(self, ranges: Mapping[TopicPartition, Range], now_us: int, max_age_s: float) -> dict[TopicPartition, int]:
        """For each partition the first offset that is young."""
        by_age: dict[float, list[TopicPartition]] = {}
        for at in ranges:
            kept_s = retention_s(at.topic, self._settings)
            if kept_s is not None:
                by_age.setdefault(max(kept_s, max_age_s), []).append(at)
        found: dict[TopicPartition, int] = {}
        for age_s, group in by_age.items():
            places = {self._place(at): at for at in group}
            oldest_ms = (now_us - int(age_s * SECOND_US)) // 1000
            for place, offset in self._admin.offsets(list(places), oldest_ms).items():
                at = places[place]
                found[at] = offset if offset >= 0 else ranges[at][1]
        return found

    def _delete(self, ranges: Mapping[TopicPartition, Range], ends: Mapping[TopicPartition, int]) -> int:
        if not ends:
            return 0
        starts = [(at, ranges[at][0]) for at in ends]
        nexts = [(at, end) for at, end in ends.items() if end < ranges[at][1]]
        lasts = [(at, end - 1) for at, end in ends.items()]
        marks = self._marks.find([*starts, *nexts, *lasts])
        self._admin.delete_before(
            [KafkaPartition(self._topics.kafka_name(at.topic), at.partition, end) for at, end in ends.items()]
        )
        removed = 0
        for at, end in ends.items():
            before, last = marks.get((at, ranges[at][0])), marks.get((at, end - 1))
            ticks = last.ticks_after - before.ticks_before if before is not None and last is not None else 0
            removed += end - ranges[at][0] - ticks
        return removed

    def _place(self, at: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self._topics.kafka_name(at.topic), at.partition)
