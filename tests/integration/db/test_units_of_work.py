"""Units of work on a real file: whole or not at all, one writer at a time, and errors in our own words."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from weft.core.errors import Conflict, StorageFull, Unavailable
from weft.core.verdict import Level
from weft.db.checks import database_checks
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.db.settings import DbSettings
from weft.testing.clock import ManualClock


@asynccontextmanager
async def opened(url: str, *, busy_timeout_s: float = 10) -> AsyncIterator[Database]:
    database = Database(url, settings=DbSettings(busy_timeout_s=busy_timeout_s))
    if database.file is not None:
        database.file.parent.mkdir()
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE counters (name VARCHAR(8) PRIMARY KEY, value INTEGER NOT NULL)"))
        await session.execute(text("INSERT INTO counters VALUES ('a', 0)"))
    yield database
    await database.close()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with opened(url) as database:
        yield database


@pytest.fixture
async def file_database(sqlite_url: str) -> AsyncIterator[Database]:
    async with opened(sqlite_url) as database:
        yield database


async def value(database: Database) -> int:
    async with database.reading() as session:
        return (await session.execute(text("SELECT value FROM counters WHERE name = 'a'"))).scalar_one()


async def test_what_is_done_in_one_unit_happens_whole_or_not_at_all(database: Database) -> None:
    async def unit() -> None:
        async with database.writing() as session:
            await session.execute(text("UPDATE counters SET value = 7"))
            await session.execute(text("CREATE TABLE half (x INTEGER)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unit()
    assert await value(database) == 0
    async with database.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["counters"]


_COUNT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2500) SELECT x FROM n"


async def test_every_row_comes_however_many_there_are(database: Database) -> None:
    async with database.reading() as session:
        assert (await session.scalars(text(_COUNT))).all() == list(range(1, 2501))
        parts = [part async for part in (await session.stream_scalars(text(_COUNT))).partitions(700)]
    assert [len(part) for part in parts] == [700, 700, 700, 400]
    assert [row for part in parts for row in part] == list(range(1, 2501))


async def test_who_stops_reading_in_the_middle_keeps_nobody_from_writing(database: Database) -> None:
    async with database.reading() as session:
        rows = await session.stream_scalars(text(_COUNT))
        assert await anext(aiter(rows)) == 1
        await rows.close()
    async with database.writing() as session:
        await session.execute(text("UPDATE counters SET value = 7"))
    assert await value(database) == 7


async def test_a_cancelled_unit_leaves_nothing_and_holds_no_lock(database: Database) -> None:
    inside = asyncio.Event()

    async def unit() -> None:
        async with database.writing() as session:
            await session.execute(text("UPDATE counters SET value = 7"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(unit())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.writing() as session:
        await session.execute(text("UPDATE counters SET value = value + 1"))
    assert await value(database) == 1


@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_whoever_is_cancelled_while_reading_keeps_no_writer_waiting(sqlite_url: str, turns: int) -> None:
    async with opened(sqlite_url, busy_timeout_s=0.5) as database:

        async def read() -> None:
            async with database.reading() as session:
                await session.execute(text(MANY_ROWS))

        task = asyncio.create_task(read())
        for _ in range(turns):  # so that it is cancelled in every moment of its work, the long one above all
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        async with database.writing() as session:
            await session.execute(text("UPDATE counters SET value = value + 1"))
        assert await value(database) == 1
        assert cancelled.tb is not None  # which knows the cursor


async def test_writers_that_read_first_wait_for_each_other_and_lose_nothing(database: Database) -> None:
    async def add() -> None:
        async with database.writing() as session:
            now = (await session.execute(text(SELECT_TO_CHANGE[database.kind]))).scalar_one()
            await session.execute(text("UPDATE counters SET value = :value"), {"value": now + 1})

    await asyncio.gather(*(add() for _ in range(20)))
    assert await value(database) == 20


MANY_ROWS = """
WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000)
SELECT x, value FROM n, counters WHERE x > 100000
"""
SELECT_TO_CHANGE = {
    "sqlite": "SELECT value FROM counters",  # a unit that writes has the database to itself
    "postgresql": "SELECT value FROM counters FOR UPDATE",
}
ADD = """
import asyncio, sys
from sqlalchemy import inspect, text
from weft.db.database import Database
async def main():
    database = Database(sys.argv[1])
    for _ in range(15):
        async with database.writing() as session:
            now = (await session.execute(text(sys.argv[2]))).scalar_one()
            await session.execute(text("UPDATE counters SET value = :value"), {"value": now + 1})
    await database.close()
asyncio.run(main())
"""


async def test_writers_in_other_processes_lose_nothing_either(url: str, database: Database) -> None:
    command = [sys.executable, "-c", ADD, url, SELECT_TO_CHANGE[database.kind]]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(2)]
    assert [await process.wait() for process in processes] == [0, 0]
    assert await value(database) == 30


async def test_a_taken_value_is_a_conflict(database: Database) -> None:
    with pytest.raises(Conflict):
        async with database.writing() as session:
            await session.execute(text("INSERT INTO counters VALUES ('a', 1)"))


async def test_a_lock_held_too_long_is_unavailable(url: str, database: Database) -> None:
    hasty = Database(url, settings=DbSettings(busy_timeout_s=0.05, answer_timeout_s=0.2))
    async with database.writing() as session:
        await session.execute(text("UPDATE counters SET value = 7"))
        with pytest.raises(Unavailable, match=r"locked|in time"):
            async with hasty.writing() as second:
                await second.execute(text("UPDATE counters SET value = 8"))
    await hasty.close()
    assert await value(database) == 7


async def test_no_free_connection_is_unavailable_and_not_a_hang(url: str, database: Database) -> None:
    small = Database(url, settings=DbSettings(pool_size=1, max_overflow=0, busy_timeout_s=0.05))
    async with small.reading() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(Unavailable, match="no free connection"):
            await asyncio.create_task(small.probe())
    await small.probe()
    await small.close()


async def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'weft.db'}")
    with pytest.raises(Unavailable, match="sqlite database does not answer"):
        await database.probe()
    await database.close()
    # The driver does not wait for its thread where opening failed; the thread has to end before the loop does.
    for thread in set(threading.enumerate()) - before:
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "weft.db").write_bytes(b"something else entirely" * 100)
    database = Database(f"sqlite:///{tmp_path / 'weft.db'}")
    with pytest.raises(Unavailable, match="not a database"):
        await database.probe()
    await database.close()


async def test_a_full_disk_is_told_as_what_it_is(file_database: Database) -> None:
    database = file_database
    async with database.reading() as session:
        pages = (await session.execute(text("PRAGMA page_count"))).scalar_one()

    async def unit() -> None:
        async with database.writing() as session:
            await session.execute(text(f"PRAGMA max_page_count={pages}"))
            await session.execute(text("INSERT INTO counters VALUES (hex(zeroblob(100000)), 1)"))

    with pytest.raises(StorageFull, match="disk"):
        await unit()
    assert await value(database) == 0


async def test_every_connection_flushes_at_commit_and_checks_references(file_database: Database) -> None:
    database = file_database
    async with database.reading() as session:
        asked = ["synchronous", "foreign_keys", "busy_timeout"]
        found = [(await session.execute(text(f"PRAGMA {name}"))).scalar_one() for name in asked]
    assert found == [2, 1, 10_000]


async def test_the_verdict_asks_the_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'weft.db'}")
    check = database_checks(database, ManualClock())["db.answers"]
    await database.probe()
    assert (await check()).level is Level.ACT  # no schema yet
    await migrate(database)
    assert (await check()).level is Level.FINE
    await database.close()
    (tmp_path / "weft.db").write_bytes(b"something else entirely" * 100)
    finding = await check()
    assert finding.level is Level.ACT
    assert "sign in" in finding.why
    await database.close()


def test_a_forgotten_database_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom weft.db.database import Database\n"
        "async def main():\n    database = Database(sys.argv[1])\n    await database.probe()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, f"sqlite:///{tmp_path / 'x.db'}"], timeout=30, check=False)
    assert done.returncode == 0


async def test_a_commit_that_found_the_file_busy_leaves_nobody_locked_out(sqlite_url: str) -> None:
    """It used to go back into the pool with its transaction open, and nobody could write any more."""
    async with opened(sqlite_url) as ready:
        impatient = Database(sqlite_url, settings=DbSettings(busy_timeout_s=0.2))
        async with ready.reading() as reading:
            await reading.execute(text("SELECT value FROM counters"))  # as long as it is open nobody can commit
            with pytest.raises(Unavailable, match="locked"):
                async with impatient.writing() as session:
                    await session.execute(text("UPDATE counters SET value = 1"))

        async with ready.writing() as session:
            await session.execute(text("UPDATE counters SET value = 2"))
        async with impatient.writing() as session:
            await session.execute(text("UPDATE counters SET value = value + 1"))
        await impatient.close()
        assert await value(ready) == 3


@pytest.mark.parametrize("inner", ["reading", "writing"])
async def test_a_unit_inside_another_is_a_mistake_that_is_told_at_once(database: Database, inner: str) -> None:
    """It would wait for a writer that waits for the outer one, but only now and then."""
    async with database.reading():
        with pytest.raises(RuntimeError, match="inside another"):
            async with getattr(database, inner)():
                pass


async def test_writers_of_one_process_come_in_turn(file_database: Database) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with file_database.writing() as session:
            order.append(number)
            await session.execute(text("UPDATE counters SET value = value + 1"))

    await asyncio.gather(*(write(number) for number in range(30)))

    assert order == list(range(30))
    assert await value(file_database) == 30
