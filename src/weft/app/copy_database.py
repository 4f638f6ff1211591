"""Carrying the accounts of the configured database over to another one."""

from collections.abc import Sequence

from weft.app.resources import Resources, database_url
from weft.core.errors import Invalid
from weft.db.copy import Compared, copy_database
from weft.db.database import Database
from weft.db.engine import read_url


async def copy_configured_database(resources: Resources, to: str) -> Sequence[Compared]:
    """Copy everything to the database at `to`. Raises Invalid where that is the configured one itself."""
    if read_url(to) == read_url(database_url(resources.settings)):
        raise Invalid("that is the configured database itself; name another one", field="to")
    source = await resources.database()
    target = Database(to, settings=resources.settings.db)
    try:
        return await copy_database(source, target)
    finally:
        await target.close()
