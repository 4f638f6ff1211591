"""One move of the schema, by Alembic."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from weft.core.errors import Conflict
from weft.db.migrate import revision_of

_LOCK_KEY: Final = 0x57454654  # "WEFT"


def move(connection: Connection, target: str, scripts: Path) -> str | None:
    """Move the schema, whole or not at all; the revision reached. Raises Conflict for a schema that the scripts do not know."""
    try:
        return _move(connection, target, scripts)
    except CommandError as unknown:
        raise Conflict(
            f"the database has a schema this Weft does not know ({unknown}); start the newer Weft that made it"
        ) from unknown


def _move(connection: Connection, target: str, scripts: Path) -> str | None:
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:  # rebuilding a table must not cascade into the tables that point at it; only settable outside a transaction
        _pragma_outside(connection, "PRAGMA foreign_keys=OFF")
    try:
        with connection.begin():
            if not is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            before = revision_of(connection)
            _run(connection, target, scripts)
            after = revision_of(connection)
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
    current = revision_of(connection)
    script = ScriptDirectory.from_config(config)
    if current is not None:
        script.get_revision(current)  # raises CommandError where this program does not know it
    if target == "head" or current is None:
        command.upgrade(config, target)
        return
    below = {step.revision for step in script.iterate_revisions(current, "base")}
    goes_down = target == "base" or (target in below and target != current) or target.startswith("-")
    (command.downgrade if goes_down else command.upgrade)(config, target)


def _pragma_outside(connection: Connection, pragma: str) -> None:
    raw = connection.connection.cursor()
    try:
        raw.execute(pragma)
    finally:
        raw.close()
