"""The ledger as lines: out of the database or out of an exported file, a thousand entries at a time however many there are."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec
from sqlalchemy import Row, func, inspect, select

from weft.audit.entry import GENESIS, Entry, Head, Line, Root
from weft.audit.tables import EntryRow, HeadRow, RootRow
from weft.core.errors import Corrupt, Invalid, NotFound
from weft.db.database import Database

Value = TypeVar("Value", Entry, Root, Head)

MAX_LINE_BYTES: Final = 1024 * 1024
"""A longer line is none that was exported."""

_AT_ONCE: Final = 1000
_ENTRY: Final = [getattr(EntryRow, name) for name in Entry.__struct_fields__]
_ROOT: Final = [getattr(RootRow, name) for name in Root.__struct_fields__]
_LINE: Final = msgspec.json.Decoder(Line)


async def read_database(database: Database) -> AsyncGenerator[Line]:
    """Every line of the ledger. Each thousand is a unit of work of its own, so nobody who writes has to wait for all of them.

    Raises NotFound where the database has no ledger, Corrupt where a row is none of it.
    """
    await _check_there(database)
    async with database.reading() as session:
        rows = (await session.execute(select(*_ROOT).order_by(RootRow.number, RootRow.signed_at_us, RootRow.day))).all()
    roots = [_value(Root, row, f"the root of {row[0]}") for row in rows]  # one a day
    last = 0
    while True:
        page = await _read_page(database, last)
        for row in page:
            entry = _value(Entry, row, f"entry {row[0]}")
            last = entry.number
            yield entry
            while roots and roots[0].number <= last:
                yield roots.pop(0)
        if not page and (head := await _read_head(database, last)) is not None:
            break
    for root in roots:
        yield root
    yield head


async def read_file(path: Path) -> AsyncGenerator[Line]:
    """Every line of an export. Raises Invalid where the file cannot be read, Corrupt for a line that is none."""
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            number = 0
            while some := await asyncio.to_thread(_read_some, file):
                for line in some:
                    number += 1
                    yield _read_line(line, number)
    except OSError as unreadable:
        raise Invalid(f"{path} cannot be read: {unreadable.strerror}", field="file") from unreadable


def write_line(line: Line) -> bytes:
    """One line of an export, with its end."""
    return msgspec.json.encode(line) + b"\n"


async def _check_there(database: Database) -> None:
    if database.file is not None and not database.file.exists():
        raise NotFound(f"there is no database at {database.file}")
    async with database.reading() as session:
        connection = await session.connection()
        if not await connection.run_sync(lambda sync: inspect(sync).has_table(EntryRow.__tablename__)):
            raise NotFound("this database has no ledger; start this Weft on it once")


async def _read_page(database: Database, after: int) -> Sequence[Row[Any]]:
    asked = select(*_ENTRY).where(EntryRow.number > after).order_by(EntryRow.number).limit(_AT_ONCE)
    async with database.reading() as session:
        return (await session.execute(asked)).all()


async def _read_head(database: Database, after: int) -> Head | None:
    """The head, or None where more was appended meanwhile: both are seen by one statement, so they belong together."""
    asked = select(
        select(HeadRow.number).scalar_subquery(),
        select(HeadRow.hash).scalar_subquery(),
        select(func.count()).select_from(EntryRow).where(EntryRow.number > after).scalar_subquery(),
    )
    async with database.reading() as session:
        number, digest, more = (await session.execute(asked)).one()
    return None if more else _value(Head, (number or 0, digest or GENESIS), "the head")


def _value(kind: type[Value], row: Row[Any] | Sequence[Any], what: str) -> Value:
    # SQLite keeps a text in a column of numbers if somebody puts one there.
    try:
        return msgspec.convert(
            {"line": kind.__struct_config__.tag, **dict(zip(kind.__struct_fields__, row, strict=True))}, kind
        )
    except msgspec.ValidationError as wrong:
        raise Corrupt(f"{what} was changed, it cannot be read: {wrong}") from wrong


def _read_some(file: BinaryIO) -> list[bytes]:
    return list(takewhile(bool, (file.readline(MAX_LINE_BYTES) for _ in range(_AT_ONCE))))


def _read_line(line: bytes, number: int) -> Line:
    try:
        return _LINE.decode(line)
    except msgspec.MsgspecError as wrong:
        raise Corrupt(f"line {number} is no line of an export: {wrong}") from wrong
