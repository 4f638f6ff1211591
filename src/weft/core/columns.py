"""The columns of an event, as Arrow. Every consumer works on these; the names are those of the store's Parquet files.

Built once per batch and process, so each step is a whole column at a time: texts are joined and cut by Arrow, not copied one
by one.
"""

from collections.abc import Sequence, Sized
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.structs import astuple

from weft.core.event import DEFAULT_SEVERITY, EMPTY_OBJECT
from weft.core.ids import IdRange

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

_ID_LENGTH: Final = 36
_EMPTY_LIST: Final = msgspec.Raw(b"[]")


class _Row(msgspec.Struct, kw_only=True, gc=False):
    """What of a row becomes a column. The door checked it; here it is only taken apart.

    `tags` stay raw: a tuple for each event would wake the garbage collector, and few lists of tags differ.
    """

    type: str
    source: str
    subject: str | None = None
    severity: str = DEFAULT_SEVERITY
    user_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    tags: msgspec.Raw = _EMPTY_LIST
    data: msgspec.Raw = EMPTY_OBJECT
    metadata: msgspec.Raw = EMPTY_OBJECT


class Unreadable(Exception):
    """Rows that cannot be taken apart; the sentence goes on from the name of their place."""


_ROWS: Final = msgspec.json.Decoder(list[_Row])
_TAGS: Final = msgspec.json.Decoder(list[list[str]])
_NO_COLUMNS: Final[tuple[tuple[object, ...], ...]] = ((),) * 10


def build(
    rows: bytes,
    *,
    ids: Sequence[str],
    times_us: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
    partition: int,
    first_offset: int,
) -> pa.RecordBatch:
    """One record batch of EVENT_SCHEMA from rows (JSON objects joined by commas) and the columns that stand beside them.

    Raises Unreadable where the rows cannot be read or their number is wrong.
    """
    try:
        return _build(rows, ids, times_us, received_at_us, partition, first_offset)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as failure:
        raise Unreadable(f"cannot be read: {failure}") from failure


def _build(
    rows: bytes,
    ids: Sequence[str],
    times_us: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
    partition: int,
    first_offset: int,
) -> pa.RecordBatch:
    decoded = _ROWS.decode(b"[" + rows + b"]")
    count = len(times_us)
    if len(decoded) != count:
        raise Unreadable(f"holds {len(decoded)} events, its header says {count}")
    columns = tuple(zip(*map(astuple, decoded), strict=True)) or _NO_COLUMNS
    kind, source, subject, severity, user_id, session_id, correlation_id, tags, data, metadata = columns
    return pa.RecordBatch.from_arrays(
        [
            _ids(ids),
            _texts(cast("Sequence[str]", kind)),
            _texts(cast("Sequence[str]", source)),
            _optional(cast("Sequence[str | None]", subject)),
            _times(times_us),
            _times(received_at_us),
            _texts(cast("Sequence[str]", severity)),
            _optional(cast("Sequence[str | None]", user_id)),
            _optional(cast("Sequence[str | None]", session_id)),
            _optional(cast("Sequence[str | None]", correlation_id)),
            _lists(cast("Sequence[msgspec.Raw]", tags)),
            _raws(cast("Sequence[msgspec.Raw]", data)),
            _raws(cast("Sequence[msgspec.Raw]", metadata)),
            pa.array(np.full(count, partition, dtype=np.int32)),
            pa.array(np.arange(first_offset, first_offset + count, dtype=np.int64)),
        ],
        schema=EVENT_SCHEMA,
    )


def _times(times_us: npt.NDArray[np.int64]) -> pa.TimestampArray:
    return cast("pa.TimestampArray", pa.Array.from_buffers(TIME_TYPE, len(times_us), [None, _buffer(times_us)]))


def _ids(ids: Sequence[str]) -> pa.StringArray:
    if not isinstance(ids, IdRange):
        return _texts(ids)
    count = len(ids)
    letters = np.empty((count, _ID_LENGTH), dtype=np.uint8)
    letters[:, : _ID_LENGTH - 12] = np.frombuffer(ids.prefix.encode(), dtype=np.uint8)
    numbers = np.arange(ids.first, ids.first + count, dtype=np.int64)
    digits = np.frombuffer(numbers.astype(">i8").tobytes().hex().encode(), dtype=np.uint8)
    letters[:, _ID_LENGTH - 12 :] = digits.reshape(count, 16)[:, 4:]
    offsets = np.arange(0, (count + 1) * _ID_LENGTH, _ID_LENGTH, dtype=np.int32)
    return _cut(count, offsets, letters.tobytes())


def _texts(values: Sequence[str]) -> pa.StringArray:
    count = len(values)
    if count and values[0] == values[-1] and values.count(values[0]) == count:
        text = values[0].encode()
        return _cut(count, np.arange(count + 1, dtype=np.int32) * len(text), text * count)
    return pa.array(values, pa.string())


def _optional(values: Sequence[str | None]) -> pa.StringArray:
    if values.count(None) == len(values):
        return pa.nulls(len(values), pa.string())
    return pa.array(values, pa.string())


def _lists(values: Sequence[msgspec.Raw]) -> "pa.ListArray[pa.StringScalar]":
    """Lists of texts. Each different one is read once."""
    same = _same(values, b"".join(values))
    if same is not None:
        (texts,) = _TAGS.decode(b"[" + same + b"]")
        starts = pa.array(np.arange(len(values) + 1, dtype=np.int32) * len(texts), pa.int32())
        lists = pa.ListArray.from_arrays(starts, pa.array(texts * len(values), pa.string()))
    else:
        encoded = cast("Any", _raws(values)).dictionary_encode()
        different = _TAGS.decode("[" + ",".join(encoded.dictionary.to_pylist()) + "]")
        lists = pa.array(different, pa.list_(pa.string())).take(encoded.indices)
    return cast("pa.ListArray[pa.StringScalar]", lists)


def _raws(values: Sequence[msgspec.Raw]) -> pa.StringArray:
    """JSON texts as they stand in the rows, joined at once. Raises UnicodeDecodeError where they are no text."""
    joined = b"".join(values)
    if not joined.isascii():
        joined.decode()
    same = _same(values, joined)
    if same is not None:
        return _cut(len(values), np.arange(len(values) + 1, dtype=np.int32) * len(same), joined)
    return _cut(len(values), _offsets(values), joined)


def _same(values: Sequence[msgspec.Raw], joined: bytes) -> bytes | None:
    """The one text all values are, or None."""
    if not values:
        return None
    first = bytes(values[0])
    return first if len(first) * len(values) == len(joined) and first * len(values) == joined else None


def _cut(count: int, offsets: npt.NDArray[np.int32], joined: bytes) -> pa.StringArray:
    return pa.StringArray.from_buffers(count, _buffer(offsets), pa.py_buffer(joined))


def _buffer(numbers: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(numbers).data)


def _offsets(values: Sequence[Sized]) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(np.fromiter(map(len, values), dtype=np.int32, count=len(values)), out=offsets[1:])
    return offsets
