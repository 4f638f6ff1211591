"""Copying a store: every event from one store into another, proven by digests that are computed from both sides.

Events keep their place in the log, and the books are taken over, so that the copy can go on where the original stood. What was
copied before is stepped over: a copy that was interrupted is simply started again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, cast

import msgspec
import numpy as np

from weft.core.batch import LogBatch
from weft.core.errors import Conflict
from weft.core.event import Event, EventRow
from weft.core.position import TopicPartition
from weft.core.times import DAY_US, to_datetime
from weft.store.port import EventStore, check_adoption
from weft.store.query import TopicCount

_WHOLE_NUMBERS: Final = 2**128

Part = tuple[str, str]
"""A topic and a month, such as 2026-05."""


@dataclass(slots=True)
class Digest:
    """How many events, and the sum of their SHA-256: the same for the same events in whatever order."""

    events: int = 0
    total: int = 0

    def add(self, event: Event) -> None:
        """Take in an event."""
        self.events += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(canonical(event)).digest(), "big")) % 2**256

    @property
    def text(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self.total:064x}"


@dataclass(slots=True)
class Digests:
    """The digests of a store, by topic and month."""

    parts: dict[Part, Digest] = field(default_factory=dict[Part, Digest])
    _days: dict[tuple[str, int], Digest] = field(default_factory=dict[tuple[str, int], Digest])

    def add(self, event: Event) -> None:
        """Take in an event."""
        day = (event.topic, event.time_us // DAY_US)
        digest = self._days.get(day)
        if digest is None:
            month = f"{to_datetime(event.time_us):%Y-%m}"
            digest = self._days[day] = self.parts.setdefault((event.topic, month), Digest())
        digest.add(event)

    @property
    def events(self) -> int:
        """All events."""
        return sum(digest.events for digest in self.parts.values())


@dataclass(frozen=True, slots=True)
class Compared:
    """A topic and month on both sides."""

    topic: str
    month: str
    source: Digest
    target: Digest

    @property
    def same(self) -> bool:
        """Whether both sides hold the same events."""
        return self.source == self.target


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: the step (`copying`, `reading back`), and events done of about so many."""

    step: str
    done: int
    total: int


Report = Callable[[Progress], None]


async def copy_store(source: EventStore, target: EventStore, *, as_history: bool, report: Report) -> list[Compared]:
    """Copy every event and compare the digests, which are computed from what each side gives back.

    With `as_history` the copy is going to take new events from another log: what is copied gets partitions of its own, below
    0, so that no offset of that log is taken for one that is stored.
    Raises Conflict where the target is further than the source, or the source changes meanwhile.
    """
    books = list((await source.state()).topics)
    moved = _history_of(books) if as_history else books
    check_adoption(await target.flushed(), moved)
    total = sum(count.stored_total - count.erased_total - count.retired_total for count in books)
    there = Digests()
    for count, new in zip(books, moved, strict=True):
        await _copy_partition(source, target, count, new, there, lambda: report(Progress("copying", there.events, total)))
    if [count.position for count in (await source.state()).topics] != [count.position for count in books]:
        raise Conflict("the store took in events while it was copied; stop Weft and start the copy again, it goes on")
    await target.adopt(moved)
    here = await digests_of(target, lambda done: report(Progress("reading back", done, total)))
    return compare(there, here)


async def digests_of(store: EventStore, report: Callable[[int], None]) -> Digests:
    """The digests of everything a store holds."""
    digests = Digests()
    for count in (await store.state()).topics:
        async with aclosing(store.replay(TopicPartition(count.topic, count.partition))) as parts:
            async for events in parts:
                for event in events:
                    digests.add(event)
                report(digests.events)
    return digests


def compare(source: Digests, target: Digests) -> list[Compared]:
    """Both sides of every topic and month, in order."""
    return [
        Compared(*part, source.parts.get(part, Digest()), target.parts.get(part, Digest()))
        for part in sorted(source.parts.keys() | target.parts.keys())
    ]


async def _copy_partition(
    source: EventStore, target: EventStore, count: TopicCount, new: TopicCount, digests: Digests, report: Callable[[], None]
) -> None:
    async with aclosing(source.replay(TopicPartition(count.topic, count.partition))) as parts:
        async for events in parts:
            for event in events:
                digests.add(event)
            await target.write([batch_of(run, new.partition) for run in _runs(events)])
            report()
    await target.write([_end(new)])


def _runs(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Events whose offsets follow each other."""
    gaps = [at for at, (one, next_) in enumerate(pairwise(events), 1) if _offset(next_) != _offset(one) + 1]
    return (events[first:end] for first, end in pairwise([0, *gaps, len(events)]))


def batch_of(events: Sequence[Event], partition: int) -> LogBatch:
    """Events as a batch of the log. All ids count as given by clients, for nobody knows any more which were."""
    return LogBatch(
        topic=events[0].topic,
        partition=partition,
        first_offset=_offset(events[0]),
        rows=b",".join(_row(event) for event in events),
        ids=[event.id for event in events],
        times_us=np.array([event.time_us for event in events], dtype=np.int64),
        received_at_us=np.array([event.received_at_us for event in events], dtype=np.int64),
        max_time_before_us=None,
    )


def _row(event: Event) -> bytes:
    return msgspec.json.encode(
        EventRow(
            type=event.type,
            source=event.source,
            id=event.id,
            subject=event.subject,
            severity=cast("Any", event.severity),
            user_id=event.user_id,
            session_id=event.session_id,
            correlation_id=event.correlation_id,
            tags=event.tags,
            data=_json(event.data),
            metadata=_json(event.metadata),
        )
    )


def _json(value: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except (OverflowError, msgspec.MsgspecError):  # whole numbers beyond 64 bits
        return msgspec.Raw(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _offset(event: Event) -> int:
    return event.offset or 0


def _end(count: TopicCount) -> LogBatch:
    """Nothing, at the end of a partition: it brings the copy as far as the original is."""
    nothing = np.empty(0, dtype=np.int64)
    return LogBatch(
        topic=count.topic,
        partition=count.partition,
        first_offset=count.position,
        rows=b"",
        ids=(),
        times_us=nothing,
        received_at_us=nothing,
        max_time_before_us=None,
    )


def _history_of(books: Sequence[TopicCount]) -> list[TopicCount]:
    """The books with partitions below 0, which no log has."""
    numbers: dict[str, int] = {}
    moved: list[TopicCount] = []
    for count in books:
        numbers[count.topic] = numbers.get(count.topic, 0) - 1
        moved.append(replace(count, partition=numbers[count.topic]))
    return moved


def canonical(event: Event) -> bytes:
    """One text for one event, however its numbers were written and its names ordered. Its place in a log does not count."""
    values = (
        *(event.topic, event.id, event.type, event.source, event.time_us, event.received_at_us, event.subject, event.severity),
        *(event.user_id, event.session_id, event.correlation_id, event.tags, _plain(event.data), _plain(event.metadata)),
    )
    try:
        return msgspec.json.encode(values, order="sorted")
    except (OverflowError, msgspec.MsgspecError):  # whole numbers beyond 64 bits
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """Numbers that are equal become one."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in cast("Sequence[Any]", value)]
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_NUMBERS:
        return int(value)
    return value
