"""Forgetting: deliveries and attempts older than they are kept, once nothing waits for them any more."""

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.compose import SENDING
from weft.alerts.notify.resolve import WAITING
from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.tables import DeliveryRow, MessageRow, OutboxRow
from weft.core.times import DAY_US


async def forget(session: AsyncSession, *, settings: NotifySettings, now_us: int) -> None:
    """Remove what is older than `keep_days`; deliveries and attempts go with what they belong to."""
    before_us = now_us - settings.keep_days * DAY_US
    waits = exists().where(DeliveryRow.outbox_id == OutboxRow.id, DeliveryRow.state.in_((WAITING, SENDING)))
    intents = delete(OutboxRow).where(OutboxRow.created_at_us < before_us, OutboxRow.outcome.is_not(None), ~waits)
    await session.execute(intents, execution_options={"synchronize_session": False})
    held = select(DeliveryRow.message_id).where(DeliveryRow.message_id.is_not(None))
    messages = delete(MessageRow).where(MessageRow.composed_at_us < before_us, MessageRow.state != SENDING)
    await session.execute(messages.where(MessageRow.id.not_in(held)), execution_options={"synchronize_session": False})
