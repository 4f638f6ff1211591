"""Requests: somebody asks that an instrument be harvested, an administrator decides, and each hears of the other."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.tables import User
from weft.auth.witness import actor
from weft.core.errors import NotAllowed, TooLarge
from weft.core.principal import Role
from weft.inventory.change import Unit, Units
from weft.inventory.notice import post
from weft.inventory.shelf import Shelf, find
from weft.inventory.tables import RequestRow

Status = Literal["pending", "approved", "rejected"]

MOST_PENDING: Final = 100

_ADMINISTRATORS_PAGE: Final = "/admin/requests"
_OWN_PAGE: Final = "/requests"
_DECIDED: Final = {"approved": "was approved", "rejected": "was rejected", "pending": "is open again"}


class Requests:
    """Every request, with the address of who made it."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._shelf = Shelf(RequestRow, units)

    async def submit(self, wish: dict[str, Any], *, requester_id: str) -> RequestRow:
        """Ask for an instrument; every administrator is told. Raises TooLarge where too many requests of one person wait."""
        async with self._units.begin() as unit:
            await _check_room(unit.session, requester_id)
            row = await self._shelf.add(unit, {**wish, "requester_id": requester_id, "status": "pending"})
            post(
                unit.session,
                await _administrators(unit.session),
                kind="instrument_request_submitted",
                title="New instrument request",
                message=f"{actor().name} asks for '{row.name}'.",
                link=_ADMINISTRATORS_PAGE,
                now_us=unit.now_us,
            )
        return row

    async def list_page(self, requester_id: str | None, *, skip: int, limit: int) -> tuple[Sequence[RequestRow], int]:
        """A page of one person's requests, or of all; the newest first."""
        where = () if requester_id is None else (RequestRow.requester_id == requester_id,)
        return await self._shelf.list_page(*where, skip=skip, limit=limit, newest_first=True)

    async def get(self, request_id: str, *, viewer_id: str | None) -> RequestRow:
        """One request; `viewer_id` is None for who may see all. Raises NotFound, and NotAllowed for somebody else's."""
        row = await self._shelf.get(request_id)
        if viewer_id is not None and row.requester_id != viewer_id:
            raise NotAllowed("this request is somebody else's", code="Not your request")
        return row

    async def decide(self, request_id: str, values: dict[str, Any]) -> RequestRow:
        """Decide on a request, or decide anew; who asked is told what has become of it. Raises NotFound."""
        async with self._units.begin() as unit:
            row = await find(unit.session, RequestRow, request_id, to_change=True)
            before = row.status
            await self._shelf.alter(unit, row, values)
            if row.status != before:
                _tell_requester(unit, row)
        return row

    async def emails(self, rows: Sequence[RequestRow]) -> dict[str, str]:
        """The addresses of who made these requests, by account."""
        wanted = {row.requester_id for row in rows}
        async with self._units.database.reading() as session:
            found = await session.execute(select(User.id, User.email).where(User.id.in_(wanted)))
            return dict(found.tuples().all())


def _tell_requester(unit: Unit, row: RequestRow) -> None:
    notes = f" {row.admin_notes}" if row.admin_notes else ""
    post(
        unit.session,
        [row.requester_id],
        kind=f"instrument_request_{row.status}",
        title=f"Instrument request {row.status}",
        message=f"Your request for '{row.name}' {_DECIDED[row.status]}.{notes}",
        link=_OWN_PAGE,
        now_us=unit.now_us,
    )


async def _administrators(session: AsyncSession) -> Sequence[str]:
    in_force = (User.role == Role.ADMIN.value, User.is_active, User.deleted_at_us.is_(None))
    return (await session.scalars(select(User.id).where(*in_force))).all()


async def _check_room(session: AsyncSession, requester_id: str) -> None:
    waiting = (RequestRow.requester_id == requester_id, RequestRow.status == "pending")
    if (await session.scalar(select(func.count()).select_from(RequestRow).where(*waiting)) or 0) >= MOST_PENDING:
        raise TooLarge(
            f"{MOST_PENDING} of your requests wait for a decision; ask again when some are decided",
            limit=MOST_PENDING,
            unit="requests",
        )
