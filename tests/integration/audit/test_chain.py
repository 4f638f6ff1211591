"""One chain, whoever writes and however many at once: an entry is there with its change, or neither is."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, select

from tests.integration.audit.conftest import Books, deed
from weft.audit.entry import Line
from weft.audit.ledger import MAX_VALUE_BYTES, Ledger, Wanted
from weft.audit.lines import read_database
from weft.audit.verify import verify
from weft.auth.witness import Action, Actor, Change, Deed, enter_actor
from weft.core.errors import Conflict, NotFound
from weft.db.database import Database
from weft.db.settings import DbSettings
from weft.db.tables import LeaseRow

ANY = Wanted()


async def test_a_thousand_at_once_make_one_chain(books: Books) -> None:
    other = Database(books.url, settings=DbSettings(busy_timeout_s=100, answer_timeout_s=100))
    sides = [(books.database, books.ledger), (other, Ledger(other, books.clock))]

    async def write(number: int) -> None:
        database, ledger = sides[number % 2]
        async with database.writing() as session:
            await ledger.record(session, deed(str(number)))

    try:
        await asyncio.gather(*map(write, range(1000)))
    finally:
        await other.close()

    found = await books.verify()
    assert (found.ok, found.entries) == (True, 1000), found.sentence
    rows, total = await books.ledger.list(ANY, skip=0, limit=1000)
    assert total == 1000
    assert sorted(int(row.entity_id or "") for row in rows) == list(range(1000)), "a deed is missing or there twice"


async def test_a_change_that_is_undone_leaves_no_entry(books: Books) -> None:
    async def change(name: str, *, fail: bool) -> None:
        async with books.database.writing() as session:
            await session.execute(insert(LeaseRow).values(name=name, holder="", epoch=1, renewals=0))
            await books.ledger.record(session, deed(name))
            if fail:
                raise NotFound("changed its mind")

    await change("kept", fail=False)
    with pytest.raises(NotFound):
        await change("undone", fail=True)
    with pytest.raises(Conflict):
        await change("kept", fail=False)
    await change("kept too", fail=False)

    rows, _ = await books.ledger.list(ANY, skip=0, limit=10)
    async with books.database.reading() as session:
        leases = set(await session.scalars(select(LeaseRow.name)))
    assert {row.entity_id for row in rows} == leases == {"kept", "kept too"}
    assert (await books.verify()).ok


async def test_several_deeds_of_one_unit_are_several_entries(books: Books) -> None:
    async with books.database.writing() as session:
        for number in range(3):
            await books.ledger.record(session, deed(str(number)))

    assert (await books.verify()).entries == 3


async def test_units_that_write_the_same_row_do_not_wait_for_each_other_crosswise(books: Books) -> None:
    async with books.database.writing() as session:
        session.add(LeaseRow(name="row", holder="", epoch=0, renewals=0))

    async def change(number: int) -> None:
        async with books.database.writing() as session:
            row = await session.get_one(LeaseRow, "row")
            row.renewals = number  # written, and the row locked, by the time the chain is
            await books.ledger.record(session, deed(str(number)))

    await asyncio.gather(*map(change, range(1, 41)))

    assert (await books.verify()).entries == 40


async def test_an_entry_says_who_did_it(books: Books) -> None:
    async def as_ada() -> None:
        enter_actor(Actor(kind="user", id="7", name="ada@example.org", address="192.0.2.7"))
        await books.write(deed("by ada"))

    await asyncio.create_task(as_ada())
    await books.write(deed("by weft"))

    (by_weft, by_ada), _ = await books.ledger.list(ANY, skip=0, limit=10)
    assert (by_ada.actor_kind, by_ada.actor_id, by_ada.actor_name) == ("user", "7", "ada@example.org")
    assert by_ada.address == "192.0.2.7"
    assert (by_weft.actor_kind, by_weft.actor_id) == ("weft", None)


async def test_a_long_value_is_kept_as_its_digest(books: Books) -> None:
    text = "x" * (MAX_VALUE_BYTES + 1)
    await books.write(Deed(action=Action.UPDATE, entity_type="rule", entity_id="1", changes={"text": Change("short", text)}))

    (row,), _ = await books.ledger.list(ANY, skip=0, limit=10)
    assert len(row.changes or "") < 300
    assert '"before":"short"' in (row.changes or "")
    assert '"bytes":4099' in (row.changes or "")


async def test_what_is_appended_while_the_chain_is_read_is_no_damage(books: Books) -> None:
    await books.write(*(deed(str(number)) for number in range(5)))
    lines = read_database(books.database)

    async def with_somebody_writing() -> AsyncIterator[Line]:
        left = 20
        async for line in lines:
            if left:
                left -= 1
                await books.write(deed("meanwhile"))
            yield line

    found = await verify(with_somebody_writing(), [])
    assert found.ok, found.sentence
    assert found.entries == 25
