"""Announcing: each attempt, and each intent that reached nobody, becomes an event in the log, once."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import select, update

from weft.alerts.notify.message import Message
from weft.alerts.notify.notification import Notification
from weft.alerts.notify.outbox import read_body
from weft.alerts.notify.record import DEAD
from weft.alerts.notify.resolve import NO_CHANNEL
from weft.alerts.notify.tables import AttemptRow, MessageRow, OutboxRow
from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.event import EventRow, Severity
from weft.core.repeat import repeat_keys
from weft.core.times import to_text
from weft.db.database import Database
from weft.log.port import Log

TOPIC: Final = "alerts"
SOURCE: Final = "weft/notify"
TYPE: Final = "weft.notification."

_AT_ONCE: Final = 200
_MESSAGE: Final = msgspec.json.Decoder(Message)
_SEVERITY: Final[dict[str, Severity]] = {"delivered": "low", "delayed": "medium", "refused": "high"}


class Announcer:
    """Writes what happened to notifications into the log. An event said twice has the same id, so the log keeps one."""

    def __init__(self, database: Database, log: Log, *, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._clock = clock

    async def tell(self) -> None:
        """Append what was not told yet. Raises Unavailable, Busy; then it is told another time."""
        while await self._tell_attempts() or await self._tell_unreachable():
            pass

    async def _tell_attempts(self) -> bool:
        untold = select(AttemptRow, MessageRow).join(MessageRow, MessageRow.id == AttemptRow.message_id)
        async with self._database.reading() as session:
            chosen = untold.where(~AttemptRow.is_told).order_by(AttemptRow.at_us, AttemptRow.id).limit(_AT_ONCE)
            rows = (await session.execute(chosen)).tuples().all()
        if not rows:
            return False
        await self._append(
            [_of_attempt(attempt, message) for attempt, message in rows], [row.at_us + row.took_us for row, _ in rows]
        )
        told = update(AttemptRow).where(AttemptRow.id.in_([row.id for row, _ in rows])).values(is_told=True)
        async with self._database.writing() as session:
            await session.execute(told, execution_options={"synchronize_session": False})
        return len(rows) == _AT_ONCE

    async def _tell_unreachable(self) -> bool:
        async with self._database.reading() as session:
            chosen = select(OutboxRow).where(OutboxRow.outcome == NO_CHANNEL, ~OutboxRow.is_told)
            rows = (await session.scalars(chosen.order_by(OutboxRow.created_at_us, OutboxRow.id).limit(_AT_ONCE))).all()
        if not rows:
            return False
        await self._append([_of_unreachable(row) for row in rows], [row.created_at_us for row in rows])
        told = update(OutboxRow).where(OutboxRow.id.in_([row.id for row in rows])).values(is_told=True)
        async with self._database.writing() as session:
            await session.execute(told, execution_options={"synchronize_session": False})
        return len(rows) == _AT_ONCE

    async def _append(self, rows: Sequence[EventRow], times_us: Sequence[int]) -> None:
        ids = [row.id or "" for row in rows]
        await self._log.append(
            Batch(
                topic=TOPIC,
                rows=b",".join(msgspec.json.encode(row) for row in rows),
                ids=ids,
                times_us=np.array(times_us, dtype=np.int64),
                received_at_us=self._clock.now_us(),
                repeat_keys=repeat_keys([SOURCE] * len(ids), ids),
            )
        )


def _of_attempt(attempt: AttemptRow, row: MessageRow) -> EventRow:
    outcome = "refused" if attempt.outcome == DEAD else attempt.outcome
    data: dict[str, Any] = {
        "key": row.key,
        "channel": row.channel_name,
        "kind": row.channel_kind,
        "attempt": attempt.number,
        "said": attempt.said,
        "given_up": attempt.outcome == DEAD,
        "retry_at": None if attempt.retry_at_us is None else to_text(attempt.retry_at_us),
        "notifications": [_named(notification) for notification in _MESSAGE.decode(row.body).notifications],
    }
    return _event(outcome, f"{row.key}/{attempt.number}", row.channel_name, data)


def _of_unreachable(row: OutboxRow) -> EventRow:
    data: dict[str, Any] = {
        "key": None,
        "channel": row.target,
        "kind": None,
        "attempt": 0,
        "said": f"no channel in use is called '{row.target}' or of that kind",
        "given_up": True,
        "retry_at": None,
        "notifications": [_named(read_body(row))],
    }
    return _event("refused", row.id, row.target, data)


def _event(outcome: str, event_id: str, subject: str, data: dict[str, Any]) -> EventRow:
    return EventRow(
        type=f"{TYPE}{outcome}",
        source=SOURCE,
        id=event_id,
        subject=subject,
        severity=_SEVERITY[outcome],
        data=msgspec.Raw(msgspec.json.encode(data)),
    )


def _named(notification: Notification) -> dict[str, Any]:
    return {
        "fingerprint": notification.fingerprint,
        "transition": notification.transition,
        "occasion": notification.occasion,
        "state": notification.state,
        "rule_id": notification.rule_id,
        "rule_name": notification.rule_name,
    }
