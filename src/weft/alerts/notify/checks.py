"""What notifications look at for the verdict: does everybody who should be told get told?"""

from collections import Counter
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.catalogue import KINDS
from weft.alerts.notify.compose import DELIVERED, SENDING
from weft.alerts.notify.record import DEAD, REFUSED
from weft.alerts.notify.resolve import NO_CHANNEL, channels_of
from weft.alerts.notify.shorten import one_line
from weft.alerts.notify.tables import AttemptRow, ChannelRow, DeliveryRow, MessageRow, OutboxRow
from weft.core.clock import Clock
from weft.core.times import DAY_US, MINUTE_US, SECOND_US
from weft.core.verdict import Check, Finding, Level
from weft.db.database import Database

CHANNELS: Final = "notify.channels"
DELIVERY: Final = "notify.delivery"
OUTBOX: Final = "notify.outbox"

_LATE_US: Final = 5 * MINUTE_US
_IDLE_US: Final = MINUTE_US
_SHOWN: Final = 5
_SAID_CHARS: Final = 160


def notify_checks(database: Database, *, clock: Clock) -> dict[str, Check]:
    """The checks, by code."""

    async def channels() -> Finding:
        return await _channels(database, clock.now_us())

    async def delivery() -> Finding:
        return await _delivery(database, clock.now_us())

    async def outbox() -> Finding:
        return await _outbox(database, clock.now_us())

    return {CHANNELS: channels, DELIVERY: delivery, OUTBOX: outbox}


async def _channels(database: Database, now_us: int) -> Finding:
    """Rules name channels that are not there."""
    since_us = now_us - DAY_US
    async with database.reading() as session:
        lately = select(OutboxRow.target, func.count()).where(
            OutboxRow.outcome == NO_CHANNEL, OutboxRow.created_at_us > since_us
        )
        missed = dict((await session.execute(lately.group_by(OutboxRow.target))).tuples().all())
        present = (await session.scalars(select(ChannelRow).where(ChannelRow.enabled))).all()
    missing = {target: number for target, number in sorted(missed.items()) if not channels_of(target, present)}
    if not missing:
        return Finding(code=CHANNELS, level=Level.FINE, why="Every channel that rules name is there.")
    named = ", ".join(f"{'kind ' if target in KINDS else ''}'{target}'" for target in list(missing)[:_SHOWN])
    total = sum(missing.values())
    return Finding(
        code=CHANNELS,
        level=Level.ACT,
        why=f"In the last day {total} notifications reached nobody, for there is no channel {named}; "
        "add one with `weft channels add`, or change the rules",
        parameters={"notifications": total, "channels": missing},
    )


async def _delivery(database: Database, now_us: int) -> Finding:
    """Notifications that were refused or given up since the channel last delivered, or that wait for long."""
    async with database.reading() as session:
        names = {row.id: row.name for row in await session.scalars(select(ChannelRow))}
        failed = {names[channel]: number for channel, number in (await _failed(session, now_us)).items() if channel in names}
        oldest = select(MessageRow.channel_name, func.min(MessageRow.oldest_us)).where(MessageRow.state == SENDING)
        waiting = dict((await session.execute(oldest.group_by(MessageRow.channel_name))).tuples().all())
        waits_s = {name: (now_us - at_us) // SECOND_US for name, at_us in waiting.items() if now_us - at_us > _LATE_US}
        first = next(iter(failed or waits_s), None)
        said = await _last_said(session, first) if first is not None else ""
    if failed:
        why = f"{failed[str(first)]} notifications through '{first}' were refused or given up: {said}"
        return Finding(code=DELIVERY, level=Level.ACT, why=why, parameters={"notifications": failed})
    if waits_s:
        why = f"Notifications through '{first}' have waited for {waits_s[str(first)]} s: {said}"
        return Finding(code=DELIVERY, level=Level.LOOK, why=why, parameters={"waits_s": waits_s})
    return Finding(code=DELIVERY, level=Level.FINE, why="What was to be told was told.")


async def _failed(session: AsyncSession, now_us: int) -> dict[str, int]:
    """Notifications of the last day, by channel, that ended badly after the last one that ended well."""
    day = (DeliveryRow.ended_at_us > now_us - DAY_US) & DeliveryRow.state.in_((DELIVERED, REFUSED, DEAD))
    well = select(DeliveryRow.channel_id, func.max(DeliveryRow.ended_at_us)).where(day, DeliveryRow.state == DELIVERED)
    last_well = dict((await session.execute(well.group_by(DeliveryRow.channel_id))).tuples().all())
    badly = select(DeliveryRow.channel_id, DeliveryRow.ended_at_us).where(day, DeliveryRow.state != DELIVERED)
    failed = Counter[str]()
    for channel, ended_us in (await session.execute(badly)).tuples():
        failed[channel] += (ended_us or 0) >= (last_well.get(channel) or 0)
    return {channel: number for channel, number in failed.items() if number}


async def _last_said(session: AsyncSession, channel: str) -> str:
    ours = select(AttemptRow.said).join(MessageRow, MessageRow.id == AttemptRow.message_id)
    newest = ours.where(MessageRow.channel_name == channel).order_by(AttemptRow.at_us.desc()).limit(1)
    return one_line(await session.scalar(newest) or "it was not tried", _SAID_CHARS)


async def _outbox(database: Database, now_us: int) -> Finding:
    """Intents nobody looks at: no process delivers."""
    async with database.reading() as session:
        waiting = select(func.count(), func.min(OutboxRow.created_at_us)).where(OutboxRow.outcome.is_(None))
        number, oldest_us = (await session.execute(waiting)).one()
    if oldest_us is None or now_us - oldest_us <= _IDLE_US:
        return Finding(code=OUTBOX, level=Level.FINE, why="Nothing lies in the outbox.")
    waits_s = (now_us - oldest_us) // SECOND_US
    return Finding(
        code=OUTBOX,
        level=Level.ACT,
        why=f"{number} notifications have lain in the outbox for up to {waits_s} s: no process plays the role alerting",
        parameters={"notifications": number, "waits_s": waits_s},
    )
