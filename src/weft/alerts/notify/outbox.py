"""The outbox: notifications written in the transaction that decided on them, so that neither is ever there alone."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.notify.notification import MAX_BYTES, Intent, Notification
from weft.alerts.notify.tables import OutboxRow
from weft.core.errors import TooLarge
from weft.core.ids import new_ids

_ROWS: Final = 500
_BODY: Final = msgspec.json.Decoder(Notification)


async def add(session: AsyncSession, intents: Sequence[Intent], *, now_us: int) -> int:
    """Write intents into the caller's transaction; they are delivered after its commit. Returns how many rows were new.

    One that was written before (same fingerprint, transition, occasion and channel) is left as it is, so a caller that does its
    work again after a crash may simply write again. Raises TooLarge for a notification over `MAX_BYTES`.
    """
    wanted = [(intent.notification, target) for intent in intents for target in dict.fromkeys(intent.channels)]
    rows = [_row(notification, target, now_us) for notification, target in wanted]
    for row, row_id in zip(rows, new_ids(len(rows), now_us), strict=True):
        row["id"] = row_id
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    added = 0
    for first in range(0, len(rows), _ROWS):
        statement = insert(OutboxRow).values(rows[first : first + _ROWS]).on_conflict_do_nothing()
        added += len((await session.execute(statement.returning(OutboxRow.id))).all())
    return added


async def list_waiting(session: AsyncSession, *, limit: int) -> Sequence[OutboxRow]:
    """Intents of which nobody has looked yet which channels they mean, oldest first."""
    in_order = (OutboxRow.created_at_us, OutboxRow.fingerprint, OutboxRow.transition, OutboxRow.id)
    return (await session.scalars(select(OutboxRow).where(OutboxRow.outcome.is_(None)).order_by(*in_order).limit(limit))).all()


def read_body(row: OutboxRow) -> Notification:
    """The notification of an intent."""
    return _BODY.decode(row.body)


def _row(notification: Notification, target: str, now_us: int) -> dict[str, Any]:
    body = msgspec.json.encode(notification)
    if len(body) > MAX_BYTES:
        raise TooLarge(
            f"the notification of rule '{notification.rule_name}' has {len(body)} bytes; at most {MAX_BYTES} are kept",
            limit=MAX_BYTES,
            unit="bytes",
        )
    return {
        "fingerprint": notification.fingerprint,
        "transition": notification.transition,
        "occasion": notification.occasion,
        "target": target,
        "group_key": notification.group_key or notification.fingerprint,
        "body": body.decode(),
        "created_at_us": now_us,
        "outcome": None,
        "is_told": False,
    }
