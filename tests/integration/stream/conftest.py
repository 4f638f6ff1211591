"""A log on disk, a database, and queries to answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from weft.core.batch import LogBatch
from weft.core.position import TopicPartition
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.query import Query, read_query
from weft.testing.clock import ManualClock


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
