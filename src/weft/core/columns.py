"""The columns of an event, as Arrow. Every consumer works on these; the names are those of the store's Parquet files."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weft.core.event import EMPTY_OBJECT, EventRow

TIME_TYPE: Final = pa.timestamp("us", tz="UTC")

EVENT_SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("time", TIME_TYPE, nullable=False),
        pa.field("received_at", TIME_TYPE, nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("correlation_id", pa.string()),
        pa.field("tags", pa.list_(pa.string()), nullable=False),
        pa.field("data", pa.string(), nullable=False),  # JSON text as it arrived
        pa.field("metadata", pa.string(), nullable=False),  # JSON text as it arrived
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)

_EMPTY_TEXT: Final = bytes(EMPTY_OBJECT).decode()


def build(
    rows: Sequence[EventRow],
    *,
    ids: Sequence[str],
    times_us: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
    partition: int,
    first_offset: int,
) -> pa.RecordBatch:
    """One record batch of EVENT_SCHEMA from decoded rows and the columns that stand beside them, in the same order."""
    count = len(rows)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(ids if isinstance(ids, list) else list(ids), pa.string()),
            pa.array([row.type for row in rows], pa.string()),
            pa.array([row.source for row in rows], pa.string()),
            _optional([row.subject for row in rows]),
            pa.array(times_us, TIME_TYPE),
            pa.array(received_at_us, TIME_TYPE),
            pa.array([row.severity for row in rows], pa.string()),
            _optional([row.user_id for row in rows]),
            _optional([row.session_id for row in rows]),
            _optional([row.correlation_id for row in rows]),
            pa.array([row.tags for row in rows], pa.list_(pa.string())),
            pa.array([bytes(row.data) for row in rows], pa.binary()).cast(pa.string()),
            _metadata(rows),
            pa.array(np.full(count, partition, dtype=np.int32)),
            pa.array(np.arange(first_offset, first_offset + count, dtype=np.int64)),
        ],
        schema=EVENT_SCHEMA,
    )


def _optional(values: list[str | None]) -> pa.StringArray:
    return pa.array(values, pa.string())


def _metadata(rows: Iterable[EventRow]) -> pa.StringArray:
    texts = [_EMPTY_TEXT if row.metadata is EMPTY_OBJECT else bytes(row.metadata).decode() for row in rows]
    return pa.array(texts, pa.string())
