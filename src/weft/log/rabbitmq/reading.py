"""Reading at an offset: find the place in the partition's stream, then take what follows."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Final

import zstandard

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, TimedOut
from weft.core.position import TopicPartition
from weft.log.frame import Header
from weft.log.rabbitmq.broker import StreamReader
from weft.log.rabbitmq.connection import Connection
from weft.log.rabbitmq.cursor import Checkpoints, Cursor
from weft.log.rabbitmq.entry import MARKER, Entry, FrameRow, batch_of
from weft.log.rabbitmq.names import Names
from weft.log.recent import RecentBatches

_PREFETCH: Final = 16
_NEAR: Final = 128
"""So many entries are read over rather than searched."""
_QUIET_S: Final = 0.5
_PLACES: Final = 4096

WriteMarker = Callable[[int, str], Awaitable[None]]
"""Writes a marker with a word into a partition."""


class PlaceFinder:
    """Where in the streams offsets stand."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._known: dict[int, Checkpoints] = {}
        self._next: OrderedDict[tuple[TopicPartition, int], tuple[int, int | None]] = OrderedDict()

    def checkpoints(self, partition: int) -> Checkpoints:
        """The known places of a partition."""
        return self._known.setdefault(partition, Checkpoints())

    def remember(self, at: TopicPartition, offset: int, position: int, epoch: int | None) -> None:
        """A reading ended here; the next one probably goes on."""
        self._next[at, offset] = (position, epoch)
        if len(self._next) > _PLACES:
            self._next.popitem(last=False)

    async def find(self, at: TopicPartition, offset: int, tail: int) -> Cursor:
        """A cursor at or a little before an offset; `tail` is a position behind everything."""
        known = self._next.get((at, offset))
        if known is not None:
            return Cursor(known[0], epoch=known[1])
        checkpoints = self.checkpoints(at.partition)
        low, high = checkpoints.around(at.topic, offset)
        begin, end = (low.position if low else 0), (high.position if high else tail)
        while end - begin > _NEAR:
            middle = (begin + end) // 2
            if not await self._look(at.partition, middle, end):
                end = middle
                continue
            low, high = checkpoints.around(at.topic, offset)
            begin, end = (low.position if low else 0), min(end, high.position if high else end)
            if begin < middle < end:
                end = middle
        return Cursor(begin, epoch=low.epoch if low else None)

    async def _look(self, partition: int, position: int, end: int) -> bool:
        """Whether a place that tells its ends was found between two positions; it is known then."""
        async with self._connection.link.stream(self._names.partition(partition), position, prefetch=_PREFETCH) as stream:
            cursor = Cursor(position)
            while cursor.position < end:
                try:
                    delivered = await stream.next(timeout_s=_QUIET_S)
                except TimedOut:
                    return False
                if delivered.position < position:
                    continue
                entry = cursor.take(delivered)
                if entry is not None and entry.ends is not None:
                    self.checkpoints(partition).note(delivered.position, entry)
                    return delivered.position < end
        return False


class OffsetReader:
    """Reads batches from an offset on."""

    def __init__(
        self, connection: Connection, names: Names, recent: RecentBatches, write_marker: WriteMarker, timeout_s: float
    ) -> None:
        self.places = PlaceFinder(connection, names)
        self._connection = connection
        self._names = names
        self._recent = recent
        self._write_marker = write_marker
        self._timeout_s = timeout_s
        self.decompressor = zstandard.ZstdDecompressor()

    async def read(self, at: TopicPartition, offset: int, end: int, *, max_bytes: int, tail: int) -> list[LogBatch]:
        """Batches in [offset, end), at least one if there is any, then up to about `max_bytes`."""
        cursor = await self.places.find(at, offset, tail)
        found = _Found(at, offset, end, max_bytes)
        async with self._connection.link.stream(
            self._names.partition(at.partition), cursor.position, prefetch=_PREFETCH
        ) as stream:
            await self._read(stream, cursor, found)
        return found.batches

    async def _read(self, stream: StreamReader, cursor: Cursor, found: "_Found") -> None:
        first = cursor.position
        word: str | None = None
        while not found.is_enough:
            try:
                delivered = await stream.next(timeout_s=_QUIET_S if word is None else self._timeout_s)
            except TimedOut:
                if word is not None or found.batches:
                    raise
                word = token_hex(8)
                await self._write_marker(found.at.partition, word)
                continue
            if delivered.position < first:
                continue
            entry = cursor.take(delivered)
            if entry is None:
                continue
            if entry.kind == MARKER and entry.nonce == word:
                return  # everything below the end was read: nothing of it is left
            self.places.checkpoints(found.at.partition).note(delivered.position, entry)
            self._collect(entry, found)
            if found.batches:
                self.places.remember(found.at, found.batches[-1].next_offset, delivered.position, cursor.epoch)

    def _collect(self, entry: Entry, found: "_Found") -> None:
        for row in entry.frames:
            if row.topic == found.at.topic and not found.is_enough:
                header = row.header
                if header.next_offset > found.offset and header.first_offset < found.end:
                    self._add(row, header, found)

    def _add(self, row: FrameRow, header: Header, found: "_Found") -> None:
        batch = self._recent.find(row.topic, found.at.partition, header.first_offset)
        if batch is None:
            read = batch_of(row, found.at.partition, self.decompressor)
            if isinstance(read, Corrupt):
                if found.batches:
                    found.is_enough = True
                    return
                raise read
            batch = self._recent.add(read)
        found.add(batch)


class _Found:
    """What a reading has gathered."""

    def __init__(self, at: TopicPartition, offset: int, end: int, max_bytes: int) -> None:
        self.at = at
        self.offset = offset
        self.end = end
        self.batches: list[LogBatch] = []
        self.is_enough = False
        self._left_bytes = max_bytes

    def add(self, batch: LogBatch) -> None:
        """The next batch."""
        self.batches.append(batch)
        self.offset = batch.next_offset
        self._left_bytes -= batch.size_bytes
        self.is_enough = self._left_bytes <= 0 or self.offset >= self.end
