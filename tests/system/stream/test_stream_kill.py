"""kill -9 at random moments: every window is answered once, as if nothing had happened, and so is every late event."""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.stream.conftest import make_query, read_topic, until
from weft.core.batch import LogBatch
from weft.core.clock import SystemClock
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.catalogue import Catalogue
from weft.stream.query import Query
from weft.stream.share import GROUP
from weft.stream.state import list_states
from weft.stream.trial import Trial
from weft.testing.factories import NOON_US, make_batch, make_row

ANSWERING = Path(__file__).parent / "answering.py"
QUERIES = (
    make_query("tumbling", key=["source"], select={"count": "count", "sum": "sum(number)"}),
    make_query("sliding", window={"sliding": "20s", "slide": "5s"}, select={"top": "max(number)"}, lateness="5s"),
    make_query("session", window={"session": "1s"}, key=["source"], select={"mean": "avg(number)"}),
    make_query("revised", key=["source"], lateness="10s", emit="revisions", every="5s"),
)
CHANGING = make_query("changing", key=["source"])


class Feed:
    """Appends events, some out of order and some late, while event time runs ahead."""

    def __init__(self, log: Log, chance: random.Random) -> None:
        self._log = log
        self._chance = chance
        self._second = 0.0
        self._number = 0

    async def run(self) -> None:
        while True:
            await self.send()
            await asyncio.sleep(0.02)

    async def send(self) -> None:
        chance = self._chance
        self._second += chance.random() * 0.6
        count = chance.choice((1, 3, 20))
        sources = [f"s{chance.randrange(5)}" for _ in range(count)]
        behind = [chance.choice((0.0, 0.4, 0.9)) if chance.random() > 0.02 else 30.0 for _ in range(count)]
        rows = [make_row(source=source, data={"number": self._number + n}) for n, source in enumerate(sources)]
        self._number += count
        times_us = [NOON_US + round((self._second - late) * SECOND_US) for late in behind]
        received_at_us = NOON_US + round(self._second * SECOND_US)
        await self._log.append(make_batch(rows, times_us=times_us, received_at_us=received_at_us))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(), clock=SystemClock()) as log:
        yield log


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'weft.db'}")
    await migrate(database)
    yield database
    await database.close()


async def start(folder: Path) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(ANSWERING), str(folder), stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def run(database: Database, names: set[str]) -> None:
    """Wait until these queries are computed."""

    async def look() -> bool:
        return {figure.name for state in await list_states(database) for figure in state.figures.values()} >= names

    await until(look)


async def position(log: Log) -> int:
    """How far the events are read, as far as that is saved."""
    return sum(part.positions.get(GROUP, 0) for part in (await log.state()).partitions if part.topic == "events")


async def moved(log: Log) -> None:
    """Wait until more is read than now."""
    before = await position(log)

    async def look() -> bool:
        return await position(log) > before

    await until(look)


async def caught_up(log: Log) -> None:
    """Wait until everything is read and that is saved."""

    async def look() -> bool:
        parts = [part for part in (await log.state()).partitions if part.topic == "events"]
        return all(part.positions.get(GROUP) == part.end_offset for part in parts)

    await until(look)


async def rounds(folder: Path, log: Log, database: Database, count: int, seed: int) -> None:
    chance = random.Random(seed)
    catalogue = Catalogue(database, log, SystemClock())
    for query in (*QUERIES, CHANGING):
        await catalogue.put(query, "user:ada")
    process = await start(folder)
    feeding = asyncio.create_task(run(database, {query.name for query in (*QUERIES, CHANGING)}))
    try:
        await feeding
        feeding = asyncio.create_task(Feed(log, chance).run())
        for number in range(count):
            await moved(log)
            await asyncio.sleep(chance.random() * 0.5)
            if number % 2:
                changed = make_query("changing", key=["source"], select={"count": "count", f"top{number}": "max(number)"})
                await catalogue.put(changed, "user:ada")
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await start(folder)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await caught_up(log)
    finally:
        feeding.cancel()
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def check(log: Log) -> None:
    batches = await read_topic(log, "events")
    late: set[int] = set()
    for query in QUERIES:
        expected, late_of = would_answer(query, batches)
        late |= late_of
        told = await answers(log, query.name)
        assert told
        assert [key for key, times in Counter(window_of(one) for one in told).items() if times > 1] == []
        assert {window_of(one): one["values"] for one in told} == expected
    expected, late_of = would_answer(CHANGING, batches)
    told = await answers(log, "changing")
    assert [key for key, times in Counter(window_of(one) for one in told).items() if times > 1] == []
    assert {window_of(one): one["values"]["count"] for one in told} == {
        window: values["count"] for window, values in expected.items()
    }
    assert len({one["version"] for one in told}) > 1
    found = [event_id for batch in await read_topic(log, "events.late") for event_id in batch.ids]
    assert len(found) == len(set(found))
    assert {int(event_id.rsplit("/", 1)[1]) for event_id in found} == late | late_of


def would_answer(query: Query, batches: list[LogBatch]) -> tuple[dict[tuple[Any, ...], Any], set[int]]:
    """What a query answers when nobody is killed, and the offsets of its late events."""
    trial = Trial(query, bound_us=SECOND_US, limit_bytes=2**30)
    found: dict[tuple[Any, ...], Any] = {}
    late: set[int] = set()
    for batch in batches:
        results, too_late = trial.take(batch)
        for result in results:
            key = tuple(result.key.values())
            found[key, result.start_us, result.end_us, result.revision, result.final] = result.values
        late |= {one.offset for one in too_late}
    return found, late


def window_of(told: dict[str, Any]) -> tuple[Any, ...]:
    window = told["window"]
    return tuple(told["key"].values()), window["start_us"], window["end_us"], told["revision"], told["final"]


async def answers(log: Log, name: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(row.data) for batch in await read_topic(log, f"analytics.{name}") for row in batch.event_rows]


async def test_after_kill_9_every_window_is_answered_once(tmp_path: Path, log: Log, database: Database) -> None:
    await rounds(tmp_path, log, database, 3, seed=1)
    await check(log)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_after_kill_9_every_window_is_answered_once_in_many_rounds(tmp_path: Path, log: Log, database: Database) -> None:
    await rounds(tmp_path, log, database, 200, seed=2)
    await check(log)
