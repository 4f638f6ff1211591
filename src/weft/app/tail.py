"""Reading a store that another process owns: what its owner has not flushed yet is taken from the log, when somebody asks."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal, Self, TypeVar

from weft.core.batch import LogBatch
from weft.core.erasure import Erasure
from weft.core.errors import Corrupt
from weft.core.event import Event
from weft.core.position import Positions, TopicPartition
from weft.log.port import Log
from weft.store.port import EventStore
from weft.store.query import Aggregate, Group, Page, Select, Series, SeriesColumns, StoreState, TopicCount, Trend, TrendRow

Answer = TypeVar("Answer")


class FreshStore(EventStore):
    """A reader of the store that first catches up with the log, so that its answers hold what was acknowledged before the
    question. Nothing is read while nobody asks: a process that only takes events in pays nothing for it."""

    reach: Literal["process", "host", "network"]

    def __init__(self, store: EventStore, log: Log) -> None:
        self.reach = store.reach
        self._store = store
        self._log = log
        self._positions: dict[TopicPartition, int] = {}
        self._turn = asyncio.Lock()
        self._catch_ups = 0

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._store.__aexit__(None, None, None)

    async def bind(self, log_identity: str) -> None:
        await self._store.bind(log_identity)

    async def write(self, batches: Sequence[LogBatch]) -> None:
        await self._store.write(batches)

    async def flushed(self) -> Positions:
        return await self._store.flushed()

    async def get(self, event_id: str, *, source: str | None = None) -> Event | None:
        return await self._after_catching_up(lambda: self._store.get(event_id, source=source))

    async def select(self, select: Select) -> Page:
        return await self._after_catching_up(lambda: self._store.select(select))

    async def aggregate(self, aggregate: Aggregate) -> Sequence[Group]:
        return await self._after_catching_up(lambda: self._store.aggregate(aggregate))

    async def trend(self, trend: Trend) -> Sequence[TrendRow]:
        return await self._after_catching_up(lambda: self._store.trend(trend))

    async def series(self, series: Series) -> SeriesColumns:
        return await self._after_catching_up(lambda: self._store.series(series))

    async def erase(self, erasure: Erasure) -> int:
        return await self._store.erase(erasure)

    def replay(self, at: TopicPartition, offset: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        return self._store.replay(at, offset)

    async def adopt(self, books: Sequence[TopicCount]) -> None:
        await self._store.adopt(books)

    async def state(self) -> StoreState:
        return await self._after_catching_up(self._store.state)

    async def _after_catching_up(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        seen = self._catch_ups
        async with self._turn:
            if self._catch_ups == seen:  # a later one began after this question was asked and serves it too
                self._catch_ups += 1
                await self._catch_up()
        return await ask()

    async def _catch_up(self) -> None:
        flushed = await self._store.flushed()
        for state in (await self._log.state()).partitions:
            place = TopicPartition(state.topic, state.partition)
            offset = max(flushed.get(place, 0), self._positions.get(place, 0), state.start_offset)
            while offset < state.end_offset:
                offset = await self._take(place, offset) or state.end_offset
            self._positions[place] = offset

    async def _take(self, place: TopicPartition, offset: int) -> int | None:
        """Hand over what stands at an offset; returns the next one, or None at the end."""
        try:
            batches = await self._log.read(place, offset)
        except Corrupt as damage:
            return int(damage.details["next_offset"])
        for batch in batches:
            try:
                await self._store.write([batch])
            except Corrupt:
                continue  # its owner sets it aside as a dead letter; a reader only steps over it
        return batches[-1].next_offset if batches else None
