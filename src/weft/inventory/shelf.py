"""Shelf: everything of one kind. It is listed, made, read, changed, deleted and restored in one way, whatever the kind."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, UnaryExpression, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.witness import Action
from weft.core.errors import Conflict, NotFound
from weft.core.ids import new_id
from weft.inventory.change import Unit, Units, list_changes, snapshot
from weft.inventory.name import key_of
from weft.inventory.tables import Kept, Named, Switched

Row = TypeVar("Row", bound=Kept)
Fill = Callable[[AsyncSession, Row, dict[str, Any]], Awaitable[None]]
"""Puts what was sent into a row. Raises Invalid, naming the field, where it cannot be."""


async def fill_plainly(session: AsyncSession, row: Kept, values: dict[str, Any]) -> None:
    """Put values where they belong as they are."""
    for name, value in values.items():
        setattr(row, name, value)


class Shelf(Generic[Row]):
    """Everything of one kind. Each change is one unit of work, and told to the witness."""

    def __init__(self, kind: type[Row], units: Units, fill: Fill[Row] = fill_plainly) -> None:
        self.kind = kind
        self.units = units
        self._fill = fill

    async def list_page(
        self,
        *where: ColumnElement[bool],
        skip: int,
        limit: int,
        include_deleted: bool = False,
        newest_first: bool = False,
    ) -> tuple[Sequence[Row], int]:
        """A page in the order in which they were made, and how many there are."""
        chosen = select(self.kind).where(*where)
        if not include_deleted:
            chosen = chosen.where(self.kind.deleted_at_us.is_(None))
        async with self.units.database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
            rows = await session.scalars(chosen.order_by(*self._order(newest_first)).offset(skip).limit(limit))
            return rows.all(), total or 0

    async def get(self, row_id: str) -> Row:
        """One that is not deleted. Raises NotFound."""
        async with self.units.database.reading() as session:
            return await find(session, self.kind, row_id)

    async def create(self, values: dict[str, Any]) -> Row:
        """A new one. Raises Invalid, and Conflict where the name is taken."""
        async with self.units.begin() as unit:
            return await self.add(unit, values)

    async def add(self, unit: Unit, values: dict[str, Any]) -> Row:
        """A new one inside a unit of work. Raises as `create` does."""
        row = self.kind(id=new_id(unit.now_us), created_at_us=unit.now_us, updated_at_us=unit.now_us)
        await self._put(unit.session, row, values)
        unit.session.add(row)
        await unit.tell(Action.CREATE, row.entity, row.id)
        return row

    async def change(self, row_id: str, values: dict[str, Any]) -> Row:
        """Change what is given. Raises NotFound, and as `create` does."""
        async with self.units.begin() as unit:
            row = await find(unit.session, self.kind, row_id, to_change=True)
            await self.alter(unit, row, values)
        return row

    async def alter(self, unit: Unit, row: Row, values: dict[str, Any]) -> bool:
        """Change what is given inside a unit of work; whether anything is other than it was. Raises as `create` does."""
        before = snapshot(row)
        with unit.session.no_autoflush:
            await self._put(unit.session, row, values)
        changes = list_changes(before, row)
        if changes:
            row.updated_at_us = unit.now_us
            await unit.tell(Action.UPDATE, row.entity, row.id, changes)
        return bool(changes)

    async def delete(self, row_id: str) -> None:
        """Take it off the shelf; `restore` puts it back. What can be switched is off from then on. Raises NotFound."""
        async with self.units.begin() as unit:
            row = await find(unit.session, self.kind, row_id, to_change=True)
            row.deleted_at_us = row.updated_at_us = unit.now_us
            if isinstance(row, Switched):
                row.enabled = False
            await unit.tell(Action.DELETE, row.entity, row.id)

    async def restore(self, row_id: str) -> Row:
        """Put a deleted one back; what can be switched stays off. Raises NotFound where it is not deleted."""
        async with self.units.begin() as unit:
            row = await unit.session.get(self.kind, row_id, with_for_update=True)
            if row is None or row.deleted_at_us is None:
                raise missing(self.kind, row_id)
            row.deleted_at_us = None
            row.updated_at_us = unit.now_us
            await unit.tell(Action.RESTORE, row.entity, row.id)
        return row

    def _order(self, newest_first: bool) -> tuple[UnaryExpression[Any], UnaryExpression[Any]]:
        if newest_first:
            return self.kind.created_at_us.desc(), self.kind.id.desc()
        return self.kind.created_at_us.asc(), self.kind.id.asc()

    async def _put(self, session: AsyncSession, row: Row, values: dict[str, Any]) -> None:
        if isinstance(row, Named) and "name" in values:
            await _take_name(session, row, values["name"])
        await self._fill(session, row, values)


async def find(session: AsyncSession, kind: type[Row], row_id: str, *, to_change: bool = False) -> Row:
    """One that is not deleted, locked where it is to be changed. Raises NotFound."""
    row = await session.get(kind, row_id, with_for_update=to_change)
    if row is None or row.deleted_at_us is not None:
        raise missing(kind, row_id)
    return row


def missing(kind: type[Kept], row_id: str) -> NotFound:
    """The error for one that is not there, with the word StreamWeave's clients know."""
    return NotFound(f"there is no {kind.noun} '{row_id[:64]}'", code=f"{kind.noun.capitalize()} not found")


async def _take_name(session: AsyncSession, row: Named, name: str) -> None:
    row.name_key = key_of(name)
    kind = type(row)
    holder = await session.scalar(select(kind).where(kind.name_key == row.name_key, kind.id != row.id))
    if holder is None:
        return
    if holder.deleted_at_us is None:
        raise Conflict(f"another {row.noun} is called '{holder.name}' already", id=holder.id)
    raise Conflict(f"a deleted {row.noun} is called '{holder.name}'; restore it, or choose another name", id=holder.id)
