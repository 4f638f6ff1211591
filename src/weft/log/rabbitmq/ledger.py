"""Ledger: what all processes know together, in a small stream of its own: how far groups are, who wrote which partition.

Every message holds all of it as its writer knew it. Two of them are joined by taking the larger of each number, so their order
does not matter, none is lost by being written at the same time as another, and old ones may leave the stream.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from weft.core.position import Positions, TopicPartition
from weft.log.port import Damage
from weft.log.rabbitmq.entry import End


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """One partition: whose time it is (`epoch`), from where to read to learn how it stands (`checkpoint`), and, where its
    writer went away in order, how it stands (`ends`)."""

    epoch: int
    checkpoint: int
    ends: dict[str, End] | None = None
    size_bytes: int = 0

    @property
    def order(self) -> tuple[int, bool, int]:
        """The larger one is the later one."""
        return (self.epoch, self.ends is not None, self.checkpoint)


class DamageRow(msgspec.Struct, array_like=True, frozen=True):
    """A range that failed its check."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    reason: str


class Page(msgspec.Struct, array_like=True, frozen=True):
    """The whole ledger in one message."""

    nonce: str = ""
    positions: dict[str, dict[str, dict[int, int]]] = {}
    marks: dict[int, Mark] = {}
    starts: dict[int, dict[str, tuple[int, int]]] = {}
    damages: tuple[DamageRow, ...] = ()


_ENCODER: Final = msgspec.msgpack.Encoder()
_PAGES: Final = msgspec.msgpack.Decoder(Page)


class Ledger:
    """All that was heard so far, joined."""

    def __init__(self) -> None:
        self.positions: dict[str, dict[TopicPartition, int]] = {}
        self.marks: dict[int, Mark] = {}
        self.starts: dict[TopicPartition, tuple[int, int]] = {}
        """Of what the broker retired: the first readable offset, and how many events are gone."""
        self.damages: dict[tuple[str, int, int], DamageRow] = {}

    def join(self, body: bytes) -> str | None:
        """Take in what somebody wrote; returns its nonce, or None where it cannot be read."""
        try:
            page = _PAGES.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        for group, topics in page.positions.items():
            for topic, partitions in topics.items():
                self.move(group, {TopicPartition(topic, partition): offset for partition, offset in partitions.items()})
        for partition, mark in page.marks.items():
            self.mark(partition, mark)
        for partition, starts in page.starts.items():
            for topic, start in starts.items():
                self.start(TopicPartition(topic, partition), start)
        for row in page.damages:
            self.damages.setdefault((row.topic, row.partition, row.first_offset), row)
        return page.nonce

    def move(self, group: str, positions: Positions) -> None:
        """A group is further; never back."""
        known = self.positions.setdefault(group, {})
        for at, offset in positions.items():
            known[at] = max(known.get(at, 0), offset)

    def mark(self, partition: int, mark: Mark) -> None:
        """Something about a partition, unless something later is known."""
        known = self.marks.get(partition)
        if known is None or known.order < mark.order:
            self.marks[partition] = mark

    def start(self, at: TopicPartition, start: tuple[int, int]) -> None:
        """What is readable begins here now."""
        self.starts[at] = max(self.starts.get(at, (0, 0)), start)

    def note(self, damage: Damage) -> None:
        """A damaged range."""
        row = DamageRow(damage.topic, damage.partition, damage.first_offset, damage.next_offset, damage.reason)
        self.damages.setdefault((row.topic, row.partition, row.first_offset), row)

    def page(self, nonce: str) -> bytes:
        """All of it, to be written."""
        starts: dict[int, dict[str, tuple[int, int]]] = {}
        for at, start in self.starts.items():
            starts.setdefault(at.partition, {})[at.topic] = start
        return _ENCODER.encode(Page(nonce, _nested(self.positions), dict(self.marks), starts, tuple(self.damages.values())))


def _nested(positions: Mapping[str, Mapping[TopicPartition, int]]) -> dict[str, dict[str, dict[int, int]]]:
    nested: dict[str, dict[str, dict[int, int]]] = {}
    for group, known in positions.items():
        topics = nested.setdefault(group, {})
        for at, offset in known.items():
            topics.setdefault(at.topic, {})[at.partition] = offset
    return nested
