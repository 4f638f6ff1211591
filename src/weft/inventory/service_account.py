"""Accounts on instruments' shares: their passwords under the cipher, given back only on purpose and never unseen."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.secrets import MASK, Cipher
from weft.auth.witness import Action
from weft.core.errors import Invalid
from weft.inventory.change import Units
from weft.inventory.shelf import Shelf, fill_plainly, find
from weft.inventory.tables import ServiceAccountRow


class ServiceAccounts:
    """The accounts on shares. `shelf` lists, makes, changes, deletes and restores them."""

    def __init__(self, units: Units, cipher: Cipher) -> None:
        self.shelf = Shelf(ServiceAccountRow, units, self._fill)
        self._cipher = cipher

    async def reveal(self, account_id: str) -> str:
        """The password itself, given only once it is written down that it was. Raises NotFound, and Corrupt without its key."""
        async with self.shelf.units.begin() as unit:
            row = await find(unit.session, ServiceAccountRow, account_id)
            password = self._cipher.decrypt(row.password)
            await unit.tell(Action.REVEAL, row.entity, row.id)
        return password

    async def renew(self, session: AsyncSession) -> None:
        """Put every password under the newest key. Raises Corrupt where a key is missing."""
        for row in await session.scalars(select(ServiceAccountRow).with_for_update()):
            row.password = self._cipher.rotate(row.password)

    async def _fill(self, session: AsyncSession, row: ServiceAccountRow, values: dict[str, Any]) -> None:
        plain = {name: value for name, value in values.items() if name != "password"}
        await fill_plainly(session, row, plain)
        given = values.get("password")
        stored = row.password  # None in a row that is being made
        if given == MASK and not stored:
            raise Invalid(f"the password '{MASK}' means the stored one, and none is stored", field="password")
        if given is None or given == MASK or (stored and given == self._cipher.decrypt(stored)):
            return
        row.password = self._cipher.encrypt(given)
