"""A log on disk, a database, and queries to answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from sqlalchemy import select

from weft.api.metrics import Metrics
from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.catalogue import Catalogue
from weft.stream.query import Query, read_query
from weft.stream.runner import StreamRunner
from weft.stream.settings import StreamSettings
from weft.stream.state import list_states
from weft.stream.tables import StreamStateRow
from weft.stream.tally import Tally
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_batch, make_row


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Log]:
    async with SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(), clock=clock) as log:
        yield log


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'weft.db'}")
    await migrate(database)
    yield database
    await database.close()


def make_query(name: str = "counts", **members: Any) -> Query:
    """A valid query; any member can be given."""
    return read_query({"name": name, "from": "events", "window": "10s", "select": {"count": "count"}, **members})


async def read_topic(log: Log, topic: str) -> list[LogBatch]:
    """Everything a topic holds, partition by partition."""
    found: list[LogBatch] = []
    for part in (await log.state()).partitions:
        offset = part.start_offset
        while part.topic == topic and offset < part.end_offset:
            batches = await log.read(TopicPartition(topic, part.partition), offset)
            found.extend(batches)
            offset = batches[-1].next_offset
    return found


class Analytics:
    """A process that plays analytics, in this one: it runs while the block does."""

    def __init__(self, log: Log, database: Database, clock: Clock, **settings: Any) -> None:
        self.log = log
        self.clock = clock
        self.database = database
        self.settings = StreamSettings(**{"built_in_queries": False, "save_interval_s": 0.05, **settings})
        self.catalogue = Catalogue(database, log, clock)
        self.metrics = Metrics()
        self.tally = Tally(self.metrics)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        runner = StreamRunner(
            log=self.log,
            database=self.database,
            catalogue=self.catalogue,
            clock=self.clock,
            settings=self.settings,
            tally=self.tally,
        )
        started = asyncio.Event()
        self._task = asyncio.create_task(runner.run(started.set))
        await started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def runs(self, name: str, version: int = 1) -> None:
        """Wait until a version of a query is computed and that is saved."""

        async def look() -> bool:
            states = await list_states(self.database)
            figures = [figure for state in states for figure in state.figures.values()]
            return any((figure.name, figure.version, figure.until_us) == (name, version, None) for figure in figures)

        await until(look)


async def saved_states(database: Database) -> list[dict[str, Any]]:
    """Everything that is saved, as it stands in the database."""
    async with database.reading() as session:
        return [dict(row) for row in (await session.execute(select(StreamStateRow.__table__))).mappings()]


async def forget_what_came_after(database: Database, states: Sequence[dict[str, Any]]) -> None:
    """Put what was saved earlier in the place of what was saved last, as if the process had been killed before."""
    async with database.writing() as session:
        for state in states:
            await session.merge(StreamStateRow(**state))


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not await look():  # noqa: ASYNC110 - what is waited for happens in a database or in another process
            await asyncio.sleep(0.01)


async def send(log: Log, *seconds: float, topic: str = "events", **fields: Any) -> None:
    """Append events that happened so many seconds after noon."""
    rows = [make_row(number, **fields) for number in range(len(seconds))]
    times_us = [NOON_US + round(second * SECOND_US) for second in seconds]
    await log.append(make_batch(rows, topic=topic, times_us=times_us, received_at_us=max(times_us)))


async def results(log: Log, count: int, query: str = "counts") -> list[dict[str, Any]]:
    """What a query has answered, once there are so many answers."""

    async def look() -> bool:
        return sum(batch.count for batch in await read_topic(log, f"analytics.{query}")) >= count

    await until(look)
    batches = await read_topic(log, f"analytics.{query}")
    return [msgspec.json.decode(row.data) for batch in batches for row in batch.event_rows]


def windows(told: Sequence[dict[str, Any]], value: str = "count") -> list[tuple[float, Any]]:
    """Start of the window in seconds after noon and one value, of each result."""
    return [((one["window"]["start_us"] - NOON_US) / SECOND_US, one["values"][value]) for one in told]
