"""Lists of identifiers, with how far their registration is."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.identifiers.mint import with_first_version
from weft.identifiers.record import Record
from weft.identifiers.tables import IdentifierRow, RegistrationRow


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which identifiers; None lets all through. `registration` is waiting, registered or refused."""

    scheme: str | None = None
    state: str | None = None
    name: str | None = None
    target_kind: str | None = None
    target_id: str | None = None
    registration: str | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An identifier, its registration (None for an ARK, which needs none), and the name of the next version."""

    record: Record
    registration: RegistrationRow | None
    newer: str | None


async def list_identifiers(session: AsyncSession, wanted: Filter, *, skip: int, limit: int) -> tuple[Sequence[Listed], int]:
    """Newest first, and how many there are."""
    total = await session.scalar(_filtered(select(func.count()).select_from(IdentifierRow), wanted))
    in_order = (IdentifierRow.created_at_us.desc(), IdentifierRow.id.desc())
    page = _filtered(select(IdentifierRow), wanted).order_by(*in_order).offset(skip).limit(limit)
    return [await show(session, row) for row in await session.scalars(page)], total or 0


async def show(session: AsyncSession, row: IdentifierRow) -> Listed:
    """One identifier with everything that is known of it."""
    newer = None if row.successor_id is None else await session.get(IdentifierRow, row.successor_id)
    return Listed(
        record=await with_first_version(session, row),
        registration=await session.get(RegistrationRow, row.id),
        newer=None if newer is None else newer.name,
    )


def _filtered(chosen: Select[Any], wanted: Filter) -> Select[Any]:
    columns = {
        IdentifierRow.scheme: wanted.scheme,
        IdentifierRow.state: wanted.state,
        IdentifierRow.name: wanted.name,
        IdentifierRow.target_kind: wanted.target_kind,
        IdentifierRow.target_id: wanted.target_id,
    }
    for column, value in columns.items():
        if value is not None:
            chosen = chosen.where(column == value)
    if wanted.registration is not None:
        state = RegistrationRow.state == wanted.registration
        chosen = chosen.join(RegistrationRow, RegistrationRow.identifier_id == IdentifierRow.id).where(state)
    return chosen
