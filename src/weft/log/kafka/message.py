"""How events stand in Kafka: one event a message, its JSON whole, CloudEvents attributes as headers.

docs/decisions/0017-the-log-on-kafka.md says why. Two headers are for Weft alone. `weft` is the stamp, the same on every message
of one append: what was known of the partition before it. `weft-event` says where in the append a message stands, when the event
happened, and how many bytes at the front of the value (id and time, where the sender gave none) were put there by Weft.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from weft.core.batch import Batch, Int64s, split_rows
from weft.core.ids import IdRange

STAMP: Final = "weft"
PLACE: Final = "weft-event"
NO_TIME: Final = -(2**63)
"""Stands for "no event time yet"."""

_STAMP: Final = struct.Struct("<2sIqqqq24sq")
_MAGIC: Final = b"W1"
_PLACE: Final = struct.Struct("<IHq")
STAMP_BYTES: Final = _STAMP.size
RECEIVED_AT: Final = 30
"""Where in a stamp the moment stands at which Weft took the events in, for readers that know no struct."""
_PLACES: Final = np.dtype([("index", "<u4"), ("cut", "<u2"), ("time", "<i8")])
_TEXT_MIN_US: Final = -62_135_596_800_000_000
_TEXT_MAX_US: Final = 253_402_300_800_000_000
_encode: Final = msgspec.json.encode

Headers = list[tuple[str, str | bytes | None]]

MESSAGE_BYTES: Final = 400
"""About what key and headers of a message take on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What every message of one append says: about the append, and about the partition before and after it.

    A tick has `count` 0. `ticks` is how many of them the partition had before, as far as its writer knew.
    """

    count: int
    max_before_us: int | None
    max_after_us: int | None
    ticks: int
    received_at_us: int
    ids: tuple[str, int] | None = None
    """Prefix and first number where all ids are a range."""

    @property
    def is_tick(self) -> bool:
        """Whether this is a tick and no event."""
        return self.count == 0

    def pack(self) -> bytes:
        """As bytes of a header."""
        prefix, first = self.ids or ("", 0)
        return _STAMP.pack(
            _MAGIC,
            self.count,
            _known(self.max_before_us),
            _known(self.max_after_us),
            self.ticks,
            self.received_at_us,
            prefix.encode(),
            first,
        )


def unpack_stamp(packed: bytes) -> Stamp | None:
    """The stamp of a message, or None where it is not one of ours."""
    if len(packed) != _STAMP.size or packed[:2] != _MAGIC:
        return None
    _, count, before, after, ticks, received, prefix, first = _STAMP.unpack(packed)
    prefix = prefix.rstrip(b"\0")
    return Stamp(
        count=count,
        max_before_us=_or_none(before),
        max_after_us=_or_none(after),
        ticks=ticks,
        received_at_us=received,
        ids=(prefix.decode(), first) if prefix else None,
    )


def _known(time_us: int | None) -> int:
    return NO_TIME if time_us is None else time_us


def _or_none(time_us: int) -> int | None:
    return None if time_us == NO_TIME else time_us


class _Head(msgspec.Struct, gc=False):
    """What of an event becomes headers."""

    type: str
    source: str
    id: str | None = None
    subject: str | None = None
    time: str | None = None
    timestamp: str | None = None


_HEADS: Final = msgspec.json.Decoder(list[_Head])


@dataclass(frozen=True, slots=True)
class Messages:
    """One append, ready to be sent: for each message key, value and headers."""

    keys: Sequence[bytes]
    values: Sequence[bytes]
    headers: Sequence[Headers]


def to_messages(batch: Batch, stamp: Stamp, traceparent: str | None) -> Messages:
    """The messages of a batch. Raises msgspec.MsgspecError where its rows are none."""
    heads = _HEADS.decode(b"[" + batch.rows + b"]")
    first, fixed = (STAMP, stamp.pack()), _fixed(traceparent)
    alike: dict[tuple[str, str, str | None], Headers] = {}
    values: list[bytes] = []
    headers: list[Headers] = []
    columns = zip(split_rows(batch.rows), heads, batch.ids, batch.times_us.tolist(), _time_texts(batch.times_us), strict=True)
    for index, (row, head, event_id, time_us, time) in enumerate(columns):
        kind = (head.type, head.source, head.subject)
        shared = alike.get(kind)
        if shared is None:
            shared = alike[kind] = [*_attributes(head), *fixed]
        encoded_id = event_id.encode()
        added = _added(head, event_id, time)
        values.append(b"{" + added + memoryview(row)[1:] if added else bytes(row))
        own = [first, (PLACE, _PLACE.pack(index, len(added), time_us)), ("ce_id", encoded_id), *shared]
        if time is not None:
            own.append(("ce_time", time))
        headers.append(own)
    return Messages([head.source.encode() for head in heads], values, headers)


def _fixed(traceparent: str | None) -> Headers:
    fixed: Headers = [("ce_specversion", b"1.0"), ("content-type", b"application/json")]
    return [*fixed, ("traceparent", traceparent.encode())] if traceparent else fixed


def _attributes(head: _Head) -> Headers:
    attributes: Headers = [("ce_source", head.source.encode()), ("ce_type", head.type.encode())]
    return attributes if head.subject is None else [*attributes, ("ce_subject", head.subject.encode())]


def _added(head: _Head, event_id: str, time: bytes | None) -> bytes:
    """Id and time as members at the front of a JSON object, where the sender gave none."""
    added = b'"id":%b,' % _encode(event_id) if head.id is None else b""
    if time is not None and head.time is None and head.timestamp is None:
        added += b'"timestamp":"%b",' % time
    return added


def tick_headers(stamp: Stamp, time_us: int) -> Headers:
    """The headers of a tick; its message has no value."""
    (time,) = _time_texts(np.array([time_us], dtype=np.int64))
    headers: Headers = [(STAMP, stamp.pack()), (PLACE, _PLACE.pack(0, 0, time_us))]
    return headers if time is None else [*headers, ("ce_time", time)]


def _time_texts(times_us: Int64s) -> Sequence[bytes | None]:
    """Each time as RFC 3339; None where a year has not four digits."""
    fits = (times_us >= _TEXT_MIN_US) & (times_us < _TEXT_MAX_US)
    if not fits.all():
        return [time if fit else None for time, fit in zip(_texts(np.where(fits, times_us, 0)), fits.tolist(), strict=True)]
    return _texts(times_us)


def _texts(times_us: Int64s) -> list[bytes]:
    texts = np.char.add(np.datetime_as_string(times_us.view("M8[us]")).astype("S26"), b"Z")
    return list(texts.tolist())


def stamp_ids(batch: Batch) -> tuple[str, int] | None:
    """The ids of a batch in short, where they are a range."""
    return (batch.ids.prefix, batch.ids.first) if isinstance(batch.ids, IdRange) else None


def unpack_places(packed: Sequence[bytes]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Int64s]:
    """Index, cut and event time of some messages."""
    places = np.frombuffer(b"".join(packed), dtype=_PLACES)
    return places["index"].astype(np.int64), places["cut"].astype(np.int64), places["time"].astype(np.int64)


def index_of(place: bytes) -> int:
    """Where in its append a message stands."""
    return int.from_bytes(place[:4], "little")


def largest(one: int | None, other: int | None) -> int | None:
    """The larger of two times that may be unknown."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
