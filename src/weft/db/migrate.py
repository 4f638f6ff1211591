"""Moving the schema: at start, under a lock, whole or not at all.

The lock is the database's own. On SQLite the move is one immediate transaction, so a second process waits and then finds
nothing left to do; on PostgreSQL it is a transaction under an advisory lock.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from weft.db.database import Database

SCRIPTS: Final = Path(__file__).parent / "migrations"
"""The steps this program was built with."""


def newest_revision() -> str:
    """The schema this program was built for. Its steps are numbered, and their files named for them."""
    return max(file.name.partition("_")[0] for file in (SCRIPTS / "versions").glob("[0-9]*.py"))


async def find_revision(database: Database) -> str | None:
    """The schema the database has now; None where it has none."""
    async with database.reading() as session:
        connection = await session.connection()
        return await connection.run_sync(revision_of)


async def migrate(database: Database, target: str = "head", *, scripts: Path = SCRIPTS) -> str | None:
    """Bring the schema to `target` and return the revision reached. Waits for another process that is doing the same.

    Raises Conflict where the database is newer than this program, Unavailable where it does not answer.
    """
    try:
        if database.file is not None:
            _make_file(database.file)
        async with (
            database.patient_engine() as engine,
            engine.execution_options(weft_write=True).connect() as connection,
        ):
            if target == "head" and scripts == SCRIPTS and await connection.run_sync(revision_of) == newest_revision():
                return newest_revision()
            await connection.rollback()  # what was read so far
            from weft.db.move import move  # loads Alembic, which most starts can do without

            return await connection.run_sync(move, target, scripts)
    except Exception as failure:
        told = database.own_word(failure)
        if told is failure:
            raise
        raise told from failure


def _make_file(file: Path) -> None:
    """An empty database that its owner alone can read: it will hold addresses and hashes of passwords."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def revision_of(connection: Connection) -> str | None:
    """The schema a database has; None where it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
