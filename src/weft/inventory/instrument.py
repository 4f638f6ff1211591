"""Instruments: where their files lie, and with which account they are fetched."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from weft.inventory.change import Units
from weft.inventory.reference import check_reference
from weft.inventory.shelf import Shelf, fill_plainly
from weft.inventory.tables import InstrumentRow, ServiceAccountRow

SMB_PORT: Final = 445


def instruments(units: Units) -> Shelf[InstrumentRow]:
    """The shelf of instruments."""
    return Shelf(InstrumentRow, units, _fill)


async def _fill(session: AsyncSession, row: InstrumentRow, values: dict[str, Any]) -> None:
    await check_reference(session, row, values, "service_account_id", ServiceAccountRow)
    await fill_plainly(session, row, values)
