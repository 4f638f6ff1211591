"""Forgetting: what is over for long enough is removed. The events of the topic `alerts` stay as long as others do."""

from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.tables import AlertRow, SilenceRow, TransitionRow
from weft.core.times import DAY_US

_AT_ONCE: Final = 500


async def forget(session: AsyncSession, now_us: int, *, keep_days: int) -> int:
    """Remove some alerts that ended long ago, with their transitions, and silences; returns how many alerts."""
    before_us = now_us - keep_days * DAY_US
    old = select(AlertRow.id).where(AlertRow.ended_at_us < before_us).order_by(AlertRow.started_at_us).limit(_AT_ONCE)
    ids = list(await session.scalars(old))
    quietly = {"synchronize_session": False}
    if ids:
        await session.execute(delete(TransitionRow).where(TransitionRow.alert_id.in_(ids)), execution_options=quietly)
        await session.execute(delete(AlertRow).where(AlertRow.id.in_(ids)), execution_options=quietly)
    await session.execute(delete(SilenceRow).where(SilenceRow.ends_at_us < before_us), execution_options=quietly)
    return len(ids)
