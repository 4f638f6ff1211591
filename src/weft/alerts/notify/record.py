"""What is written down after a try: the attempt, and what became of the message and of every notification in it."""

from typing import Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.attempt import Attempt
from weft.alerts.notify.compose import DELIVERED, SENDING
from weft.alerts.notify.resolve import WAITING
from weft.alerts.notify.tables import AttemptRow, DeliveryRow, MessageRow
from weft.core.ids import new_id

REFUSED: Final = "refused"
DEAD: Final = "dead"
"""Given up: it could not be delivered for too long."""

_UNSYNCHRONISED: Final = {"synchronize_session": False}


async def record(
    session: AsyncSession, row: MessageRow, attempt: Attempt, *, at_us: int, now_us: int, retry_at_us: int, give_up_at_us: int
) -> str:
    """Write down one try of a message; returns the message's state."""
    number = row.attempts + 1
    state = _state(attempt, now_us >= give_up_at_us)
    is_over = state != SENDING
    session.add(
        AttemptRow(
            id=new_id(now_us),
            message_id=row.id,
            number=number,
            at_us=at_us,
            took_us=max(now_us - at_us, 0),
            outcome=DEAD if state == DEAD else attempt.outcome,
            said=attempt.said,
            retry_at_us=None if is_over else retry_at_us,
        )
    )
    ended_at_us = now_us if is_over else None
    after = {"attempts": number, "state": state, "next_at_us": retry_at_us, "ended_at_us": ended_at_us}
    await session.execute(update(MessageRow).where(MessageRow.id == row.id).values(after), execution_options=_UNSYNCHRONISED)
    if is_over:
        ended = update(DeliveryRow).where(DeliveryRow.message_id == row.id).values(state=state, ended_at_us=ended_at_us)
        await session.execute(ended, execution_options=_UNSYNCHRONISED)
    return state


async def hurry(session: AsyncSession, channel_id: str, *, now_us: int) -> None:
    """The channel is back after an outage: whatever waits for its next try is tried now."""
    waiting = update(MessageRow).where(MessageRow.channel_id == channel_id, MessageRow.state == SENDING)
    await session.execute(waiting.values(next_at_us=now_us), execution_options=_UNSYNCHRONISED)


async def end_all(session: AsyncSession, channel_id: str, *, now_us: int) -> None:
    """The channel is gone: what waited for it is refused."""
    unfinished = update(DeliveryRow).where(DeliveryRow.channel_id == channel_id, DeliveryRow.state.in_((WAITING, SENDING)))
    await session.execute(unfinished.values(state=REFUSED, ended_at_us=now_us), execution_options=_UNSYNCHRONISED)
    composed = update(MessageRow).where(MessageRow.channel_id == channel_id, MessageRow.state == SENDING)
    await session.execute(composed.values(state=REFUSED, ended_at_us=now_us), execution_options=_UNSYNCHRONISED)


def _state(attempt: Attempt, is_too_old: bool) -> str:
    if attempt.outcome == "delivered":
        return DELIVERED
    if attempt.outcome == "refused":
        return REFUSED
    return DEAD if is_too_old else SENDING
