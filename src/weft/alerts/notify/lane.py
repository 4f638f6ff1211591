"""A lane: everything that leaves through one channel, one message after the other. A channel that is away delays no other."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.attempt import Attempt, attempt, wait_s
from weft.alerts.notify.compose import SENDING, compose
from weft.alerts.notify.directory import Directory
from weft.alerts.notify.message import Message
from weft.alerts.notify.record import DEAD, end_all, hurry, record
from weft.alerts.notify.resolve import WAITING
from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.tables import ChannelRow, DeliveryRow, MessageRow
from weft.core.clock import Clock
from weft.core.errors import Refused, WeftError
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.lease import Lease

logger = structlog.get_logger(__name__)

Tries = Counter[tuple[str, str]]
"""How many tries of each kind of channel ended how."""

_LOOKED_AT: Final = 20
_OUTAGE: Final = 2
"""So many failures in a row are an outage of the channel, and not the trouble of one message."""


@dataclass(slots=True)
class Look:
    """What a channel has to do now."""

    channel: ChannelRow
    messages: list[MessageRow]
    next_us: int | None


class Lane:
    """The way through one channel."""

    def __init__(
        self,
        channel_id: str,
        database: Database,
        *,
        lease: Lease,
        directory: Directory,
        settings: NotifySettings,
        clock: Clock,
        tries: Tries,
    ) -> None:
        self._channel_id = channel_id
        self._database = database
        self._lease = lease
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._tries = tries
        self._failures = 0
        self._resting_until_us = 0

    async def work(self, look: Look | None = None) -> int | None:
        """Send everything that is due, what is in `look` first; returns when to work again, or None.

        Raises Conflict where another process has taken over, Unavailable where the database is away.
        """
        while True:
            if self.is_resting:
                return self._resting_until_us
            look = look or await self._look()
            if look is None:
                return None
            if not look.messages:
                return look.next_us
            for row in look.messages:
                if not await self._send(look.channel, row):
                    break
            look = None

    async def compose(self, session: AsyncSession, channel: ChannelRow, *, now_us: int) -> Look:
        """Compose what may leave; what there is to do once the caller's transaction is committed."""
        again_us = await compose(session, channel, settings=self._settings, now_us=now_us)
        return await self._due(session, channel, again_us)

    @property
    def is_resting(self) -> bool:
        """Whether the channel was away just now."""
        return self._clock.now_us() < self._resting_until_us

    async def _look(self) -> Look | None:
        """Compose what may leave; None where the channel is gone. Where nothing waits, nothing is written."""
        async with self._database.reading() as session:
            ours = select(DeliveryRow.id).where(DeliveryRow.channel_id == self._channel_id, DeliveryRow.state == WAITING)
            channel = await session.get(ChannelRow, self._channel_id)
            if channel is not None and channel.enabled and await session.scalar(ours.limit(1)) is None:
                return await self._due(session, channel, None)
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            await self._lease.check(session)
            channel = await session.get(ChannelRow, self._channel_id)
            if channel is None or not channel.enabled:
                await end_all(session, self._channel_id, now_us=now_us)
                return None
            return await self.compose(session, channel, now_us=now_us)

    async def _due(self, session: AsyncSession, channel: ChannelRow, again_us: int | None) -> Look:
        """The messages that are due, those that wait longest first; where there is none, when to look again."""
        ours = (MessageRow.channel_id == channel.id) & (MessageRow.state == SENDING)
        due = select(MessageRow).where(ours, MessageRow.next_at_us <= self._clock.now_us())
        in_order = (MessageRow.next_at_us, MessageRow.composed_at_us, MessageRow.oldest_us, MessageRow.id)
        messages = list(await session.scalars(due.order_by(*in_order).limit(_LOOKED_AT)))
        if messages:
            return Look(channel, messages, None)
        retry_us = await session.scalar(select(func.min(MessageRow.next_at_us)).where(ours))
        return Look(channel, messages, min((at for at in (again_us, retry_us) if at is not None), default=None))

    async def _send(self, row_of_channel: ChannelRow, row: MessageRow) -> bool:
        """One try; returns whether the channel is there."""
        at_us, began_s = self._clock.now_us(), self._clock.steady_s()
        tried = await self._try(row_of_channel, row)
        took_us = round((self._clock.steady_s() - began_s) * SECOND_US)
        now_us = max(self._clock.now_us(), at_us + took_us)
        was_out = self._failures >= _OUTAGE
        self._failures = self._failures + 1 if tried.outcome == "delayed" else 0
        pause_us = round(wait_s(row.attempts + 1, asked_s=tried.retry_after_s, settings=self._settings) * SECOND_US)
        if tried.outcome == "delayed":
            rest_s = wait_s(self._failures, asked_s=tried.retry_after_s, settings=self._settings)
            self._resting_until_us = now_us + round(rest_s * SECOND_US)
        async with self._database.writing() as session:
            await self._lease.check(session)
            state = await record(
                session,
                row,
                tried,
                at_us=at_us,
                now_us=now_us,
                retry_at_us=now_us + pause_us,
                give_up_at_us=row.oldest_us + round(self._settings.give_up_after_s * SECOND_US),
            )
            if was_out and tried.outcome == "delivered":
                await hurry(session, self._channel_id, now_us=now_us)
        self._tell(row, tried, state)
        return tried.outcome != "delayed"

    async def _try(self, row_of_channel: ChannelRow, row: MessageRow) -> Attempt:
        message = msgspec.structs.replace(msgspec.json.decode(row.body, type=Message), attempt=row.attempts + 1)
        try:
            channel = self._directory.open(row_of_channel)
            hidden = self._directory.secrets_of(row_of_channel)
        except Refused as unusable:
            return Attempt(outcome="refused", said=unusable.message)
        except WeftError as unreadable:
            return Attempt(outcome="delayed", said=unreadable.message)
        return await attempt(channel, message, hidden=hidden, timeout_s=self._settings.send_timeout_s)

    def _tell(self, row: MessageRow, tried: Attempt, state: str) -> None:
        tell = logger.info if tried.outcome == "delivered" else logger.warning
        outcome = DEAD if state == DEAD else tried.outcome
        self._tries[row.channel_kind, outcome] += 1
        tell(f"notification_{outcome}", channel=row.channel_name, key=row.key, attempt=row.attempts + 1, said=tried.said)


async def list_unfinished(session: AsyncSession) -> set[str]:
    """The channels that have something to send, or to wait for."""
    chosen = select(DeliveryRow.channel_id).where(DeliveryRow.state.in_((WAITING, SENDING))).distinct()
    return set(await session.scalars(chosen))
