"""ARKs: registered where they are resolved, in this installation's own table."""

from weft.core.errors import NotFound
from weft.db.database import Database
from weft.identifiers.ark import has_valid_check
from weft.identifiers.mint import get_row
from weft.identifiers.port import Agency, Registered
from weft.identifiers.record import Record, read_row
from weft.identifiers.where import Where


class LocalAgency(Agency):
    """Nobody else has to be told of an ARK: the transaction that mints it is its registration."""

    scheme = "ark"
    is_local = True

    def __init__(self, database: Database, where: Where) -> None:
        self._database = database
        self._where = where

    async def reserve(self, record: Record) -> str:
        return await self._say(record)

    async def publish(self, record: Record) -> str:
        return await self._say(record)

    async def withdraw(self, record: Record) -> str:
        return await self._say(record)

    async def find(self, record: Record) -> Registered | None:
        try:
            async with self._database.reading() as session:
                found = read_row(await get_row(session, record.name))
        except NotFound:
            return None
        return Registered(state=found.state, url=self._where.find_url(record))

    async def close(self) -> None:
        pass

    async def _say(self, record: Record) -> str:
        async with self._database.reading() as session:
            await get_row(session, record.name)
        checked = "its check character is valid" if has_valid_check(record.bare_name) else "it has no valid check character"
        return f"registered here; {checked}"
