"""Schedules: when which instrument's files are to be fetched, and where to. What is written here, nothing runs yet."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from weft.inventory.change import Units
from weft.inventory.reference import check_reference
from weft.inventory.shelf import Shelf, fill_plainly
from weft.inventory.tables import InstrumentRow, LocationRow, ScheduleRow


def schedules(units: Units) -> Shelf[ScheduleRow]:
    """The shelf of schedules."""
    return Shelf(ScheduleRow, units, _fill)


async def _fill(session: AsyncSession, row: ScheduleRow, values: dict[str, Any]) -> None:
    await check_reference(session, row, values, "instrument_id", InstrumentRow)
    await check_reference(session, row, values, "default_storage_location_id", LocationRow)
    await fill_plainly(session, row, values)
