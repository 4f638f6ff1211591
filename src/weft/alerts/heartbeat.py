"""The dead-man's switch: a heartbeat as long as alerts are judged. Whoever misses one knows what no alert could tell."""

from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.identity import event_id_of
from weft.alerts.notify.notification import Intent, Notification
from weft.alerts.notify.outbox import add
from weft.alerts.settings import AlertsSettings
from weft.alerts.tables import AnnouncementRow, JudgeRow
from weft.core.event import EventRow
from weft.core.times import SECOND_US, to_text

TYPE: Final = "weft.heartbeat"
FINGERPRINT: Final = "heartbeat"
_SOURCE: Final = "weft/alerts"
_ROW: Final = "heartbeat"


class Heartbeat:
    """Beats once in each interval of the clock, whichever process judges."""

    def __init__(self, settings: AlertsSettings) -> None:
        self._every_us = int(settings.heartbeat_interval_s * SECOND_US)
        self._channels = settings.heartbeat_channels
        self._beaten = -1

    def is_due(self, now_us: int) -> bool:
        """Whether this process has not beaten in this interval yet."""
        return now_us // self._every_us > self._beaten

    def note(self, now_us: int) -> None:
        """The transaction of a beat was committed."""
        self._beaten = now_us // self._every_us

    async def beat(self, session: AsyncSession, now_us: int) -> bool:
        """Beat inside a transaction, unless another process has; returns whether it did."""
        number = now_us // self._every_us
        last = await session.get(JudgeRow, _ROW)
        if last is not None and int(last.value) >= number:
            return False
        await session.merge(JudgeRow(name=_ROW, value=str(number)))
        next_us = (number + 1) * self._every_us
        event_id = event_id_of(FINGERPRINT, number)
        data = {"number": number, "at": to_text(now_us), "next_by": to_text(next_us)}
        row = EventRow(
            type=TYPE, source=_SOURCE, id=event_id, timestamp=to_text(now_us), data=msgspec.Raw(msgspec.json.encode(data))
        )
        text = msgspec.json.encode(row).decode()
        session.add(AnnouncementRow(fingerprint=FINGERPRINT, number=number, made_at_us=now_us, event_id=event_id, row=text))
        if self._channels:
            intent = Intent(notification=_notification(number, now_us, next_us), channels=self._channels)
            await add(session, [intent], now_us=now_us)
        return True


def _notification(number: int, now_us: int, next_us: int) -> Notification:
    return Notification(
        fingerprint=FINGERPRINT,
        transition=number,
        state=FINGERPRINT,
        rule_id=FINGERPRINT,
        rule_name="Heartbeat",
        rule_version=1,
        level="info",
        summary=f"Weft judges alerts. The next heartbeat comes by {to_text(next_us)}; if it does not, look at Weft.",
        since_us=now_us,
        at_us=now_us,
    )
