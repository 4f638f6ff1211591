"""The queue of registrations: what agencies still have to be told, written in the transaction that made it so."""

from collections.abc import Sequence
from typing import Any, Final, Literal, cast

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from weft.identifiers.tables import IdentifierRow, RegistrationRow

Outcome = Literal["registered", "refused", "delayed"]

WAITING: Final = "waiting"
REGISTERED: Final = "registered"
REFUSED: Final = "refused"
"""The agency said no. It is not asked again until the identifier changes or somebody says so."""

_UNSYNCHRONISED: Final = {"synchronize_session": False}


async def ask_for(session: AsyncSession, row: IdentifierRow, *, now_us: int) -> None:
    """Have the agency told how an identifier stands now, after the caller's commit. What waited before is overtaken by it."""
    values = {
        "state": WAITING,
        "revision": row.revision,
        "attempts": 0,
        "said": "",
        "next_at_us": now_us,
        "waiting_since_us": now_us,
    }
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    new = insert(RegistrationRow).values(identifier_id=row.id, scheme=row.scheme, **values)
    await session.execute(new.on_conflict_do_update(index_elements=[RegistrationRow.identifier_id], set_=values))


async def list_due(session: AsyncSession, schemes: Sequence[str], *, now_us: int, limit: int) -> Sequence[RegistrationRow]:
    """What is to be tried now, at these agencies, those that wait longest first."""
    due = (RegistrationRow.state == WAITING) & (RegistrationRow.next_at_us <= now_us) & RegistrationRow.scheme.in_(schemes)
    in_order = (RegistrationRow.next_at_us, RegistrationRow.identifier_id)
    return (await session.scalars(select(RegistrationRow).where(due).order_by(*in_order).limit(limit))).all()


async def find_next_us(session: AsyncSession, schemes: Sequence[str]) -> int | None:
    """When there is something to try; None where nothing waits."""
    waiting = (RegistrationRow.state == WAITING) & RegistrationRow.scheme.in_(schemes)
    return await session.scalar(select(func.min(RegistrationRow.next_at_us)).where(waiting))


async def record_try(session: AsyncSession, tried: RegistrationRow, outcome: Outcome, said: str, *, next_at_us: int) -> None:
    """Write down what came of one try. Where the identifier has changed meanwhile, that change still waits and nothing is
    written: this try was about something older."""
    state = WAITING if outcome == "delayed" else outcome
    same = (RegistrationRow.identifier_id == tried.identifier_id) & (RegistrationRow.revision == tried.revision)
    values = {"state": state, "attempts": tried.attempts + 1, "said": said, "next_at_us": next_at_us}
    await session.execute(update(RegistrationRow).where(same).values(values), execution_options=_UNSYNCHRONISED)


async def retry_refused(session: AsyncSession, *, now_us: int) -> int:
    """Ask again for everything that was refused; how many that are."""
    again = {"state": WAITING, "attempts": 0, "next_at_us": now_us, "waiting_since_us": now_us}
    statement = update(RegistrationRow).where(RegistrationRow.state == REFUSED).values(again)
    done = await session.execute(statement, execution_options=_UNSYNCHRONISED)
    return cast("CursorResult[Any]", done).rowcount
