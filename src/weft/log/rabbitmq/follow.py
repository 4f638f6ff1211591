"""Follow: the endless reading of a group, alone or sharing the partitions with others of the same group."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Final, Protocol, Self

import structlog

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, Unavailable
from weft.core.position import Positions, TopicPartition

logger = structlog.get_logger(__name__)

EVERYTHING: Final = "*"
_PAUSE_S: Final = 0.2


class Followed(Protocol):
    """What a follower needs of a log."""

    @property
    def is_open(self) -> bool:
        """False once the log is closed; followers end then."""
        ...

    def ends(self) -> Mapping[TopicPartition, int]:
        """The offset after the last event that is known here, of every partition."""
        ...

    async def read(self, at: TopicPartition, offset: int) -> Sequence[LogBatch]:
        """Some batches from an offset on."""
        ...

    async def note(self, damage: Corrupt) -> int:
        """Write a damaged range down; returns the offset behind it."""
        ...


class Share(Protocol):
    """Which partitions a follower reads, and from where."""

    def begin(self, at: TopicPartition) -> int | None:
        """Where to begin in a partition; None where somebody else reads it."""
        ...

    def poke(self) -> None:
        """There may be a new partition."""
        ...

    async def close(self) -> None:
        """Nothing is read any more."""
        ...


class Alone:
    """Everything, from given positions on."""

    def __init__(self, start: Mapping[TopicPartition, int]) -> None:
        self._start = start

    def begin(self, at: TopicPartition) -> int | None:
        """Where it was given, or at the oldest readable offset."""
        return self._start.get(at, 0)

    def poke(self) -> None:
        """Everything is read anyhow."""

    async def close(self) -> None:
        """Nobody else is waiting for it."""


class Follower:
    """One reading of some topics."""

    def __init__(self, followed: Followed, topics: Sequence[str], share: Callable[[Self], Share]) -> None:
        self.woken = asyncio.Event()
        self._followed = followed
        self._topics = frozenset(topics)
        self._positions: dict[TopicPartition, int] = {}
        self.share = share(self)

    def forget(self, partition: int) -> Positions:
        """Somebody else reads this partition now, or it is ours anew; returns how far it was read."""
        read = {at: offset for at, offset in self._positions.items() if at.partition == partition}
        for at in read:
            del self._positions[at]
        return read

    async def batches(self) -> AsyncGenerator[LogBatch, None]:
        """Some of each partition in turn, so that a busy one does not starve the others."""
        while self._followed.is_open:
            self.woken.clear()
            behind = self._behind()
            if not behind:
                await self.woken.wait()
            for at, (offset, end) in behind.items():
                for batch in await self._some(at, offset, end):
                    yield batch

    def _behind(self) -> dict[TopicPartition, tuple[int, int]]:
        behind: dict[TopicPartition, tuple[int, int]] = {}
        for at, end in self._followed.ends().items():
            if EVERYTHING in self._topics or at.topic in self._topics:
                offset = self._position(at)
                if offset is not None and offset < end:
                    behind[at] = (offset, end)
        return behind

    def _position(self, at: TopicPartition) -> int | None:
        begin = self.share.begin(at)
        return None if begin is None else self._positions.get(at, begin)

    async def _some(self, at: TopicPartition, offset: int, end: int) -> Sequence[LogBatch]:
        if self._position(at) != offset:
            return ()  # it went to somebody else while another partition was read
        try:
            batches = await self._followed.read(at, offset)
        except Corrupt as damage:
            self._positions[at] = max(await self._followed.note(damage), offset + 1)
            return ()
        except Unavailable as away:
            if self._followed.is_open:
                logger.debug("rabbitmq_follow_delayed", reason=away.message)
                await asyncio.sleep(_PAUSE_S)
            return ()
        if self._position(at) != offset:
            return ()
        # Nothing below the end: the broker retired all of it.
        self._positions[at] = batches[-1].next_offset if batches else end
        return batches
