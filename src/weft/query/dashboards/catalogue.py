"""The catalogue of dashboards: who may see and change which, and how no change of somebody else is lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, delete, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.witness import Action, Deed, Witness, difference, nobody
from weft.core.clock import Clock
from weft.core.errors import Conflict, NotAllowed, NotFound, TooLarge
from weft.core.ids import new_id
from weft.db.database import Database
from weft.query.dashboards.default import DEFAULT, DEFAULT_ID
from weft.query.dashboards.draft import Draft
from weft.query.dashboards.panel import Panel, check_panels
from weft.query.dashboards.tables import DashboardRow

MAX_BYTES: Final = 256 * 1024
MOST_OF_ONE: Final = 200

_PANELS: Final = TypeAdapter(list[Panel])


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks: the account, and whether it may do everything."""

    account_id: str
    is_admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A saved dashboard. The one that comes with Weft has no owner and no times."""

    id: str
    draft: Draft
    version: int
    owner_id: str | None = None
    created_at_us: int | None = None
    updated_at_us: int | None = None


BUILT_IN: Final = Dashboard(id=DEFAULT_ID, draft=DEFAULT, version=1)


class Dashboards:
    """Every dashboard of this installation."""

    def __init__(self, database: Database, clock: Clock, *, witness: Witness = nobody) -> None:
        self._witness = witness
        self._database = database
        self._clock = clock

    async def list_visible(self, viewer: Viewer, *, skip: int, limit: int) -> tuple[Sequence[Dashboard], int]:
        """The built-in one, then one's own and the shared ones by name; for administrators all. And how many there are."""
        visible = _visible_to(viewer)
        first = [BUILT_IN][skip : skip + limit]
        async with self._database.reading() as session:
            total = (await session.execute(select(func.count()).select_from(DashboardRow).where(visible))).scalar_one()
            page = select(DashboardRow).where(visible).order_by(DashboardRow.name, DashboardRow.id)
            rows = await session.scalars(page.offset(max(skip - 1, 0)).limit(limit - len(first)))
            return [*first, *map(_read, rows)], total + 1

    async def get(self, dashboard_id: str, viewer: Viewer) -> Dashboard:
        """One dashboard. Raises NotFound, also where there is one that the viewer may not see."""
        if dashboard_id == DEFAULT_ID:
            return BUILT_IN
        async with self._database.reading() as session:
            return _read(await _visible_row(session, dashboard_id, viewer))

    async def create(self, draft: Draft, viewer: Viewer) -> Dashboard:
        """Save a new one. Raises Invalid for a panel that asks what cannot be answered, TooLarge."""
        panels = _written(draft)
        now_us = self._clock.now_us()
        row = DashboardRow(
            id=new_id(now_us),
            owner_id=viewer.account_id,
            name=draft.name,
            description=draft.description,
            shared=draft.shared,
            panels=panels,
            version=1,
            created_at_us=now_us,
            updated_at_us=now_us,
        )
        async with self._database.writing() as session:
            own = select(func.count()).select_from(DashboardRow).where(DashboardRow.owner_id == viewer.account_id)
            if (await session.execute(own)).scalar_one() >= MOST_OF_ONE:
                raise TooLarge(
                    f"an account may have {MOST_OF_ONE} dashboards; delete one", limit=MOST_OF_ONE, unit="dashboards"
                )
            session.add(row)
            await self._tell(session, Action.CREATE, row.id, {}, _shown(row))
        return _read(row)

    async def change(self, dashboard_id: str, draft: Draft, viewer: Viewer, *, version: int | None) -> Dashboard:
        """Save over it, where it is still the version that was read (None: whatever it is).

        Raises NotFound, NotAllowed for somebody else's, Conflict where it was changed in the meantime, and as `create` does.
        """
        panels = _written(draft)
        async with self._database.writing() as session:
            row = await _own_row(session, dashboard_id, viewer)
            _check_version(row, version)
            before = _shown(row)
            values = {"name": draft.name, "description": draft.description, "shared": draft.shared, "panels": panels}
            same = (DashboardRow.id == row.id, DashboardRow.version == row.version)
            times = {"version": row.version + 1, "updated_at_us": self._clock.now_us()}
            done = await session.execute(update(DashboardRow).where(*same).values(**values, **times))
            if not done.rowcount:  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType] - an UPDATE has one
                raise _changed(row.version)
            await session.refresh(row)
            await self._tell(session, Action.UPDATE, row.id, before, _shown(row))
            return _read(row)

    async def remove(self, dashboard_id: str, viewer: Viewer, *, version: int | None) -> None:
        """Delete it. Raises as `change` does."""
        async with self._database.writing() as session:
            row = await _own_row(session, dashboard_id, viewer)
            _check_version(row, version)
            before = _shown(row)
            await session.execute(delete(DashboardRow).where(DashboardRow.id == row.id))
            await self._tell(session, Action.DELETE, dashboard_id, before, {})

    async def _tell(
        self, session: AsyncSession, action: Action, dashboard_id: str, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        changes = difference(before, after)
        if changes:
            await self._witness(session, Deed(action=action, entity_type="dashboard", entity_id=dashboard_id, changes=changes))


def _shown(row: DashboardRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "shared": row.shared,
        "owner_id": row.owner_id,
        "panels": msgspec.json.decode(row.panels),
    }


def _written(draft: Draft) -> str:
    check_panels(draft.panels)
    written = msgspec.json.encode([panel.model_dump() for panel in draft.panels])
    if len(written) > MAX_BYTES:
        raise TooLarge(f"the panels of a dashboard may have {MAX_BYTES} bytes", limit=MAX_BYTES, unit="bytes")
    return written.decode()


def _read(row: DashboardRow) -> Dashboard:
    # What was saved once is shown as it is, also where today it would be refused.
    return Dashboard(
        id=row.id,
        draft=Draft(name=row.name, description=row.description, shared=row.shared, panels=_PANELS.validate_json(row.panels)),
        version=row.version,
        owner_id=row.owner_id,
        created_at_us=row.created_at_us,
        updated_at_us=row.updated_at_us,
    )


def _visible_to(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_admin:
        return true()
    return or_(DashboardRow.owner_id == viewer.account_id, DashboardRow.shared)


async def _visible_row(session: AsyncSession, dashboard_id: str, viewer: Viewer) -> DashboardRow:
    asked = select(DashboardRow).where(DashboardRow.id == dashboard_id, _visible_to(viewer))
    row = (await session.scalars(asked)).one_or_none()
    if row is None:
        raise NotFound(f"there is no dashboard '{dashboard_id[:64]}'", id=dashboard_id[:64])
    return row


async def _own_row(session: AsyncSession, dashboard_id: str, viewer: Viewer) -> DashboardRow:
    if dashboard_id == DEFAULT_ID:
        raise NotAllowed("this dashboard comes with Weft; save a copy of it and change that", id=dashboard_id)
    row = await _visible_row(session, dashboard_id, viewer)
    if row.owner_id != viewer.account_id and not viewer.is_admin:
        raise NotAllowed("this dashboard is somebody else's; save a copy of it and change that", id=dashboard_id)
    return row


def _check_version(row: DashboardRow, version: int | None) -> None:
    if version is not None and row.version != version:
        raise _changed(row.version)


def _changed(version: int) -> Conflict:
    return Conflict(f"somebody has changed this dashboard; it is at version {version} now, read it again", version=version)
