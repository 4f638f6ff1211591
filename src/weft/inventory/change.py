"""Changes: the one place where it is known who changed what, with the values before and after.

A change is told to a witness inside the unit of work that makes it, so that both are there or neither is.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.secrets import mask
from weft.auth.witness import Action, Change, Deed, Witness, difference
from weft.core.clock import Clock
from weft.db.database import Database
from weft.inventory.tables import Kept

_OF_THE_ROW: Final = frozenset({"id", "name_key", "created_at_us", "updated_at_us", "deleted_at_us"})


class Unit:
    """One unit of work. Whatever it tells is told to the witness before it is committed."""

    def __init__(self, session: AsyncSession, *, witness: Witness, now_us: int) -> None:
        self.session = session
        self.now_us = now_us
        self._witness = witness

    async def tell(self, action: Action, entity: str, entity_id: str, changes: dict[str, Change] | None = None) -> None:
        """Have it written down. `changes` is None where it was made, deleted, restored or revealed as a whole."""
        await self.session.flush()  # what the database refuses is not worth writing down
        await self._witness(self.session, Deed(action=action, entity_type=entity, entity_id=entity_id, changes=changes))


class Units:
    """Opens units of work on the inventory."""

    def __init__(self, database: Database, *, witness: Witness, clock: Clock) -> None:
        self.database = database
        self._witness = witness
        self._clock = clock

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Unit]:
        """A unit that is committed at its end, or undone by any error. Raises as `Database.writing` does."""
        async with self.database.writing() as session:
            yield Unit(session, witness=self._witness, now_us=self._clock.now_us())


def snapshot(row: Kept) -> dict[str, Any]:
    """Every value of a row that people set."""
    names = [column.key for column in inspect(type(row)).column_attrs]
    return {name: getattr(row, name) for name in names if name not in _OF_THE_ROW}


def list_changes(before: dict[str, Any], row: Kept) -> dict[str, Change]:
    """What is not as it was; secrets masked."""
    return {
        name: Change(mask(change.before), mask(change.after)) if name in row.secret else change
        for name, change in difference(before, snapshot(row)).items()
    }
