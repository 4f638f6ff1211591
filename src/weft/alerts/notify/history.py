"""History: what became of every notification, with each try and what the other side said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.notification import Notification
from weft.alerts.notify.outbox import read_body
from weft.alerts.notify.resolve import WAITING
from weft.alerts.notify.tables import AttemptRow, DeliveryRow, MessageRow, OutboxRow


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which notifications to list; None means all."""

    state: str | None = None
    channel: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One notification through one channel. Without a delivery it reached no channel at all."""

    notification: Notification
    intent: OutboxRow
    delivery: DeliveryRow | None
    message: MessageRow | None
    attempts: Sequence[AttemptRow]

    @property
    def state(self) -> str:
        """What became of it."""
        return self.delivery.state if self.delivery is not None else self.intent.outcome or "waiting"


async def list_told(session: AsyncSession, wanted: Wanted, *, skip: int, limit: int) -> tuple[Sequence[Told], int]:
    """A page, newest first, and how many there are."""
    total = await session.scalar(_joined(select(func.count()).select_from(OutboxRow), wanted))
    page = _joined(select(OutboxRow, DeliveryRow, MessageRow).select_from(OutboxRow), wanted)
    newest = (OutboxRow.created_at_us.desc(), OutboxRow.id.desc(), DeliveryRow.id)
    rows = (await session.execute(page.order_by(*newest).offset(skip).limit(limit))).all()
    found = [cast("tuple[OutboxRow, DeliveryRow | None, MessageRow | None]", tuple(row)) for row in rows]
    attempts = await _attempts_of(session, {message.id for _, _, message in found if message is not None})
    told = [
        Told(
            notification=read_body(intent),
            intent=intent,
            delivery=delivery,
            message=message,
            attempts=attempts.get(message.id, []) if message is not None else [],
        )
        for intent, delivery, message in found
    ]
    return told, total or 0


def _joined(chosen: Select[Any], wanted: Wanted) -> Select[Any]:
    chosen = chosen.outerjoin(DeliveryRow, DeliveryRow.outbox_id == OutboxRow.id)
    chosen = chosen.outerjoin(MessageRow, MessageRow.id == DeliveryRow.message_id)
    if wanted.fingerprint is not None:
        chosen = chosen.where(OutboxRow.fingerprint == wanted.fingerprint)
    if wanted.channel is not None:
        chosen = chosen.where(func.coalesce(DeliveryRow.channel_name, OutboxRow.target) == wanted.channel)
    if wanted.state is not None:
        chosen = chosen.where(func.coalesce(DeliveryRow.state, OutboxRow.outcome, WAITING) == wanted.state)
    return chosen


async def _attempts_of(session: AsyncSession, messages: set[str]) -> dict[str, list[AttemptRow]]:
    chosen = select(AttemptRow).where(AttemptRow.message_id.in_(messages)).order_by(AttemptRow.message_id, AttemptRow.number)
    attempts: dict[str, list[AttemptRow]] = {}
    for attempt in await session.scalars(chosen):
        attempts.setdefault(attempt.message_id, []).append(attempt)
    return attempts
