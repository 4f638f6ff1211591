"""Whatever is changed in the database by hand, the verification names it."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from tests.integration.audit.conftest import Books, deed
from weft.audit.entry import Entry, Root
from weft.audit.key import load_signing_key
from weft.audit.lines import read_database
from weft.audit.tables import EntryRow, RootRow
from weft.audit.verify import Verification
from weft.core.errors import Invalid

ENTRIES = 12
SIGNED = 8


@pytest.fixture
async def signed(books: Books) -> Books:
    """Twelve entries; the first four and the first eight are covered by signed roots."""
    await books.write(*(deed(str(number)) for number in range(4)))
    await books.close_day()
    await books.write(*(deed(str(number)) for number in range(4, SIGNED)))
    await books.close_day()
    await books.write(*(deed(str(number)) for number in range(SIGNED, ENTRIES)))
    found = await books.verify()
    assert (found.ok, found.entries, found.roots) == (True, ENTRIES, 2), found.sentence
    return books


async def tamper(books: Books, *statements: str, **values: Any) -> None:
    async with books.database.writing() as session:
        for statement in statements:
            await session.execute(text(statement), values)


async def with_another(books: Books, table: str, field: str, where: str, value: Any) -> Verification:
    """What is found while a field has another value; afterwards it has its own again."""
    async with books.database.reading() as session:
        own = (await session.execute(text(f"SELECT {field} FROM {table} WHERE {where}"))).scalar_one()
    await tamper(books, f"UPDATE {table} SET {field} = :value WHERE {where}", value=value)
    found = await books.verify()
    back = f"{field} = '{value}'" if where.startswith(field) else where
    await tamper(books, f"UPDATE {table} SET {field} = :own WHERE {back}", own=own)
    return found


@pytest.mark.parametrize("number", [1, 6, ENTRIES])
async def test_a_changed_field_of_an_entry_is_named(signed: Books, number: int) -> None:
    fields = {column.name: column for column in EntryRow.__table__.columns if column.name != "number"}
    for name, column in fields.items():
        for value in ([1] if name == "at_us" else ["", "something else"]) + ([None] if column.nullable else []):
            before = await signed.verify()
            assert before.ok, before.sentence
            found = await with_another(signed, "audit_entries", name, f"number = {number}", value)
            if found.ok:
                assert value is None, f"{name} of entry {number} can be changed unnoticed"
                assert name in {"actor_id", "address"}, "these are null here anyway"
                continue
            assert found.entry == number, (name, found.sentence)
            assert f"entry {number} was changed" in found.sentence


async def test_another_number_is_missed_at_its_place(signed: Books) -> None:
    found = await with_another(signed, "audit_entries", "number", "number = 6", 99)
    assert found.entry == 6


async def test_a_changed_field_of_a_root_is_named(signed: Books) -> None:
    _, day = await root_days(signed)
    for field in [column.name for column in RootRow.__table__.columns]:
        value = {"number": 5, "signed_at_us": 1, "day": "2020-01-01"}.get(field, "00" * 8)
        found = await with_another(signed, "audit_roots", field, f"day = '{day}'", value)
        assert not found.ok, field
        assert (value if field == "day" else day) in found.sentence


async def test_a_changed_head_is_named(signed: Books) -> None:
    for field, value in {"number": 3, "hash": "00" * 32}.items():
        found = await with_another(signed, "audit_head", field, "id = 1", value)
        assert not found.ok
        assert "the head" in found.sentence


async def test_a_head_that_is_gone_is_named(signed: Books) -> None:
    await tamper(signed, "DELETE FROM audit_head")

    assert "the head" in (await signed.verify()).sentence


@pytest.mark.parametrize(("first", "last"), [(1, 1), (5, 5), (5, 7), (ENTRIES, ENTRIES), (10, ENTRIES), (1, ENTRIES)])
async def test_missing_entries_are_named(signed: Books, first: int, last: int) -> None:
    await tamper(signed, f"DELETE FROM audit_entries WHERE number BETWEEN {first} AND {last}")

    found = await signed.verify()
    assert found.entry == first
    assert "missing" in found.sentence


async def test_entries_that_changed_places_are_named(signed: Books) -> None:
    await tamper(
        signed,
        "UPDATE audit_entries SET number = 99 WHERE number = 5",
        "UPDATE audit_entries SET number = 5 WHERE number = 6",
        "UPDATE audit_entries SET number = 6 WHERE number = 99",
    )

    assert (await signed.verify()).entry == 5


async def test_an_end_that_was_cut_off_after_a_signed_root_is_noticed_even_where_the_head_was_set_back(signed: Books) -> None:
    await tamper(
        signed,
        "DELETE FROM audit_entries WHERE number > 6",
        "UPDATE audit_head SET number = 6, hash = (SELECT hash FROM audit_entries WHERE number = 6)",
    )

    found = await signed.verify()
    assert found.entry == 7
    assert "entries 7 to 8 are missing, which the root of" in found.sentence


async def test_an_entry_that_was_replaced_with_a_hash_that_fits_is_noticed_by_the_next_one(signed: Books) -> None:
    await rewrite(signed, 6, 6)

    found = await signed.verify()
    assert found.entry == 6
    assert "entry 7 does not follow on entry 6" in found.sentence


async def test_a_chain_that_was_written_anew_is_noticed_by_the_signed_root(signed: Books) -> None:
    await rewrite(signed, 6, ENTRIES)

    found = await signed.verify()
    assert found.entry == 5, "the first root still stands, so what it covers does"
    assert "entries from 5 to 8 were written anew" in found.sentence


async def test_a_root_that_somebody_else_signed_is_not_taken_for_one(signed: Books, tmp_path) -> None:
    await rewrite(signed, 1, ENTRIES)
    forger = load_signing_key(None, tmp_path / "forger")
    entries = {line.number: line async for line in read_database(signed.database) if isinstance(line, Entry)}
    roots = [line async for line in read_database(signed.database) if isinstance(line, Root)]
    for root in roots:
        forged = forger.sign(msgspec.structs.replace(root, hash=entries[root.number].hash))
        await tamper(
            signed,
            f"UPDATE audit_roots SET hash = '{forged.hash}', key_id = '{forged.key_id}', signature = '{forged.signature}' "
            f"WHERE day = '{root.day}'",
        )

    found = await signed.verify()
    assert not found.ok
    assert f"give the public half of the key {forger.public.id}" in found.sentence
    claimed = await tamper_claims(signed, forger.public.id)
    assert "its signature does not fit" in claimed


async def test_a_value_that_no_column_should_hold_is_named_or_not_taken(signed: Books) -> None:
    if signed.database.kind == "postgresql":  # which checks the types of columns itself
        with pytest.raises(Invalid):
            await tamper(signed, "UPDATE audit_entries SET number = 'six' WHERE number = 6")
        assert (await signed.verify()).ok
        return
    await tamper(signed, "UPDATE audit_entries SET number = 'six' WHERE number = 6")
    assert (await signed.verify()).entry == 6
    await tamper(signed, "UPDATE audit_entries SET number = 6 WHERE number = 'six'", "UPDATE audit_roots SET number = 'x'")
    found = await signed.verify()
    assert not found.ok
    assert "cannot be read" in found.sentence


async def root_days(books: Books) -> list[str]:
    async with books.database.reading() as session:
        return list((await session.execute(text("SELECT day FROM audit_roots ORDER BY day"))).scalars())


async def rewrite(books: Books, first: int, last: int) -> None:
    """What somebody does who can write to the database and knows how the chain is made."""
    entries = [line async for line in read_database(books.database) if isinstance(line, Entry)]
    previous = entries[first - 1].previous
    for entry in entries[first - 1 : last]:
        forged = msgspec.structs.replace(entry, previous=previous, actor_name="somebody else").sealed()
        previous = forged.hash
        await tamper(
            books,
            f"UPDATE audit_entries SET previous = '{forged.previous}', actor_name = 'somebody else', hash = '{forged.hash}' "
            f"WHERE number = {forged.number}",
        )
    if last == ENTRIES:
        await tamper(books, f"UPDATE audit_head SET hash = '{previous}'")


async def tamper_claims(books: Books, forger_id: str) -> str:
    """The forger says that it was the right key."""
    await tamper(books, f"UPDATE audit_roots SET key_id = '{books.key.public.id}' WHERE key_id = '{forger_id}'")
    return (await books.verify()).sentence
