"""Hooks: what is to be done before or after a transfer. What is written here, nothing runs yet."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.errors import Invalid
from weft.inventory.builtin import check_builtin
from weft.inventory.change import Units
from weft.inventory.reference import check_reference
from weft.inventory.shelf import Shelf, fill_plainly
from weft.inventory.tables import HookRow, InstrumentRow

_NEEDED: Final = {"builtin": "builtin_name", "python_script": "script_path", "http_webhook": "webhook_url"}
"""The one field that says what each implementation is to run."""


def hooks(units: Units) -> Shelf[HookRow]:
    """The shelf of hooks."""
    return Shelf(HookRow, units, _fill)


async def _fill(session: AsyncSession, row: HookRow, values: dict[str, Any]) -> None:
    await check_reference(session, row, values, "instrument_id", InstrumentRow)
    await fill_plainly(session, row, values)
    needed = _NEEDED[row.implementation]
    if not getattr(row, needed):
        raise Invalid(f"a hook of the kind {row.implementation} needs {needed}", field=needed)
    for other in _NEEDED.values():
        if other != needed and getattr(row, other):
            raise Invalid(f"a hook of the kind {row.implementation} has no {other}", field=other)
    if row.builtin_name:
        check_builtin(row.builtin_name, row.trigger, row.config)  # pyright: ignore[reportArgumentType] - the body checked it
