"""From intents to deliveries: which channels a name or a kind means at this moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.catalogue import KINDS
from weft.alerts.notify.notification import key_of
from weft.alerts.notify.outbox import list_waiting, read_body
from weft.alerts.notify.tables import ChannelRow, DeliveryRow, OutboxRow
from weft.core.ids import new_id

RESOLVED: Final = "resolved"
NO_CHANNEL: Final = "no_channel"
WAITING: Final = "waiting"

_INTENTS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Whether more intents wait, the channels that got deliveries, and whether some intent reached nobody."""

    has_more: bool = False
    channels: Sequence[ChannelRow] = ()
    is_unheard: bool = False


async def resolve(session: AsyncSession, *, now_us: int) -> Resolved:
    """Turn waiting intents into deliveries.

    An intent that means no channel ends here: it stays in the outbox as `no_channel`, becomes an event and a finding.
    """
    intents = await list_waiting(session, limit=_INTENTS)
    if not intents:
        return Resolved()
    channels = (await session.scalars(select(ChannelRow).where(ChannelRow.enabled))).all()
    reached: dict[str, ChannelRow] = {}
    for intent in intents:
        meant = channels_of(intent.target, channels)
        intent.outcome = RESOLVED if meant else NO_CHANNEL
        for channel in meant:
            await _deliver(session, intent, channel, now_us)
            reached[channel.id] = channel
    return Resolved(
        has_more=len(intents) == _INTENTS,
        channels=list(reached.values()),
        is_unheard=any(intent.outcome == NO_CHANNEL for intent in intents),
    )


def channels_of(target: str, channels: Sequence[ChannelRow]) -> list[ChannelRow]:
    """The channels a rule means by a word: all of a kind, or the one of that name."""
    return [channel for channel in channels if target == (channel.kind if target in KINDS else channel.name)]


async def _deliver(session: AsyncSession, intent: OutboxRow, channel: ChannelRow, now_us: int) -> None:
    """One delivery, unless another word of the same rule meant this channel too."""
    notification = read_body(intent)
    values: dict[str, Any] = {
        "id": new_id(now_us),
        "outbox_id": intent.id,
        "message_id": None,
        "channel_id": channel.id,
        "channel_name": channel.name,
        "key": key_of(notification, channel.id),
        "fingerprint": intent.fingerprint,
        "group_key": intent.group_key,
        "group_wait_us": notification.group_wait_us,
        "group_interval_us": notification.group_interval_us,
        "transition": intent.transition,
        "occasion": intent.occasion,
        "told_state": notification.state,
        "state": WAITING,
        "created_at_us": intent.created_at_us,
        "ended_at_us": None,
    }
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    await session.execute(insert(DeliveryRow).values(values).on_conflict_do_nothing(index_elements=["key"]))
