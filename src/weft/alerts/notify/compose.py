"""From deliveries to messages: what leaves a channel together is written down whole before any of it is sent."""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.catalogue import find_class
from weft.alerts.notify.message import Message
from weft.alerts.notify.notification import Notification
from weft.alerts.notify.resolve import WAITING
from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.spacing import Leaving, Sent, Waiting, interval_us, space
from weft.alerts.notify.tables import ChannelRow, DeliveryRow, MessageRow, OutboxRow
from weft.alerts.notify.template import fill
from weft.core.ids import new_id
from weft.core.times import MINUTE_US, SECOND_US

SENDING: Final = "sending"
DELIVERED: Final = "delivered"
LEFT_OUT: Final = "left_out"
"""A reminder that came too soon after the last word about its alert."""

REMINDER: Final = "reminder"
"""How the occasion of a reminder begins."""

_LOOKED_AT: Final = 1000
_BODY: Final = msgspec.json.Decoder(Notification)
_TEXTS: Final = msgspec.json.Decoder(dict[str, str])


async def compose(session: AsyncSession, channel: ChannelRow, *, settings: NotifySettings, now_us: int) -> int | None:
    """Compose every message of a channel that may leave now. Returns when to look again, or None."""
    rows = await _list_waiting(session, channel.id)
    if not rows:
        return None
    rows = await _without_reminders(session, rows, settings=settings, now_us=now_us)
    leaving = space(
        [_waiting(row) for row in rows],
        await _sent(
            session,
            channel.id,
            since_us=now_us - max((interval_us(row.group_interval_us, settings) for row in rows), default=0),
            now_us=now_us,
        ),
        settings=settings,
        messages_per_minute=channel.messages_per_minute or settings.messages_per_minute,
        now_us=now_us,
    )
    await _write(session, channel, {row.id: row for row in rows}, leaving, settings=settings, now_us=now_us)
    return leaving.next_us


async def _list_waiting(session: AsyncSession, channel_id: str) -> Sequence[DeliveryRow]:
    waiting = select(DeliveryRow).where(DeliveryRow.channel_id == channel_id, DeliveryRow.state == WAITING)
    in_order = (DeliveryRow.created_at_us, DeliveryRow.fingerprint, DeliveryRow.transition, DeliveryRow.id)
    return (await session.scalars(waiting.order_by(*in_order).limit(_LOOKED_AT))).all()


async def _without_reminders(
    session: AsyncSession, rows: Sequence[DeliveryRow], *, settings: NotifySettings, now_us: int
) -> Sequence[DeliveryRow]:
    """The deliveries, but for reminders of alerts about which the channel said the same just now; those end here."""
    reminders = [row for row in rows if row.occasion.startswith(REMINDER)]
    if not reminders:
        return rows
    since_us = now_us - round(settings.repeat_interval_s * SECOND_US)
    lately = (
        select(DeliveryRow.fingerprint, DeliveryRow.told_state)
        .where(DeliveryRow.channel_id == rows[0].channel_id, DeliveryRow.state == DELIVERED)
        .where(DeliveryRow.ended_at_us > since_us)
    )
    said = {(fingerprint, state) for fingerprint, state in (await session.execute(lately)).tuples()}
    for row in reminders:
        if (row.fingerprint, row.told_state) in said:
            row.state, row.ended_at_us = LEFT_OUT, now_us
    return [row for row in rows if row.state == WAITING]


async def _sent(session: AsyncSession, channel_id: str, *, since_us: int, now_us: int) -> Sent:
    lately = DeliveryRow.ended_at_us > since_us
    groups = (
        select(DeliveryRow.group_key, DeliveryRow.state, func.max(DeliveryRow.ended_at_us))
        .where(DeliveryRow.channel_id == channel_id)
        .where((DeliveryRow.state == SENDING) | ((DeliveryRow.state == DELIVERED) & lately))
        .group_by(DeliveryRow.group_key, DeliveryRow.state)
    )
    found = (await session.execute(groups)).tuples().all()
    messages = select(MessageRow.ended_at_us).where(
        MessageRow.channel_id == channel_id, (MessageRow.state == SENDING) | (MessageRow.ended_at_us > now_us - MINUTE_US)
    )
    return Sent(
        busy=frozenset(group for group, state, _ in found if state == SENDING),
        ended_us={group: ended_us for group, state, ended_us in found if state == DELIVERED and ended_us is not None},
        minute_us=[now_us if ended_us is None else ended_us for ended_us in await session.scalars(messages)],
    )


async def _write(
    session: AsyncSession,
    channel: ChannelRow,
    rows: dict[str, DeliveryRow],
    leaving: Leaving,
    *,
    settings: NotifySettings,
    now_us: int,
) -> None:
    for members in leaving.messages:
        together = [rows[member] for member in members]
        bodies = await session.execute(
            select(OutboxRow.id, OutboxRow.body).where(OutboxRow.id.in_([row.outbox_id for row in together]))
        )
        body_of = dict(bodies.tuples().all())
        notifications = tuple(_placed(_BODY.decode(body_of[row.outbox_id]), settings) for row in together)
        message = Message(
            key=_key([row.key for row in together]),
            channel=channel.name,
            at_us=now_us,
            notifications=notifications,
            texts=tuple(texts_of(channel, notification) for notification in notifications),
        )
        row = MessageRow(
            id=new_id(now_us),
            channel_id=channel.id,
            channel_name=channel.name,
            channel_kind=channel.kind,
            key=message.key,
            body=msgspec.json.encode(message).decode(),
            state=SENDING,
            attempts=0,
            oldest_us=min(one.created_at_us for one in together),
            composed_at_us=now_us,
            next_at_us=now_us,
        )
        session.add(row)
        await session.flush()
        going = update(DeliveryRow).where(DeliveryRow.id.in_(members)).values(state=SENDING, message_id=row.id)
        await session.execute(going, execution_options={"synchronize_session": False})


def texts_of(channel: ChannelRow, notification: Notification) -> dict[str, str]:
    """Every field of the channel's template, filled in."""
    fields = {**find_class(channel.kind).template, **_TEXTS.decode(channel.template)}
    return {field: fill(text, notification) for field, text in fields.items()}


def _placed(notification: Notification, settings: NotifySettings) -> Notification:
    """The notification with links that lead somewhere from anywhere, where it is known where Weft is reached."""
    if settings.public_url is None:
        return notification
    base = settings.public_url.rstrip("/")
    links = {name: base + link if link.startswith("/") else link for name, link in notification.links.items()}
    return msgspec.structs.replace(notification, links=links)


def _key(keys: Sequence[str]) -> str:
    """The key of a message: that of its only notification, or one made of all."""
    return keys[0] if len(keys) == 1 else hashlib.sha256("\n".join(keys).encode()).hexdigest()[:32]


def _waiting(row: DeliveryRow) -> Waiting:
    return Waiting(
        id=row.id,
        fingerprint=row.fingerprint,
        transition=row.transition,
        group_key=row.group_key,
        created_at_us=row.created_at_us,
        group_wait_us=row.group_wait_us,
        group_interval_us=row.group_interval_us,
    )
