"""From result rows to events."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from weft.core.columns import EVENT_SCHEMA
from weft.core.event import Event
from weft.core.times import from_datetime

EVENT_NAMES: Final = ", ".join(f'"{name}"' for name in EVENT_SCHEMA.names)
EVENT_COLUMNS: Final = (
    "id, type, source, epoch_us(time), epoch_us(received_at), subject, severity, user_id, session_id, correlation_id, tags,"
    ' data, metadata, "partition", "offset"'
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


def from_table(topic: str, table: pa.Table) -> Event:
    """The one event of a table of event columns."""
    (row,) = table.to_pylist()
    return Event(
        id=row["id"],
        type=row["type"],
        source=row["source"],
        topic=topic,
        time_us=from_datetime(row["time"]),
        received_at_us=from_datetime(row["received_at"]),
        subject=row["subject"],
        severity=row["severity"],
        user_id=row["user_id"],
        session_id=row["session_id"],
        correlation_id=row["correlation_id"],
        tags=tuple(row["tags"]),
        data=msgspec.json.decode(row["data"]),
        metadata=msgspec.json.decode(row["metadata"]),
        partition=row["partition"],
        offset=row["offset"],
    )
