"""References from one thing to another: the other one has to be there when it is named, not for ever after."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.errors import Invalid
from weft.inventory.tables import Kept


async def check_reference(session: AsyncSession, row: Kept, values: dict[str, Any], field: str, kind: type[Kept]) -> None:
    """Raise Invalid where `values` name something else than `row` does and it is not there.

    A form that sends back what stands in the row is not refused because that was deleted meanwhile.
    """
    wanted = values.get(field)
    if wanted is None or wanted == getattr(row, field):
        return
    found = await session.get(kind, wanted)
    if found is None or found.deleted_at_us is not None:
        raise Invalid(f"there is no {kind.noun} '{wanted}'", field=field)
