"""What the inventory is made of, put together once."""

import logging
from dataclasses import dataclass
from typing import Self

from weft.auth.secrets import Cipher
from weft.auth.witness import Witness
from weft.core.clock import Clock
from weft.core.errors import Corrupt
from weft.db.database import Database
from weft.inventory.change import Units
from weft.inventory.hook import hooks
from weft.inventory.instrument import instruments
from weft.inventory.location import Locations
from weft.inventory.membership import Memberships
from weft.inventory.notice import Notices
from weft.inventory.request import Requests
from weft.inventory.schedule import schedules
from weft.inventory.service_account import ServiceAccounts
from weft.inventory.shelf import Shelf
from weft.inventory.tables import GroupRow, HookRow, InstrumentRow, ProjectRow, ScheduleRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryParts:
    """Collaborators of the routes, at `app.state.inventory`."""

    database: Database
    instruments: Shelf[InstrumentRow]
    service_accounts: ServiceAccounts
    locations: Locations
    schedules: Shelf[ScheduleRow]
    hooks: Shelf[HookRow]
    groups: Shelf[GroupRow]
    projects: Shelf[ProjectRow]
    memberships: Memberships
    requests: Requests
    notices: Notices

    @classmethod
    def of(cls, database: Database, *, cipher: Cipher, witness: Witness, clock: Clock) -> Self:
        """The inventory on one database. Every change of it is told to the witness."""
        units = Units(database, witness=witness, clock=clock)
        return cls(
            database=database,
            instruments=instruments(units),
            service_accounts=ServiceAccounts(units, cipher),
            locations=Locations(units, cipher),
            schedules=schedules(units),
            hooks=hooks(units),
            groups=Shelf(GroupRow, units),
            projects=Shelf(ProjectRow, units),
            memberships=Memberships(units),
            requests=Requests(units),
            notices=Notices(database, clock),
        )

    async def renew_secrets(self) -> None:
        """Put every secret under the newest key, so that an old one can be taken away; nothing where a key is missing."""
        try:
            async with self.database.writing() as session:
                await self.service_accounts.renew(session)
                await self.locations.renew(session)
        except Corrupt as unreadable:  # what can be read still works; the rest says so when it is needed
            logger.warning("inventory_secrets_not_renewed", extra={"reason": unreadable.message})
