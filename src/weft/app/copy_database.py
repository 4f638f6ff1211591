"""Carrying everything in the configured database over to another one."""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from weft.app.resources import Resources, database_url
from weft.core.errors import Invalid, NotFound
from weft.db.copy import Compared, copy_database
from weft.db.database import Database
from weft.db.engine import read_url

TABLES: Final = (
    "weft.alerts.notify.tables",
    "weft.alerts.tables",
    "weft.audit.tables",
    "weft.auth.tables",
    "weft.db.tables",
    "weft.inventory.tables",
    "weft.identifiers.tables",
    "weft.query.dashboards.tables",
    "weft.stream.tables",
)
"""Where the tables of every room are said. A table that nobody said cannot be carried over."""


async def copy_configured_database(resources: Resources, to: str) -> Sequence[Compared]:
    """Copy everything to the database at `to`.

    Raises Invalid where that is the configured one itself, NotFound where there is nothing to copy from.
    """
    here = database_url(resources.settings)
    if read_url(to) == read_url(here):
        raise Invalid("that is the configured database itself; name another one", field="to")
    for name in TABLES:
        import_module(name)
    _check_is_there(Database(here))
    source = await resources.database()
    target = Database(to, settings=resources.settings.db)
    try:
        return await copy_database(source, target)
    finally:
        await target.close()


def _check_is_there(database: Database) -> None:
    """A folder that was mistyped would else be taken for one without accounts."""
    if database.file is not None and not database.file.exists():
        raise NotFound(f"there is no database {database.file}; --data-dir names the folder that holds one")
