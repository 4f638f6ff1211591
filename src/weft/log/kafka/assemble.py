"""Assemble: messages of one partition put together again as the batches that were appended."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from weft.core import times
from weft.core.batch import LogBatch
from weft.core.errors import Invalid
from weft.core.event import EventRow
from weft.core.ids import IdRange
from weft.core.watermark import max_time_us
from weft.log.kafka.client import Message, headers_of
from weft.log.kafka.message import PLACE, STAMP, Stamp, index_of, largest, unpack_places, unpack_stamp

_ROW: Final = msgspec.json.Decoder(EventRow)
_EMPTY: Final = np.empty(0, dtype=np.int64)
_MILLISECOND_US: Final = 1000


class Assembler:
    """Reads on in one partition. What follows each other in one append becomes one batch; what others wrote, one each."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._max_us: int | None = None
        self._packed: bytes | None = None
        self._stamp: Stamp | None = None
        self._first: int = 0
        self._values: list[bytes] = []
        self._places: list[bytes] = []
        self._ids: list[bytes] = []

    def add(self, messages: Sequence[Message]) -> list[LogBatch]:
        """Take messages in order; returns the batches that are whole now."""
        found: list[LogBatch] = []
        for message in messages:
            offset = message.offset() or 0
            ours = weft_headers(message)
            if ours is None:
                found += [*self.rest(), self._foreign(message, offset)]
                continue
            packed, place, event_id = ours
            index = index_of(place)
            if index == 0 or packed != self._packed or offset != self._first + len(self._values):
                found += self.rest()
                self._packed, self._stamp, self._first = packed, unpack_stamp(packed), offset
            stamp = self._stamp
            if stamp is None:
                found.append(self._foreign(message, offset))
            elif stamp.is_tick:
                found.append(self._tick(stamp, place, offset))
            else:
                self._values.append(message.value() or b"")
                self._places.append(place)
                if stamp.ids is None:
                    self._ids.append(event_id)
                if index + 1 == stamp.count:
                    found += self.rest()
        return found

    def rest(self) -> list[LogBatch]:
        """What is there of a batch whose other part did not come yet, if any."""
        stamp, values, places, ids = self._stamp, self._values, self._places, self._ids
        self._packed, self._stamp, self._values, self._places, self._ids = None, None, [], [], []
        return [] if stamp is None or not values else [self._batch(stamp, values, places, ids)]

    def _batch(self, stamp: Stamp, values: list[bytes], places: list[bytes], ids: list[bytes]) -> LogBatch:
        indices, cuts, times_us = unpack_places(places)
        count = len(values)
        received = np.full(count, stamp.received_at_us, dtype=np.int64)
        if cuts.any():
            values = [b"{" + value[1 + cut :] if cut else value for value, cut in zip(values, cuts.tolist(), strict=True)]
        before = largest(self._max_us, stamp.max_before_us)
        self._max_us = largest(before, max_time_us(times_us, received))
        return LogBatch(
            topic=self._topic,
            partition=self._partition,
            first_offset=self._first,
            rows=b",".join(values),
            ids=_ids(stamp, int(indices[0]), count, ids),
            times_us=times_us,
            received_at_us=received,
            max_time_before_us=before,
        )

    def _tick(self, stamp: Stamp, place: bytes, offset: int) -> LogBatch:
        self._packed = self._stamp = None
        before = largest(self._max_us, stamp.max_before_us)
        tick_us = int(unpack_places([place])[2][0])
        self._max_us = largest(before, tick_us)
        return LogBatch(
            topic=self._topic,
            partition=self._partition,
            first_offset=offset,
            rows=b"",
            ids=(),
            times_us=_EMPTY,
            received_at_us=_EMPTY,
            max_time_before_us=before,
            tick_us=tick_us,
        )

    def _foreign(self, message: Message, offset: int) -> LogBatch:
        """A message that others wrote: an event where it is the JSON of one, else a batch that nobody can read."""
        value = message.value() or b""
        received_us = message.timestamp()[1] * _MILLISECOND_US
        event_id, time_us = _of_row(value, received_us)
        times_us = np.array([time_us], dtype=np.int64)
        received = np.array([received_us], dtype=np.int64)
        before = self._max_us
        self._max_us = largest(before, max_time_us(times_us, received))
        return LogBatch(
            topic=self._topic,
            partition=self._partition,
            first_offset=offset,
            rows=value,
            ids=[event_id or f"{self._topic}/{self._partition}/{offset}"],
            times_us=times_us,
            received_at_us=received,
            max_time_before_us=before,
        )


def weft_headers(message: Message) -> tuple[bytes, bytes, bytes] | None:
    """Stamp, place and id of a message that Weft wrote, as bytes; None where others did."""
    headers = headers_of(message)
    if len(headers) < 2 or headers[0][0] != STAMP or headers[1][0] != PLACE:
        return None
    return headers[0][1], headers[1][1], headers[2][1] if len(headers) > 2 else b""


def _of_row(value: bytes, received_us: int) -> tuple[str | None, int]:
    try:
        row = _ROW.decode(value)
        text = row.time or row.timestamp
        return row.id, received_us if text is None else times.parse(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Invalid):
        return None, received_us


def _ids(stamp: Stamp, index: int, count: int, ids: list[bytes]) -> Sequence[str]:
    if stamp.ids is not None:
        prefix, first = stamp.ids
        return IdRange(prefix, first + index, count)
    return [event_id.decode() for event_id in ids]
