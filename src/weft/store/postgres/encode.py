"""From a log batch to rows in PostgreSQL's binary COPY format, a whole column at a time.

A row is a run of (length, bytes) pairs. Each pair becomes two Arrow columns and one join of all columns writes the rows: that
is a twentieth of what a call for each value costs.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from weft.core.batch import LogBatch
from weft.core.columns import EVENT_SCHEMA
from weft.core.errors import Corrupt
from weft.store.postgres.exact import adapt, fits
from weft.store.postgres.schema import EVENT_COLUMNS

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

_POSTGRES_EPOCH_US: Final = 946_684_800_000_000
_TEXT_OID: Final = 25
_TEXTS: Final = ("id", "type", "source", "severity", "subject", "user_id", "session_id", "correlation_id")
_arrow: Any = pa
_compute: Any = pyarrow.compute
_NOTHING: Final = pa.scalar(b"", pa.binary())

Bools = npt.NDArray[np.bool_]


class Rows:
    """The encoded events of a batch, one element each."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def kept(self, keep: Bools) -> memoryview:
        """The bytes of the rows to keep, one after the other."""
        rows = self._rows if keep.all() else self._rows.filter(pa.array(keep))
        _, offsets, data = rows.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[rows.offset : rows.offset + len(rows) + 1]
        return memoryview(data)[bounds[0] : bounds[-1]] if len(rows) else memoryview(b"")


def encode(batch: LogBatch, *, doubted: bool = False) -> Rows:
    """The rows of a batch. Raises Corrupt where it cannot be read. `doubted` where the server refused something in it."""
    columns = _columns_of(batch)
    as_given: Sequence[str | None] | None = None
    if doubted or not fits(columns, batch.rows):
        adapted = adapt(columns, doubted=doubted)
        columns = pa.RecordBatch.from_pydict(cast("Any", adapted.columns), schema=EVENT_SCHEMA)
        as_given = adapted.as_given
    return Rows(_joined(columns, batch, as_given))


def _columns_of(batch: LogBatch) -> pa.RecordBatch:
    try:
        return batch.columns
    except (pa.ArrowException, UnicodeError, OverflowError) as unreadable:
        raise Corrupt(
            f"the batch at {batch.topic}/{batch.partition}/{batch.first_offset} cannot be made into columns: {unreadable}",
            topic=batch.topic,
            partition=batch.partition,
            offset=batch.first_offset,
        ) from unreadable


def _joined(columns: pa.RecordBatch, batch: LogBatch, as_given: Sequence[str | None] | None) -> Any:
    parts: list[Any] = [_head(batch)]
    for name in _TEXTS:
        parts += _text(columns.column(name))
    parts += _tags(columns.column("tags"))
    for name in ("data", "metadata"):
        parts += _jsonb(columns.column(name))
    parts += _text(pa.nulls(batch.count, pa.string()) if as_given is None else pa.array(as_given, pa.string()))
    return _compute.binary_join_element_wise(*parts, _NOTHING, null_handling="replace", null_replacement=b"")


def _head(batch: LogBatch) -> Any:
    """The fields of fixed width and the topic, in the order of EVENT_COLUMNS."""
    topic = batch.topic.encode()
    fields = [
        ("count", ">i2", len(EVENT_COLUMNS)),
        ("time_size", ">i4", 8),
        ("time", ">i8", batch.times_us - _POSTGRES_EPOCH_US),
        ("received_size", ">i4", 8),
        ("received", ">i8", batch.received_at_us - _POSTGRES_EPOCH_US),
        ("offset_size", ">i4", 8),
        ("offset", ">i8", np.arange(batch.first_offset, batch.first_offset + batch.count)),
        ("partition_size", ">i4", 4),
        ("partition", ">i4", batch.partition),
        ("topic_size", ">i4", len(topic)),
        ("topic", f"S{len(topic)}", topic),
    ]
    head = np.empty(batch.count, dtype=[(name, kind) for name, kind, _ in fields])
    for name, _, value in fields:
        head[name] = value
    return _fixed(head)


def _text(values: Any) -> tuple[Any, Any]:
    lengths = _compute.fill_null(_compute.binary_length(values), -1).to_numpy(zero_copy_only=False)
    return _fixed(lengths.astype(">i4")), values.cast(pa.binary())


def _jsonb(values: Any) -> tuple[Any, Any]:
    prefix = np.empty(len(values), dtype=[("size", ">i4"), ("version", "u1")])
    prefix["size"] = _compute.binary_length(values).to_numpy(zero_copy_only=False) + 1
    prefix["version"] = 1
    return _fixed(prefix), values.cast(pa.binary())


def _tags(lists: Any) -> tuple[Any, ...]:
    """text[]: dimensions, flags, type, length and lower bound, then the elements."""
    counts = _compute.list_value_length(lists).to_numpy(zero_copy_only=False)
    if not counts.any():
        return (_fixed(np.full(len(counts), _empty_array()[0])),)
    sizes, texts = _text(lists.flatten())
    elements = _compute.binary_join_element_wise(sizes, texts, _NOTHING)
    offsets = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    bodies = _compute.binary_join(_arrow.ListArray.from_arrays(pa.array(offsets), elements), _NOTHING)
    heads = _arrow.array([_array_head(count) for count in range(int(counts.max()) + 1)], pa.binary()).take(_arrow.array(counts))
    lengths = _compute.add(_compute.binary_length(heads), _compute.binary_length(bodies)).to_numpy(zero_copy_only=False)
    return _fixed(lengths.astype(">i4")), heads, bodies


def _array_head(count: int) -> bytes:
    dimensions = np.array([1 if count else 0, 0, _TEXT_OID], dtype=">i4").tobytes()
    return dimensions + (np.array([count, 1], dtype=">i4").tobytes() if count else b"")


def _empty_array() -> npt.NDArray[Any]:
    body = _array_head(0)
    return np.frombuffer(np.array([len(body)], dtype=">i4").tobytes() + body, dtype=f"V{4 + len(body)}")


def _fixed(values: npt.NDArray[Any]) -> Any:
    """An array of values of one width as a column of bytes."""
    width = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets.data), pa.py_buffer(np.ascontiguousarray(values).tobytes())]
    )
