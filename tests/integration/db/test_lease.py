"""Of all processes on one database one does a piece of work, and what another one did under an old lease is never kept."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text, update

from tests.services.postgres import PostgresServer
from weft.core.errors import Conflict
from weft.db.database import Database
from weft.db.lease import Lease
from weft.db.migrate import migrate
from weft.db.tables import LeaseRow
from weft.testing.clock import ManualClock


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await migrate(database)
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE work (done INTEGER)"))
    yield database
    await database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def work_done(database: Database) -> int:
    async with database.reading() as session:
        return (await session.execute(text("SELECT count(*) FROM work"))).scalar_one()


async def work(database: Database, lease: Lease) -> None:
    async with database.writing() as session:
        await session.execute(text("INSERT INTO work VALUES (1)"))
        await lease.check(session)


async def test_only_one_has_it_and_the_next_one_gets_it_when_it_is_given_back(database: Database, clock: ManualClock) -> None:
    first, second = Lease(database, "w", clock=clock), Lease(database, "w", clock=clock)

    assert await first.try_acquire()
    assert not await second.try_acquire()
    assert await Lease(database, "other work", clock=clock).try_acquire()

    await first.release()
    assert await second.try_acquire()
    assert second.epoch == 2


async def test_of_many_who_ask_at_once_one_gets_it(database: Database, clock: ManualClock) -> None:
    leases = [Lease(database, "w", clock=clock) for _ in range(8)]

    assert sum(await asyncio.gather(*(lease.try_acquire() for lease in leases))) == 1


async def test_a_holder_that_is_not_heard_of_loses_it_and_nothing_it_does_is_kept(
    database: Database, clock: ManualClock
) -> None:
    first, second = Lease(database, "w", clock=clock, ttl_s=10), Lease(database, "w", clock=clock, ttl_s=10)
    await first.try_acquire()
    await work(database, first)

    assert not await second.try_acquire()
    clock.advance(9)
    await first.renew()
    assert not await second.try_acquire(), "it was heard of a moment ago"
    clock.advance(9)
    assert not await second.try_acquire()
    clock.advance(1)
    assert await second.try_acquire()

    with pytest.raises(Conflict, match="taken over"):
        await work(database, first)
    await work(database, second)
    await first.release()
    await second.renew()
    assert await work_done(database) == 2


async def test_a_wall_clock_that_jumps_ends_no_lease(database: Database, clock: ManualClock) -> None:
    first, second = Lease(database, "w", clock=clock, ttl_s=10), Lease(database, "w", clock=clock, ttl_s=10)
    await first.try_acquire()
    await second.try_acquire()
    clock.jump(86_400)

    assert not await second.try_acquire()


async def test_nobody_waits_for_a_process_of_this_machine_that_is_dead(database: Database, clock: ManualClock) -> None:
    first, second = Lease(database, "w", clock=clock), Lease(database, "w", clock=clock)
    await first.try_acquire()
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    async with database.writing() as session:
        held_by = (await session.execute(text("SELECT holder FROM leases"))).scalar_one()
        machine, _, name = held_by.split("/")
        await session.execute(update(LeaseRow).values(holder=f"{machine}/{ended.pid}/{name}"))

    assert await second.try_acquire()
    assert second.epoch == 2


async def test_a_takeover_waits_for_a_transaction_that_has_already_checked(
    postgres_server: PostgresServer, clock: ManualClock
) -> None:
    database = Database(postgres_server.create_database())  # on SQLite whoever writes has the database to itself
    await migrate(database)
    first, second = Lease(database, "w", clock=clock, ttl_s=1), Lease(database, "w", clock=clock, ttl_s=1)
    await first.try_acquire()
    await second.try_acquire()
    clock.advance(2)

    async with database.writing() as session:
        await first.check(session)
        taking = asyncio.create_task(second.try_acquire())
        done, _ = await asyncio.wait([taking], timeout=0.3)
        assert done == set(), "the row is locked until the work under the old lease is committed"
    assert not await taking, "the check was a sign of life"
    await database.close()


async def test_work_under_a_lease_is_cancelled_when_the_lease_is_lost(database: Database, clock: ManualClock) -> None:
    lease = Lease(database, "w", clock=clock, ttl_s=0.1)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    holding = asyncio.create_task(lease.hold(endless))
    await begun.wait()
    async with database.writing() as session:
        await session.execute(update(LeaseRow).values(holder="somebody/1/else", epoch=7))
    await holding

    assert cancelled.is_set()
    assert lease.epoch is None


async def test_work_that_is_fenced_off_is_no_failure_and_work_that_fails_is(database: Database, clock: ManualClock) -> None:
    lease = Lease(database, "w", clock=clock)

    async def fenced_off() -> None:
        async with database.writing() as session:
            await session.execute(update(LeaseRow).values(epoch=7))
        await work(database, lease)

    async def failing() -> None:
        raise ValueError("broken")

    await lease.hold(fenced_off)
    assert await work_done(database) == 0
    async with database.writing() as session:
        await session.execute(update(LeaseRow).values(holder=""))
    with pytest.raises(ValueError, match="broken"):
        await lease.hold(failing)
    assert await Lease(database, "w", clock=clock).try_acquire(), "it was given back"
