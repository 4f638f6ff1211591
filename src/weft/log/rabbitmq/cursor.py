"""Cursor: one reading of a partition's stream, entry by entry; tells entries that count from those that do not."""

from bisect import bisect_right, insort
from dataclasses import dataclass, field

from weft.log.rabbitmq.broker import Delivered
from weft.log.rabbitmq.entry import GROUP, HELLO, Entry, advance, as_topic_ends, decode
from weft.log.topic_end import TopicEnd


class Cursor:
    """Where a reading is. `ends` are None until a place is met that tells them."""

    def __init__(self, position: int = 0, *, epoch: int | None = None, ends: dict[str, TopicEnd] | None = None) -> None:
        self.position = position
        self.epoch = epoch
        self.ends = ends
        self.size_bytes = 0

    def take(self, delivered: Delivered) -> Entry | None:
        """Step over a message; returns the entry, or None where it does not count: unreadable, or of a writer whose time was
        over when it arrived."""
        self.position = delivered.position + 1
        entry = decode(delivered.body)
        if entry is None:
            return None
        if entry.kind == HELLO:
            self.epoch = delivered.position
            self.ends = as_topic_ends(entry.ends or {})
            self.size_bytes = entry.size_bytes + len(delivered.body)
        elif entry.kind == GROUP:
            return self._group(entry, len(delivered.body))
        return entry

    def _group(self, entry: Entry, size_bytes: int) -> Entry | None:
        if self.epoch is None:
            self.epoch = entry.epoch
        elif self.epoch != entry.epoch:
            return None
        if entry.ends is not None:
            self.size_bytes = entry.size_bytes
            if self.ends is None:
                self.ends = as_topic_ends(entry.ends)
        if self.ends is not None:
            advance(self.ends, entry.frames, entry.repeats)
            self.size_bytes += size_bytes
        return entry


@dataclass(frozen=True, slots=True, order=True)
class Checkpoint:
    """A position in a stream where reading can begin, and the offsets there."""

    position: int
    epoch: int = field(compare=False)
    offsets: dict[str, int] = field(compare=False)


class Checkpoints:
    """Known places of one stream, so that an offset is found without reading everything before it."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._known: list[Checkpoint] = []

    def note(self, position: int, entry: Entry) -> None:
        """Remember a place that tells the ends."""
        if entry.ends is None:
            return
        epoch = position if entry.kind == HELLO else entry.epoch
        found = Checkpoint(position, epoch, {topic: end.next_offset for topic, end in entry.ends.items()})
        at = bisect_right(self._known, found)
        if at and self._known[at - 1].position == position:
            return
        insort(self._known, found)
        if len(self._known) > self._limit:
            del self._known[1::2]

    def around(self, topic: str, offset: int) -> tuple[Checkpoint | None, Checkpoint | None]:
        """The last known place at or before an offset of a topic, and the first one after it."""
        at = bisect_right(self._known, offset, key=lambda known: known.offsets.get(topic, 0))
        return (self._known[at - 1] if at else None, self._known[at] if at < len(self._known) else None)
