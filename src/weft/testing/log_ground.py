"""What the tests of the port `Log` stand on: the ground an adapter supplies, and ways to look at a log."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum
from hashlib import shake_128
from typing import ClassVar, Protocol

import pytest

from weft.core.batch import LogBatch, split_rows
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.log.port import Log, PartitionState
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_row

WAIT_S = 20.0
"""Longer than anything here takes: a test that waits this long has found a hang."""


class Lack(StrEnum):
    """What an adapter may declare that it cannot do."""

    TRIM = "trim"
    TRIM_SIZE = "trim by size"
    ERASE = "erase"
    TICK = "tick"
    READERS = "readers"
    REPEATS = "repeats"


class LogGround(Protocol):
    """Where the tests of one adapter take place: at first empty, and the same however often it is opened."""

    @property
    def clock(self) -> ManualClock:
        """The clock of every log opened here."""
        ...

    def open(self, *, append: bool = True) -> Log:
        """A log on this ground, not entered yet. Segments, where there are such, hold at most about 64 KiB."""
        ...


class LogTests:
    """What all tests of a log share. `lacks` names what the adapter declares it cannot do."""

    lacks: ClassVar[frozenset[Lack]] = frozenset()

    @pytest.fixture
    def ground(self) -> LogGround:
        """Supplied by the adapter's test."""
        raise NotImplementedError

    @pytest.fixture
    async def log(self, ground: LogGround) -> AsyncGenerator[Log, None]:
        """An open, empty log."""
        async with ground.open() as log:
            yield log

    def needs(self, *lacks: Lack) -> None:
        """Skip where the adapter declares that it cannot do this."""
        missing = self.lacks & frozenset(lacks)
        if missing:
            pytest.skip(f"this log declares that it cannot {', '.join(sorted(missing))}")


async def read_all(log: Log, at: TopicPartition, offset: int = 0) -> list[LogBatch]:
    """Every batch of a partition from an offset on."""
    found: list[LogBatch] = []
    while batches := await log.read(at, offset):
        found.extend(batches)
        offset = batches[-1].next_offset
    return found


async def follow_until(log: Log, group: str, topics: list[str], count: int) -> list[LogBatch]:
    """The batches a group gets until they hold `count` events."""
    found: list[LogBatch] = []

    async def follow() -> None:
        async with aclosing(log.follow(group, topics)) as batches:
            async for batch in batches:
                found.append(batch)
                if sum(batch.count for batch in found) >= count:
                    return

    await asyncio.wait_for(follow(), WAIT_S)
    return found


async def collect(log: Log) -> list[LogBatch]:
    """Everything a follower gets until it ends."""
    return [batch async for batch in log.follow("group", ["*"])]


async def fill(log: Log, batches: int = 12, events: int = 300) -> tuple[TopicPartition, int]:
    """Several segments full; returns the partition and its end."""
    for number in range(batches):
        texts = (shake_128(f"{number}/{n}".encode()).hexdigest(60) for n in range(events))
        rows: list[EventRow] = [make_row(n, data={"text": text}) for n, text in enumerate(texts)]
        await log.append(make_batch(rows))
    state = await only(log)
    return TopicPartition("events", state.partition), state.end_offset


async def only(log: Log, topic: str = "events") -> PartitionState:
    """The state of the one partition of a topic."""
    (state,) = [state for state in (await log.state()).partitions if state.topic == topic]
    return state


def ids_of(batches: list[LogBatch]) -> list[str]:
    """All ids in order."""
    return [event_id for batch in batches for event_id in batch.ids]


def offsets_of(batches: list[LogBatch]) -> list[int]:
    """All offsets of events in order; each batch is checked to hold as many rows as it says."""
    for batch in batches:
        assert len(split_rows(batch.rows)) == batch.count
    return [offset for batch in batches for offset in range(batch.first_offset, batch.first_offset + batch.count)]


def before_each(batches: list[LogBatch]) -> list[int | None]:
    """What each batch says of the time before it."""
    return [batch.max_time_before_us for batch in batches]


def offset_of(appended: object) -> int:
    """The first offset of an answer that has one."""
    offset = getattr(appended, "first_offset", None)
    assert isinstance(offset, int)
    return offset
