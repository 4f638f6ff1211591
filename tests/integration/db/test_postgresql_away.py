"""PostgreSQL gone, restarted, killed in a commit or swallowed: told in our own words and bounded time, then used again."""

import asyncio
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.services.fixtures import run_server
from tests.services.install import POSTGRES
from tests.services.postgres import PostgresServer
from tests.services.proxy import TcpProxy
from weft.core.errors import Conflict, Invalid, Unavailable
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.db.settings import DbSettings


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory, services_folder: Path) -> Generator[PostgresServer]:
    folder = services_folder / tmp_path_factory.mktemp("postgres").name
    yield from run_server(PostgresServer(folder), POSTGRES)  # pyright: ignore[reportReturnType]


async def count(database: Database) -> int:
    async with database.reading() as session:
        return (await session.execute(text("SELECT count(*) FROM numbers"))).scalar_one()


async def add(database: Database, number: int) -> None:
    async with database.writing() as session:
        await session.execute(text("INSERT INTO numbers VALUES (:number, 'x')"), {"number": number})


async def with_table(database: Database) -> Database:
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY, word VARCHAR(4))"))
    return database


@pytest.mark.contract("SF-17")
async def test_a_restart_and_a_kill_under_load_lose_nothing_that_was_committed(own_server: PostgresServer) -> None:
    database = await with_table(Database(own_server.create_database()))
    done: list[int] = []
    told: set[type[Exception]] = set()
    stop = asyncio.Event()

    async def write(first: int) -> None:
        number = first
        while not stop.is_set():
            try:
                await add(database, number)
                done.append(number)
            except (Unavailable, Conflict) as refused:
                told.add(type(refused))  # Conflict: the answer to a commit was lost, and the number is there already
            number += 10
            await asyncio.sleep(0.002)

    async def until_more() -> None:
        known = len(done)
        async with asyncio.timeout(60):
            while len(done) < known + 20:  # noqa: ASYNC110 - the writers go on by themselves
                await asyncio.sleep(0.01)

    writers = [asyncio.create_task(write(first)) for first in range(4)]
    await until_more()
    await asyncio.to_thread(own_server.kill)
    await asyncio.to_thread(own_server.start)
    await until_more()
    await asyncio.to_thread(own_server.stop)
    await asyncio.to_thread(own_server.start)
    await until_more()
    stop.set()
    await asyncio.gather(*writers)
    async with database.reading() as session:
        kept = set((await session.execute(text("SELECT number FROM numbers"))).scalars())
    assert set(done) - kept == set(), "these were told to be committed"
    assert Unavailable in told
    await database.close()


async def test_a_server_that_is_not_there_is_unavailable_at_once(free_port: int) -> None:
    database = Database(f"postgresql://u:hunter2@127.0.0.1:{free_port}/weft")
    for ask in (database.probe, lambda: migrate(database)):
        with pytest.raises(Unavailable, match="cannot be reached") as away:
            await ask()
        assert "hunter2" not in away.value.message
    await database.close()


async def test_a_wrong_password_and_a_missing_database_are_told(postgres_server: PostgresServer) -> None:
    for url, why in (
        (f"postgresql://postgres:hunter2@127.0.0.1:{postgres_server.port}/postgres", "password"),
        (postgres_server.url_of("nowhere"), "does not exist"),
    ):
        database = Database(url)
        with pytest.raises(Unavailable, match=why) as away:
            await database.probe()
        assert "hunter2" not in away.value.message
        await database.close()


async def test_a_swallowed_connection_costs_no_more_than_the_time_allowed(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database().rsplit("/", 1)[1]
    settings = DbSettings(connect_timeout_s=0.3, answer_timeout_s=0.3, pool_size=2, max_overflow=0, busy_timeout_s=1)
    with TcpProxy(postgres_server.port) as proxy:
        database = await with_table(Database(postgres_server.url_of(name, port=proxy.port), settings=settings))
        await add(database, 1)
        proxy.black_hole()
        for work in (lambda: count(database), lambda: add(database, 2)):
            began_s = time.monotonic()
            with pytest.raises(Unavailable):
                await work()
            assert time.monotonic() - began_s < 10
        proxy.heal()
        async with asyncio.timeout(20):
            while True:
                try:
                    await add(database, 3)
                    break
                except Unavailable:
                    continue
        assert await count(database) >= 2
        await database.close()


async def test_one_silent_connection_is_enough_to_give_up_all_of_its_age(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database().rsplit("/", 1)[1]
    settings = DbSettings(connect_timeout_s=0.5, answer_timeout_s=0.5, pool_size=3, busy_timeout_s=5)
    with TcpProxy(postgres_server.port) as proxy:
        database = Database(postgres_server.url_of(name, port=proxy.port), settings=settings)

        async def backends() -> set[int]:
            barrier = asyncio.Barrier(3)

            async def one() -> int:
                async with database.reading() as session:
                    pid: int = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                    await barrier.wait()
                    return pid

            return set(await asyncio.gather(*(one() for _ in range(3))))

        before = await backends()
        assert len(before) == 3
        proxy.black_hole()
        with pytest.raises(Unavailable):
            await database.probe()
        proxy.heal()
        assert await backends() & before == set(), "each of them would have cost somebody a wait"
        await database.close()


async def test_a_pool_has_the_connections_it_was_given_and_no_more(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    database = Database(url, settings=DbSettings(pool_size=2, max_overflow=1, busy_timeout_s=0.2))
    release = asyncio.Event()
    inside = asyncio.Semaphore(0)

    async def hold() -> None:
        async with database.reading() as session:
            await session.execute(text("SELECT 1"))
            inside.release()
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    for _ in holders:
        await inside.acquire()
    with pytest.raises(Unavailable, match="no free connection"):
        await database.probe()
    release.set()
    await asyncio.gather(*holders)
    open_now = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weft' AND datname = current_database()"
    async with database.reading() as session:
        assert (await session.execute(text(open_now))).scalar_one() == 2, "what was beyond the pool is closed again"
    await database.close()


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO numbers VALUES (1, 'too long')", "INSERT INTO numbers VALUES (99999999999, 'x')"],
)
async def test_a_value_that_does_not_fit_is_refused_and_no_outage(postgres_server: PostgresServer, statement: str) -> None:
    database = await with_table(Database(postgres_server.create_database()))
    with pytest.raises(Invalid, match="cannot take"):
        async with database.writing() as session:
            await session.execute(text(statement))
    with pytest.raises(Invalid, match="cannot take"):
        async with database.reading() as session:
            await session.execute(text("SELECT * FROM numbers WHERE word = :word"), {"word": "a\x00"})
    await database.close()


async def test_a_move_waits_for_another_longer_than_a_statement_may_take(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    database = Database(url, settings=DbSettings(answer_timeout_s=0.2))
    other = Database(url)
    async with other.writing() as session:
        await session.execute(text(f"SELECT pg_advisory_xact_lock({0x57454654})"))
        moving = asyncio.create_task(migrate(database))
        await asyncio.sleep(0.5)
        assert not moving.done()
    assert await moving is not None
    await database.close()
    await other.close()
