"""From result rows to events."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from weft.core.event import Event

EVENT_COLUMNS: Final = (
    "id, type, source, epoch_us(time), epoch_us(received_at), subject, severity, user_id, session_id, correlation_id, tags, data,"
    ' metadata, "partition", "offset"'
)


def to_event(topic: str, row: Sequence[Any]) -> Event:
    """One event from the values of EVENT_COLUMNS."""
    return Event(
        id=row[0],
        type=row[1],
        source=row[2],
        topic=topic,
        time_us=row[3],
        received_at_us=row[4],
        subject=row[5],
        severity=row[6],
        user_id=row[7],
        session_id=row[8],
        correlation_id=row[9],
        tags=tuple(row[10]),
        data=msgspec.json.decode(row[11]),
        metadata=msgspec.json.decode(row[12]),
        partition=row[13],
        offset=row[14],
    )
