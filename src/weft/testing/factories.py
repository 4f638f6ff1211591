"""Events and batches for tests: valid ones, cheap to make, different from each other."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from weft.core.batch import Batch, LogBatch
from weft.core.event import EventRow
from weft.core.ids import new_ids
from weft.core.repeat import NO_KEY, repeat_key
from weft.core.times import SECOND_US

NOON_US = 1_780_000_000 * SECOND_US


def make_row(number: int = 0, **fields: Any) -> EventRow:
    """A valid event row; any field can be given. `data` and `metadata` may be plain objects."""
    for name in ("data", "metadata"):
        if name in fields and not isinstance(fields[name], msgspec.Raw):
            fields[name] = msgspec.Raw(msgspec.json.encode(fields[name]))
    fields.setdefault("data", msgspec.Raw(msgspec.json.encode({"number": number})))
    merged: dict[str, Any] = {"type": "custom", "source": "test", **fields}
    return EventRow(**merged)


def make_batch(
    rows: Sequence[EventRow] | int = 1,
    *,
    topic: str = "events",
    times_us: Sequence[int] | None = None,
    received_at_us: int = NOON_US,
) -> Batch:
    """A batch as a door makes it: rows with an `id` can repeat, the others get generated ids."""
    if isinstance(rows, int):
        rows = [make_row(number) for number in range(rows)]
    times = np.asarray(times_us if times_us is not None else [received_at_us + n for n in range(len(rows))], dtype=np.int64)
    generated = new_ids(len(rows), received_at_us)
    given = any(row.id is not None for row in rows)
    keys = np.array([repeat_key(row.source, row.id) if row.id else NO_KEY for row in rows], dtype=np.uint64)
    return Batch(
        topic=topic,
        rows=b",".join(msgspec.json.encode(row) for row in rows),
        ids=[row.id or generated[index] for index, row in enumerate(rows)] if given else generated,
        times_us=times,
        received_at_us=received_at_us,
        repeat_keys=keys if given else None,
    )


def make_log_batch(
    rows: Sequence[EventRow] | int = 1,
    *,
    topic: str = "events",
    partition: int = 0,
    first_offset: int = 0,
    times_us: Sequence[int] | None = None,
    received_at_us: int = NOON_US,
    max_time_before_us: int | None = None,
) -> LogBatch:
    """A batch as it comes out of the log."""
    batch = make_batch(rows, topic=topic, times_us=times_us, received_at_us=received_at_us)
    return LogBatch(
        topic=topic,
        partition=partition,
        first_offset=first_offset,
        rows=batch.rows,
        ids=batch.ids,
        times_us=batch.times_us,
        received_at_us=np.full(batch.count, received_at_us, dtype=np.int64),
        max_time_before_us=max_time_before_us,
    )
