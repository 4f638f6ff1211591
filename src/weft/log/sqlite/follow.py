"""Follow: the endless reading of a group. Woken by appends, never by a timer."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, Protocol

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition

EVERYTHING: Final = "*"


class Followed(Protocol):
    """What a follower needs of a log."""

    @property
    def is_open(self) -> bool:
        """False once the log is closed; followers end then."""
        ...

    async def ends(self) -> Mapping[TopicPartition, int]:
        """The offset after the last durable event, of every partition."""
        ...

    async def read(self, at: TopicPartition, offset: int) -> Sequence[LogBatch]:
        """Some batches from an offset on."""
        ...

    async def note(self, damage: Corrupt) -> int:
        """Write a damaged range down; returns the offset behind it."""
        ...


class Follower:
    """One reading of some topics."""

    def __init__(self, followed: Followed, topics: Sequence[str], positions: dict[TopicPartition, int]) -> None:
        self.woken = asyncio.Event()
        self._followed = followed
        self._topics = frozenset(topics)
        self._positions = positions

    async def batches(self) -> AsyncGenerator[LogBatch, None]:
        """Some of each partition in turn, so that a busy one does not starve the others."""
        while self._followed.is_open:
            self.woken.clear()
            behind = await self._behind()
            if not behind:
                await self.woken.wait()
            for at, end in behind.items():
                for batch in await self._some(at, end):
                    yield batch

    async def _behind(self) -> dict[TopicPartition, int]:
        ends = await self._followed.ends()
        wanted = self._topics
        return {
            at: end
            for at, end in ends.items()
            if (EVERYTHING in wanted or at.topic in wanted) and self._positions.get(at, 0) < end
        }

    async def _some(self, at: TopicPartition, end: int) -> Sequence[LogBatch]:
        offset = self._positions.get(at, 0)
        try:
            batches = await self._followed.read(at, offset)
        except Corrupt as damage:
            self._positions[at] = max(await self._followed.note(damage), offset + 1)
            return ()
        # Nothing below the end: all of it was erased.
        self._positions[at] = batches[-1].next_offset if batches else end
        return batches
