"""Carrying everything over to another database, in one transaction, proven by counts and digests of both sides."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Table, func, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.errors import Conflict, Invalid
from weft.db.base import Base
from weft.db.database import Database
from weft.db.migrate import migrate

_ROWS: Final = 1000
_WHOLE: Final = 1 << 256
_OF_MIGRATIONS: Final = "alembic_version"


@dataclass(frozen=True, slots=True)
class Side:
    """One table as one database gives it back: how many rows, and the sum of their SHA-256, whatever their order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One table on both sides."""

    table: str
    source: Side
    target: Side

    @property
    def same(self) -> bool:
        """Whether the copy holds what the original holds."""
        return self.source == self.target


async def copy_database(source: Database, target: Database) -> Sequence[Compared]:
    """Copy every table of `source` into `target`, which gets today's schema first and has to be empty.

    The source is kept from changing meanwhile. What was written is read back and compared before it is committed; where
    anything differs, nothing is kept. Raises Conflict where the target holds something or the source a table that is not known.
    """
    await migrate(target)
    tables = Base.metadata.sorted_tables
    async with source.writing() as reading, target.writing() as writing:
        await _check_source(reading, tables)
        await _lock(reading, source.kind, tables, "SHARE")
        await _lock(writing, target.kind, tables, "EXCLUSIVE")
        await _check_target(writing, tables)
        compared: list[Compared] = []
        for table in tables:
            original = await _copy(reading, writing, target, table)
            compared.append(Compared(table.name, original, await _side(writing, table)))
        if not all(table.same for table in compared):
            await writing.rollback()
    return compared


async def _check_source(session: AsyncSession, tables: Sequence[Table]) -> None:
    connection = await session.connection()
    found = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    unknown = sorted(found - {table.name for table in tables} - {_OF_MIGRATIONS})
    if unknown:
        raise Conflict(f"the database holds the table '{unknown[0]}', which this Weft does not know; move it away first")


async def _check_target(session: AsyncSession, tables: Sequence[Table]) -> None:
    for table in tables:
        rows = await session.scalar(select(func.count()).select_from(table))
        if rows:
            raise Conflict(f"the target already holds {rows} rows in '{table.name}'; copy into an empty database")


async def _lock(session: AsyncSession, kind: str, tables: Sequence[Table], mode: str) -> None:
    """On SQLite a unit that writes has the database to itself already."""
    if kind == "postgresql":
        await session.execute(text(f"LOCK TABLE {', '.join(table.name for table in tables)} IN {mode} MODE"))


async def _copy(reading: AsyncSession, writing: AsyncSession, target: Database, table: Table) -> Side:
    digest = _Digest()
    async for rows in _batches(reading, table):
        digest.add(rows)
        try:
            await writing.execute(insert(table), [dict(zip(table.columns.keys(), row, strict=True)) for row in rows])
        except Exception as failure:
            told = target.own_word(failure)
            if not isinstance(told, Invalid):
                raise
            raise Invalid(f"the table '{table.name}' cannot be copied: {told.message}") from failure
    return digest.side()


async def _side(session: AsyncSession, table: Table) -> Side:
    digest = _Digest()
    async for rows in _batches(session, table):
        digest.add(rows)
    return digest.side()


async def _batches(session: AsyncSession, table: Table) -> AsyncIterator[Sequence[Sequence[Any]]]:
    result = await session.stream(select(table))
    async for rows in result.partitions(_ROWS):
        yield rows


class _Digest:
    def __init__(self) -> None:
        self._rows = 0
        self._sum = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self._rows += 1
            self._sum += int.from_bytes(hashlib.sha256(msgspec.json.encode(list(row))).digest(), "big")

    def side(self) -> Side:
        return Side(self._rows, f"{self._sum % _WHOLE:064x}")
