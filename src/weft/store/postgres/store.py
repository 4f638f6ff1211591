"""PostgresStore: the event store in a PostgreSQL database."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, Literal, Self, TypeVar

import structlog

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Invalid
from weft.core.event import Event
from weft.core.position import Positions, TopicPartition
from weft.store.asking import check_aggregate, check_select, check_series, check_trend
from weft.store.port import EventStore, check_adoption, check_binding
from weft.store.postgres import questions
from weft.store.postgres.connect import Link, Server, Unwritable
from weft.store.postgres.keeping import Keeping
from weft.store.postgres.lanes import Lanes
from weft.store.postgres.months import Months
from weft.store.postgres.schema import Layout, find_layout, make_tables, quoted
from weft.store.postgres.take import Taking, adopt_books
from weft.store.postgres.timescale import hourly_sql, hypertable_sql, is_wanted, size_sql
from weft.store.query import Aggregate, Group, Page, Select, Series, SeriesColumns, StoreState, TopicCount, Trend, TrendRow
from weft.store.settings import StoreSettings

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_REPLAYED_AT_ONCE: Final = 5_000
_UPKEEP_TIMEOUT_S: Final = 6 * 3600.0
"""Erasing and dropping months may take long; nobody waits for it."""


class PostgresStore(EventStore):
    """An event store in a PostgreSQL database: `postgresql://user:password@host:5432/database`.

    With `write=True` it makes its tables, takes batches, and drops what is past retention; any number of processes may do so at
    once. With `write=False` it only answers questions. What `write` returned for is committed, so nothing ever waits in
    memory and every process sees it.
    """

    reach: Literal["process", "host", "network"] = "network"

    def __init__(self, url: str, *, settings: StoreSettings, clock: Clock, write: bool = True) -> None:
        chosen = settings.postgres
        self._settings = settings
        self._clock = clock
        self._write = write
        self._schema = chosen.schema_name
        self._events = f"{quoted(self._schema)}.events"
        self._asking = Server(
            url, settings, size=chosen.pool_size, timeout_s=settings.question_timeout_s, name="weft store questions"
        )
        self._writing = Server(
            url, settings, size=chosen.write_connections, timeout_s=chosen.write_timeout_s, name="weft store writer"
        )
        self._upkeep = Server(url, settings, size=2, timeout_s=_UPKEEP_TIMEOUT_S, name="weft store upkeep")
        self._months = Months(self._schema)
        self._lanes = Lanes(self._writing, Taking(self._schema), self._months, settings, clock)
        self._keeping = Keeping(self._schema, self._months, settings, clock)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._asking.close)
            await self._asking.open()
            stack.push_async_callback(self._upkeep.close)
            await self._upkeep.open()
            if self._write:
                stack.push_async_callback(self._writing.close)
                await self._writing.open()
                await self._make_ready()
                task = asyncio.create_task(self._tidy_regularly(), name="weft-store-tidy")
                stack.push_async_callback(_stop, task)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _make_ready(self) -> None:
        async with self._upkeep.link() as link:
            layout = await find_layout(link, self._schema) or await self._make_tables(link)
            self._months.is_hypertable = layout.is_hypertable
            await self._keeping.make_ahead(link)

    async def _make_tables(self, link: Link) -> Layout:
        chosen = self._settings.postgres
        if not await is_wanted(link, chosen):
            return await make_tables(link, self._schema, hypertable_sql=None)
        return await make_tables(link, self._schema, hypertable_sql=hypertable_sql(chosen), after_sql=hourly_sql(chosen))

    async def bind(self, log_identity: str) -> None:
        self._check_writer("be bound to a log")
        table = f"{quoted(self._schema)}.event_store"
        async with self._upkeep.link() as link:
            await link.run(f"UPDATE {table} SET log_identity = $1 WHERE log_identity IS NULL", log_identity)
            known = await link.value(f"SELECT log_identity FROM {table}")
        check_binding(known, log_identity, f"PostgreSQL, schema {self._schema}")

    async def write(self, batches: Sequence[LogBatch]) -> None:
        self._check_writer("be written to")
        await self._lanes.write(batches)

    async def flushed(self) -> Positions:
        return {TopicPartition(count.topic, count.partition): count.position for count in await self._ask(self._counts)}

    async def get(self, event_id: str, *, source: str | None = None) -> Event | None:
        return await self._ask(lambda link: questions.find_event(link, self._events, event_id, source))

    async def select(self, select: Select) -> Page:
        check_select(select, self._settings)
        return await self._ask(lambda link: questions.select_page(link, self._events, select))

    async def aggregate(self, aggregate: Aggregate) -> Sequence[Group]:
        check_aggregate(aggregate, self._settings)
        return await self._ask(lambda link: questions.aggregate(link, self._events, aggregate))

    async def trend(self, trend: Trend) -> Sequence[TrendRow]:
        check_trend(trend)
        return await self._ask(lambda link: questions.trend(link, self._events, trend))

    async def series(self, series: Series) -> SeriesColumns:
        check_series(series)
        return await self._ask(lambda link: questions.series(link, self._events, series))

    async def erase(self, erasure: Erasure) -> int:
        if erasure == Erasure():
            raise Invalid("an erasure needs at least one condition", field="erasure")
        self._check_writer("erase")
        async with self._upkeep.link() as link:
            return await self._keeping.erase(link, erasure)

    async def tidy(self) -> None:
        """Make partitions ahead of time and remove what is past retention."""
        self._check_writer("tidy")
        async with self._upkeep.link() as link:
            await self._keeping.tidy(link)

    async def _tidy_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tidy_every_s)
            try:
                await self.tidy()
            except Exception as failed:  # whatever it is, the next round may go well
                logger.warning("store_tidy_failed", reason=str(failed), error=type(failed).__name__)

    async def replay(self, at: TopicPartition, offset: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        sql, values = questions.replay_sql(self._events, at, offset)
        async with self._upkeep.link() as link, aclosing(link.stream(sql, *values, size=_REPLAYED_AT_ONCE)) as parts:
            async for rows in parts:
                yield [questions.to_event(row) for row in rows]

    async def adopt(self, books: Sequence[TopicCount]) -> None:
        self._check_writer("take over books")
        check_adoption(await self.flushed(), books)
        async with self._upkeep.link() as link:
            await adopt_books(link, self._schema, books)

    async def state(self) -> StoreState:
        return await self._ask(self._state)

    async def _state(self, link: Link) -> StoreState:
        topics = await self._counts(link)
        layout = await find_layout(link, self._schema)
        size = "coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint"
        if layout is not None and layout.is_hypertable:
            size = size_sql(self._settings.postgres)
        ((size_bytes, tables, oldest, newest),) = await link.rows(
            f'SELECT {size}, count(*), (SELECT min("timestamp") FROM {self._events}),'
            f' (SELECT max("timestamp") FROM {self._events}) FROM pg_inherits WHERE inhparent = to_regclass($1)',
            self._events,
        )
        return StoreState(
            topics=topics,
            events=sum(count.stored_total - count.erased_total - count.retired_total for count in topics),
            size_bytes=size_bytes,
            files=tables,
            tail_events=0,
            tail_bytes=0,
            oldest_us=oldest,
            newest_us=newest,
            details={"refusal": self._lanes.refusal, "flush_s": self._lanes.took_s},
        )

    async def _counts(self, link: Link) -> list[TopicCount]:
        rows = await link.rows(
            'SELECT topic, "partition", position, stored, repeats, expired, ticks, skipped, erased, retired'
            f" FROM {quoted(self._schema)}.event_positions WHERE position > 0 OR stored > 0 ORDER BY 1, 2"
        )
        return [_count_of(row) for row in rows]

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        try:
            async with self._asking.link() as link:
                return await question(link)
        except Unwritable as refused:
            raise Invalid(f"PostgreSQL cannot work with a value of the question: {refused}") from refused

    def _check_writer(self, what: str) -> None:
        if not self._write:
            raise Conflict(f"this store was opened for reading; it cannot {what}")


def _count_of(row: tuple[Any, ...]) -> TopicCount:
    topic, partition, position, stored, repeats, expired, ticks, skipped, erased, retired = row
    return TopicCount(
        topic=topic,
        partition=partition,
        position=position,
        flushed_position=position,
        stored_total=stored,
        repeats_total=repeats,
        expired_total=expired,
        ticks_total=ticks,
        skipped_total=skipped,
        erased_total=erased,
        retired_total=retired,
    )


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
