"""One topic as its readers see it: the newest batches, kept in memory once and ready to send, and the log behind them."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, WeftError
from weft.core.position import TopicPartition
from weft.log.port import Log, PartitionState
from weft.query.erase import TOPIC as ERASURES
from weft.query.piece import Pace, Piece, damaged_piece, prepare
from weft.query.settings import QuerySettings

GROUP: Final = "live"


class Kept:
    """The newest pieces of one partition: what lies in [begin, end) is here, unless it was empty."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.end = begin
        self.pieces: deque[Piece] = deque()

    def add(self, piece: Piece) -> None:
        """Take the piece that follows."""
        self.pieces.append(piece)
        self.end = piece.next_offset

    def drop_oldest(self) -> int:
        """Forget the oldest piece; returns its bytes."""
        oldest = self.pieces.popleft()
        self.begin = oldest.next_offset
        return oldest.memory_bytes

    def after(self, offset: int) -> Sequence[Piece] | None:
        """What comes from `offset` on, nothing when it is not there yet, None when it is no longer here."""
        if offset >= self.end:
            return ()
        if offset < self.begin:
            return None
        return [piece for piece in self.pieces if piece.next_offset > offset]


class TopicFeed:
    """One topic's newest batches, kept for all its readers by one follower of the log."""

    def __init__(self, topic: str, log: Log, pace: Pace, settings: QuerySettings) -> None:
        self.topic = topic
        self.readers = 0
        self.changed = asyncio.Event()
        self.ended: WeftError | None = None
        self.kept: dict[int, Kept] = {}
        self.forgotten = 0
        self._log = log
        self._pace = pace
        self._settings = settings
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes kept in memory."""
        return self._size_bytes

    async def run(self) -> None:
        """Follow the log until cancelled or until the log fails, which every reader is told."""
        try:
            watched = {self.topic, ERASURES}
            start = {
                TopicPartition(state.topic, state.partition): state.end_offset
                for state in (await self._log.state()).partitions
                if state.topic in watched
            }
            self.kept = {place.partition: Kept(offset) for place, offset in start.items() if place.topic == self.topic}
            self._wake()
            async with aclosing(self._log.follow(GROUP, sorted(watched), start=start)) as follower:
                async for batch in follower:
                    if batch.topic == ERASURES:
                        self.forget()  # another process may have erased what is kept here
                    if batch.topic == self.topic:
                        await self._take(batch)
        except WeftError as failure:
            self.end(failure)

    async def partitions(self) -> Sequence[PartitionState]:
        """The topic's partitions as the log has them now."""
        return [state for state in (await self._log.state()).partitions if state.topic == self.topic]

    async def after(self, partition: int, offset: int) -> Sequence[Piece]:
        """What comes in a partition from `offset` on: up to a chunk, [] when nothing is there yet."""
        kept = self.kept.get(partition)
        if kept is None:
            return ()
        here = kept.after(offset)
        return await self._read(partition, offset) if here is None else _chunk(here, self._settings.feed_chunk_bytes)

    def is_ahead_of(self, positions: Mapping[int, int]) -> bool:
        """Whether a reader at these offsets has to go back to the log."""
        return any(positions.get(partition, 0) < kept.begin for partition, kept in self.kept.items())

    def forget(self) -> None:
        """Drop what is kept, after an erasure: readers go back to the log, where the erased events are gone."""
        for kept in self.kept.values():
            kept.pieces.clear()
            kept.begin = kept.end
        self._size_bytes = 0
        self.forgotten += 1

    def end(self, reason: WeftError) -> None:
        """Tell every reader that this feed ends."""
        self.ended = reason
        self._wake()

    async def _take(self, batch: LogBatch) -> None:
        async with aclosing(prepare(batch, self._pace)) as pieces:
            async for piece in pieces:
                kept = self.kept.setdefault(batch.partition, Kept(piece.first_offset))
                kept.add(piece)
                self._size_bytes += piece.memory_bytes
                self._trim()
                self._wake()

    def _trim(self) -> None:
        while self._size_bytes > self._settings.feed_memory_bytes:
            fullest = max(self.kept.values(), key=lambda kept: len(kept.pieces))
            self._size_bytes -= fullest.drop_oldest()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def _read(self, partition: int, offset: int) -> Sequence[Piece]:
        try:
            batches = await self._log.read(
                TopicPartition(self.topic, partition), offset, max_bytes=self._settings.feed_chunk_bytes
            )
        except Corrupt as damage:
            return [damaged_piece(damage, partition, offset)]
        return [piece for batch in batches async for piece in prepare(batch, self._pace)]


def _chunk(pieces: Sequence[Piece], size_bytes: int) -> Sequence[Piece]:
    """As many pieces as fit into a chunk, one at least."""
    taken = 0
    for count, piece in enumerate(pieces):
        if count and taken + piece.size_bytes > size_bytes:
            return pieces[:count]
        taken += piece.size_bytes
    return pieces
