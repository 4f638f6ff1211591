"""A series: one numeric field over time, as columns ready to draw; what has no value stays a gap."""

import msgspec

from weft.core import times
from weft.query.parameters import SeriesQuery
from weft.query.shapes import gaps
from weft.store.port import EventStore
from weft.store.query import Series


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """One entry per bucket that holds a value; times are microseconds since 1970 UTC."""

    start_us: list[int]
    min: list[float]
    max: list[float]
    avg: list[float]
    last: list[float]
    count: list[int]


class SeriesBody(msgspec.Struct, frozen=True, kw_only=True):
    """The series. `bucket_us` is the width of a bucket; `gaps` are half-open ranges [start, end) without a value."""

    field: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    bucket_us: int
    columns: Columns
    gaps: list[list[int]]


async def draw(store: EventStore, query: SeriesQuery) -> SeriesBody:
    """The series of a question: one bucket a pixel, so at most two points (min and max) a pixel."""
    found = await store.series(Series(filter=query.to_filter(query.start, query.end), field=query.field, buckets=query.width))
    return SeriesBody(
        field=query.field,
        start=times.to_text(query.start),
        end=times.to_text(query.end),
        bucket_us=found.bucket_us,
        columns=Columns(
            start_us=found.start_us, min=found.min, max=found.max, avg=found.avg, last=found.last, count=found.count
        ),
        gaps=gaps(query.start, query.end, found.bucket_us, found.start_us),
    )
