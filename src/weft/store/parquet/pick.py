"""Picking the rows of one page out of Arrow in memory, nearest first, without the engine.

The engine takes 4 ms for the smallest question; most pages need the rows of one or two pages of a file and of the newest
chunks of the tail.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from weft.store.cursor import Cursor, decode
from weft.store.parquet.columnar import Bools, Int64s, concatenated, is_one_of, kept_batch, micros, ordered_by, python_values
from weft.store.parquet.tail import Chunk
from weft.store.query import Filter, Select
from weft.store.terms import texts_of

_ORDER: Final = ("time", "id", "source")
_COLUMNS: Final = [
    *("id", "type", "source", "time", "received_at", "subject", "severity", "user_id", "session_id", "correlation_id"),
    *("tags", "data", "metadata", "partition", "offset"),
]
"""The columns of an event as `weft.store.parquet.events.EVENT_COLUMNS` gives them."""


def can_pick(asked: Filter) -> bool:
    """Whether the filter needs nothing but equal texts and times."""
    return asked.tag is None and not asked.data


def pick(chunks: Sequence[Chunk], select: Select, edge_us: int | None) -> list[tuple[Any, ...]]:
    """The rows of the page and one more, in order, as the engine gives them. Rows at or beyond the edge do not count."""
    wanted = select.skip + select.limit + 1
    sign = -1 if select.order == "desc" else 1
    found: list[pa.RecordBatch] = []
    times = np.empty(0, dtype=np.int64)
    for chunk in sorted(chunks, key=lambda chunk: _nearest(chunk, sign)):
        if len(times) >= wanted and times[wanted - 1] < _nearest(chunk, sign):
            break
        keep = _matching(chunk, select, sign, edge_us)
        if keep.any():
            found.append(kept_batch(chunk.events.select(_COLUMNS), keep))
            times = np.sort(np.concatenate([times, sign * micros(chunk.events["time"])[keep]]))
    return list(_rows(found, select, times[:wanted], sign)) if found else []


def _nearest(chunk: Chunk, sign: int) -> int:
    """Where the chunk begins, seen in the order of the page."""
    return min(sign * chunk.min_us, sign * chunk.max_us)


def _matching(chunk: Chunk, select: Select, sign: int, edge_us: int | None) -> Bools:
    asked, events = select.filter, chunk.events
    times = micros(events["time"])
    keep = np.ones(len(times), dtype=np.bool_)
    if asked.start_us is not None:
        keep &= times >= asked.start_us
    if asked.end_us is not None:
        keep &= times < asked.end_us
    if edge_us is not None:
        keep &= sign * times < sign * edge_us
    if select.after is not None:
        keep &= _after(events, times, decode(select.after, order=select.order, topic=asked.topic), sign)
    for column, values in texts_of(asked):
        if keep.any():
            keep &= is_one_of(events[column], values)
    return keep


def _after(events: pa.RecordBatch, times: Int64s, cursor: Cursor, sign: int) -> Bools:
    """Which events come after the cursor; among those of its moment, id and source decide."""
    keep = sign * times > sign * cursor.time_us
    for index in np.flatnonzero(times == cursor.time_us).tolist():
        place = tuple(text.encode() for name in ("id", "source") for text in python_values(events[name].slice(index, 1)))
        last = (cursor.id.encode(), cursor.source.encode())
        keep[index] = place > last if sign > 0 else place < last
    return keep


def _rows(found: Sequence[pa.RecordBatch], select: Select, times: Int64s, sign: int) -> Iterator[tuple[Any, ...]]:
    near = [kept_batch(events, sign * micros(events["time"]) <= times[-1]) for events in found]
    page = ordered_by(concatenated(near), _ORDER, sign).slice(select.skip, select.limit + 1)
    yield from zip(*(_values(page, name) for name in _COLUMNS), strict=True)


def _values(page: pa.RecordBatch, name: str) -> list[Any]:
    return micros(page[name]).tolist() if name in {"time", "received_at"} else python_values(page[name])
