"""Ownership: one process appends to a partition, on one connection; the broker sees to that.

The right is an exclusive queue of the very connection that publishes. Once the broker has let that connection go nothing more
can come over it, and only then can somebody else have the right: a writer that was cut off cannot write into another's time.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final, Protocol

import numpy as np
import structlog

from weft.core.batch import UInt64s
from weft.core.clock import Clock
from weft.core.errors import Unavailable
from weft.core.times import SECOND_US
from weft.log.rabbitmq.broker import BLOCKED, Link, Publisher, StreamReader
from weft.log.rabbitmq.connection import Connection
from weft.log.rabbitmq.cursor import Cursor
from weft.log.rabbitmq.entry import HELLO, Entry, FrameRow, as_ends, encode
from weft.log.rabbitmq.ledger import Mark
from weft.log.rabbitmq.names import Names
from weft.log.rabbitmq.tail import PREFETCH, marker, write
from weft.log.repeats import Place, RepeatIndex
from weft.log.settings import LogSettings
from weft.log.topic_end import TopicEnd

logger = structlog.get_logger(__name__)

_SAME_AGAIN_S: Final = 2.0
_PAUSE_S: Final = 0.1
_MARK_ENTRIES: Final = 4096
_MARK_BYTES: Final = 64 * 1024 * 1024


class Registry(Protocol):
    """Where the marks of all partitions are kept."""

    async def declare_partition(self, partition: int) -> None:
        """See that a partition has its stream."""
        ...

    async def mark_of(self, partition: int) -> Mark | None:
        """The newest mark of a partition."""
        ...

    async def publish_mark(self, partition: int, mark: Mark) -> None:
        """Tell everybody about a partition."""
        ...


class Owned:
    """A partition this process may append to, for as long as its link lives."""

    def __init__(
        self, partition: int, stream: str, link: Link, publisher: Publisher, index: RepeatIndex, cursor: Cursor
    ) -> None:
        self.partition = partition
        self.link = link
        self.index = index
        self.ends: dict[str, TopicEnd] = cursor.ends or {}
        self.epoch = cursor.epoch or 0
        self.size_bytes = cursor.size_bytes
        self.entries_since = 0
        self.bytes_since = 0
        self.position = cursor.position
        """A position of the stream that is not behind the next entry."""
        self.checkpoint = self.epoch
        self.publisher = publisher
        self.is_doubtful = False
        """Whether an entry may or may not have been kept, so that the next offset is not known."""
        self._stream = stream
        self._marked = self.position
        self._marked_bytes = self.size_bytes

    @property
    def is_lost(self) -> bool:
        """Whether the right is gone."""
        return self.link.lost.is_set()

    async def write(self, body: bytes, *, tells_ends: bool) -> None:
        """Append an entry; it is kept when this returns. After an error the partition has to be owned anew."""
        try:
            await write(self.publisher, self._stream, body, "appending")
        except BaseException:
            self.is_doubtful = True
            if not await self.link.is_blocked():
                self.link.lose("an append got no clear answer")
            raise
        if tells_ends:
            self.checkpoint, self.entries_since, self.bytes_since = self.position, 0, 0
        self.position += 1
        self.entries_since += 1
        self.bytes_since += len(body)
        self.size_bytes += len(body)

    def remember(self, topic: str, first: int, end: int, keys: UInt64s, received_us: int, now_us: int) -> None:
        """These may repeat."""
        self.index.add(Place(topic, first, end), RepeatIndex.salted(topic, keys), received_us, now_us)

    def is_mark_due(self) -> bool:
        """Whether readers that come now would have far to read."""
        if self.checkpoint - self._marked < _MARK_ENTRIES and self.size_bytes - self._marked_bytes < _MARK_BYTES:
            return False
        self._marked, self._marked_bytes = self.checkpoint, self.size_bytes
        return True

    def mark(self, *, closed: bool = False) -> Mark:
        """For the ledger."""
        return Mark(self.epoch, self.checkpoint, as_ends(self.ends) if closed else None, self.size_bytes)


class Ownership:
    """Takes a partition and learns how it stands."""

    def __init__(
        self,
        names: Names,
        *,
        settings: LogSettings,
        clock: Clock,
        publishing: Connection,
        consuming: Connection,
        registry: Registry,
    ) -> None:
        self.owned: Owned | None = None
        self._names = names
        self._settings = settings
        self._clock = clock
        self._publishing = publishing
        self._consuming = consuming
        self._timeout_s = settings.rabbitmq.timeout_s
        self._registry = registry

    async def own(self) -> Owned:
        """The partition of this process, taken if need be. Raises Conflict where all are taken."""
        owned = self.owned
        if owned is None or owned.is_lost or owned.is_doubtful:
            owned = self.owned = await self._take(owned)
        elif owned.is_mark_due():
            await self._registry.publish_mark(owned.partition, owned.mark())
        return owned

    async def _take(self, before: Owned | None) -> Owned:
        link = self._publishing.link
        if await link.is_blocked():
            raise Unavailable(BLOCKED)
        if before is not None and await self._lock_again(link, before.partition):
            return await self._recover(link, before.partition, before)
        for partition in range(self._settings.partitions):
            if await link.lock(self._names.owner(partition)):
                return await self._recover(link, partition, None)
        raise Unavailable(
            f"all {self._settings.partitions} partitions of the log on RabbitMQ are appended to by other connections; "
            "raise log.partitions if there are so many processes"
        )

    async def _lock_again(self, link: Link, partition: int) -> bool:
        """The broker may need a moment to see that our last connection is gone."""
        give_up_at = asyncio.get_running_loop().time() + _SAME_AGAIN_S
        while not await link.lock(self._names.owner(partition)):
            if asyncio.get_running_loop().time() > give_up_at:
                return False
            await asyncio.sleep(_PAUSE_S)
        return True

    async def _recover(self, link: Link, partition: int, before: Owned | None) -> Owned:
        stream = self._names.partition(partition)
        await self._registry.declare_partition(partition)
        # On the same channel nothing can overtake an entry whose fate is not known.
        publisher = before.publisher if before is not None and before.link is link else await link.publisher()
        mark = await self._registry.mark_of(partition)
        index = before.index if before is not None else self._new_index()
        word = token_hex(8)
        await write(publisher, stream, marker(word), "taking a partition")
        checkpoint = mark.checkpoint if mark else 0
        await self._look_back(stream, checkpoint, index, before)
        cursor = Cursor(checkpoint)
        async with self._consuming.link.stream(stream, checkpoint, prefetch=PREFETCH) as reader:
            await self._step_to(reader, cursor, index, word)
            hello = token_hex(8)
            body = encode(Entry(HELLO, -1, hello, as_ends(cursor.ends or {}), cursor.size_bytes))
            await write(publisher, stream, body, "taking a partition")
            await self._step_to(reader, cursor, index, hello)
        owned = Owned(partition, stream, link, publisher, index, cursor)
        await self._registry.publish_mark(partition, owned.mark())
        logger.info("rabbitmq_partition_taken", partition=partition, epoch=owned.epoch)
        return owned

    def _new_index(self) -> RepeatIndex:
        return RepeatIndex(age_us=int(self._settings.repeat_age_s * SECOND_US), count=self._settings.repeat_count)

    async def _step_to(self, reader: StreamReader, cursor: Cursor, index: RepeatIndex, word: str) -> None:
        """Read on until an entry of our own comes back."""
        while True:
            delivered = await reader.next(timeout_s=self._timeout_s)
            if delivered.position < cursor.position:
                continue
            entry = cursor.take(delivered)
            if entry is None:
                continue
            if entry.nonce == word:
                return
            self._remember(index, entry.frames)

    async def _look_back(self, stream: str, end: int, index: RepeatIndex, before: Owned | None) -> None:
        """Learn which events may repeat from what lies before the checkpoint."""
        if self._settings.repeat_age_s == 0 or self._settings.repeat_count == 0:
            return
        oldest_us = self._clock.now_us() - int(self._settings.repeat_age_s * SECOND_US)
        start = datetime.fromtimestamp(oldest_us / SECOND_US, UTC) if before is None else before.position
        cursor = Cursor()
        if not isinstance(start, datetime) and start >= end:
            return
        async with self._consuming.link.stream(stream, start, prefetch=PREFETCH) as reader:
            while cursor.position < end:
                delivered = await reader.next(timeout_s=self._timeout_s)
                if delivered.position >= end:
                    return
                entry = cursor.take(delivered)
                if entry is not None:
                    self._remember(index, entry.frames)

    def _remember(self, index: RepeatIndex, rows: Sequence[FrameRow]) -> None:
        now_us = self._clock.now_us()
        for row in rows:
            if row.keys is not None:
                header = row.header
                place = Place(row.topic, header.first_offset, header.next_offset)
                keys = RepeatIndex.salted(row.topic, np.frombuffer(row.keys, dtype=np.uint64))
                index.add(place, keys, header.received_last_us, now_us)
