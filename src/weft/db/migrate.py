"""Moving the schema: at start, under a lock, whole or not at all.

The lock is the database's own. On SQLite the move is one immediate transaction, so a second process waits and then finds
nothing left to do; on PostgreSQL it is a transaction under an advisory lock.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from weft.core.errors import Conflict
from weft.db.database import Database

_LOCK_KEY: Final = 0x57454654  # "WEFT"
SCRIPTS: Final = Path(__file__).parent / "migrations"
"""The steps this program was built with."""


def newest_revision() -> str:
    """The schema this program was built for."""
    head = ScriptDirectory(str(SCRIPTS)).get_current_head()
    assert head is not None, "the package ships its migrations"  # noqa: S101 - a broken package, not a user's mistake
    return head


async def find_revision(database: Database) -> str | None:
    """The schema the database has now; None where it has none."""
    async with database.reading() as session:
        connection = await session.connection()
        return await connection.run_sync(_revision_of)


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
            return await connection.run_sync(_move, target, scripts)
    except CommandError as unknown:
        raise Conflict(
            f"the database has a schema this Weft does not know ({unknown}); start the newer Weft that made it"
        ) from unknown
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


def _move(connection: Connection, target: str, scripts: Path) -> str | None:
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:  # rebuilding a table must not cascade into the tables that point at it; only settable outside a transaction
        _pragma_outside(connection, "PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            if not is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            before = _revision_of(connection)
            _run(connection, target, scripts)
            after = _revision_of(connection)
            if is_sqlite and before != after and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()):
                raise Conflict(f"the move would leave {len(broken)} rows pointing at nothing; nothing was changed")
            return after
    finally:
        if is_sqlite:
            _pragma_outside(connection, "PRAGMA foreign_keys=ON")


def _run(connection: Connection, target: str, scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    current = _revision_of(connection)
    script = ScriptDirectory.from_config(config)
    if current is not None:
        script.get_revision(current)  # raises CommandError where this program does not know it
    if target == "head" or current is None:
        command.upgrade(config, target)
        return
    below = {step.revision for step in script.iterate_revisions(current, "base")}
    goes_down = target == "base" or (target in below and target != current) or target.startswith("-")
    (command.downgrade if goes_down else command.upgrade)(config, target)


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _pragma_outside(connection: Connection, pragma: str) -> None:
    raw = connection.connection.cursor()
    try:
        raw.execute(pragma)
    finally:
        raw.close()
