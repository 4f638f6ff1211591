"""Batch: many events of one topic, the unit of all work inside.

`Batch` is on its way to the log; `LogBatch` came out of it and knows its place. Both keep the events as the bytes that
arrived (`rows`): JSON objects with the keys of `EventRow`, joined by commas, without brackets. What every reader needs
before it decodes anything (ids, times) stands beside them as columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weft.core import columns
from weft.core.errors import Corrupt
from weft.core.event import EventRow

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT_ROWS: Final = msgspec.json.Decoder(list[EventRow])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events of one topic, checked, on their way to the log. All columns have one length.

    `repeat_keys` is None where no client gave an id: such events cannot repeat and pay nothing. Otherwise it holds
    `repeat_key(source, id)` for each event whose id the client gave and 0 for the others.
    """

    topic: str
    rows: bytes
    ids: Sequence[str]
    times_us: Int64s
    received_at_us: int
    repeat_keys: UInt64s | None = None

    @property
    def count(self) -> int:
        """How many events."""
        return len(self.times_us)

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory; queues are bounded by it."""
        return len(self.rows) + 64 * self.count

    def select(self, keep: Sequence[int]) -> "Batch":
        """The same batch with only the events at the given indices, in that order."""
        rows = split_rows(self.rows)
        index = np.asarray(keep, dtype=np.int64)
        return Batch(
            topic=self.topic,
            rows=b",".join(bytes(rows[i]) for i in keep),
            ids=[self.ids[i] for i in keep],
            times_us=self.times_us[index],
            received_at_us=self.received_at_us,
            repeat_keys=None if self.repeat_keys is None else self.repeat_keys[index],
        )


@dataclass(frozen=True, kw_only=True)
class LogBatch:
    """Events of one topic and partition as they stand in the log, in log order: offsets are consecutive.

    `max_time_before_us` is the largest event time below `first_offset` (None at the very beginning), the raw material of
    the watermark. A tick has one offset, no events and `tick_us`: it moves time on where nothing happens.
    One LogBatch is shared by all readers of a process, so that its rows are decoded once.
    """

    topic: str
    partition: int
    first_offset: int
    rows: bytes
    ids: Sequence[str]
    times_us: Int64s
    received_at_us: Int64s
    max_time_before_us: int | None
    tick_us: int | None = None

    @property
    def count(self) -> int:
        """How many events; 0 for a tick."""
        return len(self.times_us)

    @property
    def next_offset(self) -> int:
        """The offset after the last one of this batch."""
        return self.first_offset + (1 if self.tick_us is not None else self.count)

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory undecoded."""
        return len(self.rows) + 80 * self.count

    @cached_property
    def event_rows(self) -> list[EventRow]:
        """The events, `data` still raw. Raises Corrupt where the rows cannot be read or their number is wrong."""
        try:
            rows = _EVENT_ROWS.decode(b"[" + self.rows + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as unreadable:
            raise Corrupt(f"{self._place} cannot be read: {unreadable}", **self._where) from unreadable
        if len(rows) != self.count:
            raise Corrupt(f"{self._place} holds {len(rows)} events, its header says {self.count}", **self._where)
        return rows

    @cached_property
    def columns(self) -> pa.RecordBatch:
        """The events as `weft.core.columns.EVENT_SCHEMA`, built once per process. Raises Corrupt like `event_rows`."""
        try:
            return columns.build(
                self.rows,
                ids=self.ids,
                times_us=self.times_us,
                received_at_us=self.received_at_us,
                partition=self.partition,
                first_offset=self.first_offset,
            )
        except columns.Unreadable as unreadable:
            raise Corrupt(f"{self._place} {unreadable}", **self._where) from unreadable

    @property
    def _place(self) -> str:
        return f"the batch at {self.topic}/{self.partition}/{self.first_offset}"

    @property
    def _where(self) -> dict[str, object]:
        return {"topic": self.topic, "partition": self.partition, "offset": self.first_offset}


def split_rows(rows: bytes) -> list[msgspec.Raw]:
    """The single JSON objects of `rows`, undecoded."""
    return _RAW_ROWS.decode(b"[" + rows + b"]")
