"""StoreWriter: fills a store from the log, several batches at a time, and commits only what survives a crash."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import numpy as np
import structlog

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, Unavailable
from weft.core.position import Positions, TopicPartition
from weft.store.port import EventStore

logger = structlog.get_logger(__name__)

Commit = Callable[[Positions], Awaitable[None]]
DeadLetter = Callable[[LogBatch, int, str], Awaitable[None]]
"""Sets a batch aside: the batch, how often it was tried, and why it cannot be stored. Durable when it returns."""

WAITING_MAX_BYTES: Final = 16 * 1024 * 1024
COMMIT_EVERY_S: Final = 1.0


class StoreWriter:
    """A worker between one consumer of the log and one store.

    A batch that cannot be read goes to `dead_letter` and its partition moves on; a store that is full or away is tried again
    until it takes the batches, while the log keeps them.
    """

    def __init__(self, store: EventStore, batches: AsyncIterator[LogBatch], *, commit: Commit, dead_letter: DeadLetter) -> None:
        self._store = store
        self._batches = batches
        self._commit = commit
        self._dead_letter = dead_letter
        self._waiting: list[LogBatch] = []
        self._waiting_bytes = 0
        self._has_ended = False
        self._changed = asyncio.Condition()
        self._committed: dict[TopicPartition, int] = {}
        self._events_total = 0

    @property
    def events_total(self) -> int:
        """Events this process has handed to the store since it began; of several that share a group, its part."""
        return self._events_total

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict."""
        return "store-writer"

    async def run(self, started: Callable[[], None]) -> None:
        """Store what the log brings until cancelled. Ends by itself only where the batches end."""
        started()
        reading = asyncio.create_task(self._read(), name="store-writer-read")
        committing = asyncio.create_task(self._commit_regularly(), name="store-writer-commit")
        try:
            writing = asyncio.create_task(self._write_all(), name="store-writer-write")
            try:
                await _first_failure(writing, reading, committing)
            finally:
                await _cancel(writing)
            await self._commit_flushed()
        finally:
            await _cancel(reading, committing)
            close = getattr(self._batches, "aclose", None)
            if close is not None:
                await close()

    async def _read(self) -> None:
        async for batch in self._batches:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting_bytes < WAITING_MAX_BYTES)
                self._waiting.append(batch)
                self._waiting_bytes += batch.size_bytes
                self._changed.notify_all()
        async with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    async def _write_all(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting or self._has_ended)
                batches, self._waiting, self._waiting_bytes = self._waiting, [], 0
                self._changed.notify_all()
            if not batches:
                return
            await self._write(batches)

    async def _write(self, batches: list[LogBatch]) -> None:
        while True:
            try:
                batches = await self._write_or_set_aside(batches)
            except Unavailable as away:
                logger.warning("store_write_delayed", reason=away.message, retry_after_s=away.retry_after_s)
                await asyncio.sleep(away.retry_after_s)
            else:
                if not batches:
                    await self._commit_flushed()
                    return

    async def _write_or_set_aside(self, batches: list[LogBatch]) -> list[LogBatch]:
        """What is left to write: nothing, or the batches without the unreadable one that was met."""
        try:
            await self._store.write(batches)
        except Corrupt as poison:
            return await self._set_aside(batches, poison)
        self._events_total += sum(batch.count for batch in batches)
        return []

    async def _set_aside(self, batches: list[LogBatch], poison: Corrupt) -> list[LogBatch]:
        """The batches with the unreadable one replaced by an empty one that moves its partition on."""
        place = (poison.details.get("topic"), poison.details.get("partition"), poison.details.get("offset"))
        for index, batch in enumerate(batches):
            if (batch.topic, batch.partition, batch.first_offset) == place:
                await self._dead_letter(batch, 1, poison.message)
                logger.warning("store_batch_dead_lettered", reason=poison.message, events=batch.count)
                return [*batches[:index], _empty_after(batch), *batches[index + 1 :]]
        raise poison

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit_flushed()

    async def _commit_flushed(self) -> None:
        try:
            flushed = dict(await self._store.flushed())
            if flushed != self._committed:
                await self._commit(flushed)
                self._committed = flushed
        except Unavailable as away:
            logger.warning("store_commit_delayed", reason=away.message)


def _empty_after(batch: LogBatch) -> LogBatch:
    nothing = np.empty(0, dtype=np.int64)
    return LogBatch(
        topic=batch.topic,
        partition=batch.partition,
        first_offset=batch.next_offset,
        rows=b"",
        ids=(),
        times_us=nothing,
        received_at_us=nothing,
        max_time_before_us=batch.max_time_before_us,
    )


async def _first_failure(writing: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    """Wait until the writing ends or anything fails."""
    pending: set[asyncio.Task[None]] = {writing, *others}
    while not writing.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    writing.result()


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
