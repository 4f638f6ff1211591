"""Lanes: several connections that write at the same time, each a partition of the log of its own, while the next batches are
being encoded."""

import asyncio
import time
from collections.abc import Sequence

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.errors import Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.store.postgres.connect import Again, NoPartition, Server, Unwritable
from weft.store.postgres.months import Months
from weft.store.postgres.take import Prepared, Taking, corrupt, prepare
from weft.store.settings import StoreSettings

_TRIES = 5


class Lanes:
    """Takes batches, each partition in its order, several partitions at a time."""

    def __init__(self, server: Server, taking: Taking, months: Months, settings: StoreSettings, clock: Clock) -> None:
        self._server = server
        self._taking = taking
        self._months = months
        self._settings = settings
        self._clock = clock
        self._positions: dict[TopicPartition, int] = {}
        self.refusal: str | None = None
        """Why the last write was refused, or None."""
        self.took_s: float | None = None
        """Seconds the last transaction took."""

    async def write(self, batches: Sequence[LogBatch]) -> None:
        """Store batches. Raises the first thing that went wrong, after the other partitions are done."""
        by_place: dict[TopicPartition, list[LogBatch]] = {}
        for batch in batches:
            place = TopicPartition(batch.topic, batch.partition)
            if batch.next_offset > self._positions.get(place, 0):
                by_place.setdefault(place, []).append(batch)
        lanes = _dealt(list(by_place.values()), self._settings.postgres.write_connections)
        try:
            done = await asyncio.gather(*(self._write_lane(lane) for lane in lanes), return_exceptions=True)
            for failure in done:
                if isinstance(failure, BaseException):
                    raise failure
        except Unavailable as refused:
            self.refusal = refused.message
            raise
        self.refusal = None

    async def _write_lane(self, batches: Sequence[LogBatch]) -> None:
        chunks = _chunks(batches, self._settings.postgres.write_bytes)
        if not chunks:
            return
        ahead = self._prepare_soon(chunks[0])
        try:
            for number in range(len(chunks)):
                prepared, failure = await ahead
                if failure is None and number + 1 < len(chunks):
                    ahead = self._prepare_soon(chunks[number + 1])
                if prepared:
                    await self._write_chunk(prepared)
                if failure is not None:
                    raise failure
        finally:
            await asyncio.gather(ahead, return_exceptions=True)

    def _prepare_soon(self, chunk: Sequence[LogBatch]) -> "asyncio.Future[tuple[list[Prepared], Exception | None]]":
        return asyncio.ensure_future(asyncio.to_thread(self._prepare, chunk))

    def _prepare(self, chunk: Sequence[LogBatch]) -> tuple[list[Prepared], Exception | None]:
        """The batches up to the first unreadable one, and what is wrong with that."""
        prepared: list[Prepared] = []
        for batch in chunk:
            try:
                prepared.append(prepare(batch, self._cutoff_us(batch.topic)))
            except WeftError as failure:
                return prepared, failure
            except Exception as failure:  # whatever it is, it must not hold up the batches behind it
                return prepared, corrupt(batch, repr(failure))
        return prepared, None

    async def _write_chunk(self, prepared: Sequence[Prepared]) -> None:
        """One transaction for all; where the server refuses a value, one for each batch, to find out whose it is."""
        try:
            await self._transact(prepared)
        except Unwritable as refused:
            if len(prepared) > 1:
                for one in prepared:
                    await self._write_chunk([one])
                return
            batch = prepared[0].batch
            try:
                again = await asyncio.to_thread(prepare, batch, self._cutoff_us(batch.topic), doubted=True)
                await self._transact([again])
            except WeftError:
                raise
            except Exception as still:  # the server refuses it again, or it is beyond what can be taken apart here
                raise corrupt(batch, str(refused)) from still

    async def _transact(self, prepared: Sequence[Prepared]) -> None:
        cutoffs = {some.batch.topic: self._cutoff_us(some.batch.topic) for some in prepared}
        began = time.perf_counter()
        for _ in range(_TRIES):
            try:
                async with self._server.link() as link:
                    await self._months.ensure(link, {month for some in prepared for month in some.months})
                    self._positions.update(await self._taking.take(link, prepared, cutoffs))
            except NoPartition:
                self._months.forget()
            except Again:
                continue
            else:
                self.took_s = time.perf_counter() - began
                return
        raise Unavailable(f"other writers got in the way of a transaction {_TRIES} times; it is tried again", retry_after_s=1)

    def _cutoff_us(self, topic: str) -> int | None:
        return self._settings.cutoff_us(topic, self._clock.now_us())


def _dealt(places: list[list[LogBatch]], lanes: int) -> list[list[LogBatch]]:
    """The partitions dealt out to lanes, the largest first, each to the lane that has least."""
    dealt: list[list[LogBatch]] = [[] for _ in range(min(lanes, len(places)))]
    sizes = [0] * len(dealt)
    for batches in sorted(places, key=lambda batches: -sum(batch.size_bytes for batch in batches)):
        least = sizes.index(min(sizes))
        dealt[least] += batches
        sizes[least] += sum(batch.size_bytes for batch in batches)
    return dealt


def _chunks(batches: Sequence[LogBatch], most_bytes: int) -> list[list[LogBatch]]:
    chunks: list[list[LogBatch]] = []
    size = most_bytes
    for batch in batches:
        if size >= most_bytes:
            chunks.append([])
            size = 0
        chunks[-1].append(batch)
        size += batch.size_bytes
    return chunks
