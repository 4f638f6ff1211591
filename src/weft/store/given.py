"""Ids that clients gave: the only ones that can repeat. Ids that a door made come twice only with their whole log batch, which
positions catch."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.event import EventRow
from weft.core.ids import IdRange, looks_generated
from weft.core.times import from_datetime

FIRST_US: Final = from_datetime(datetime(1, 1, 2, tzinfo=UTC))
LAST_US: Final = from_datetime(datetime(9999, 12, 30, tzinfo=UTC))
"""Event times a store takes: those that any calendar can file under a date."""

Given = tuple[str, str, str]
"""Topic, source and id of an event whose id the client gave."""


class _Row(msgspec.Struct, gc=False):
    """What of a row tells whether its id was given: a third of the cost of an EventRow."""

    source: str
    id: str | None = None


_ROWS: Final = msgspec.json.Decoder(list[_Row])


def given_ids(batch: LogBatch) -> dict[int, Given]:
    """The given ids of a batch by the index of their event."""
    if not _may_hold_given(batch):
        return {}
    return {
        index: (batch.topic, row.source, event_id)
        for index, (row, event_id) in enumerate(zip(_rows(batch), batch.ids, strict=True))
        if row.id is not None or not looks_generated(event_id)
    }


def _rows(batch: LogBatch) -> Sequence[_Row | EventRow]:
    try:
        rows = _ROWS.decode(b"[" + batch.rows + b"]")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return batch.event_rows  # which tells what is wrong with them
    return rows if len(rows) == batch.count else batch.event_rows


def check_times(batch: LogBatch) -> None:
    """Raises Corrupt for times that no calendar has: they could be taken, but never be filed under a date."""
    if batch.times_us.min() < FIRST_US or batch.times_us.max() > LAST_US:
        raise Corrupt(
            f"the batch at {batch.topic}/{batch.partition}/{batch.first_offset} has event times outside the years 1 to 9999",
            topic=batch.topic,
            partition=batch.partition,
            offset=batch.first_offset,
        )


def _may_hold_given(batch: LogBatch) -> bool:
    """Whether some ids may come from a client or from its retry key. Spares most batches a second decoding."""
    if isinstance(batch.ids, IdRange):
        return False
    return b'"id"' in batch.rows or b"\\u" in batch.rows or not all(map(looks_generated, batch.ids))
