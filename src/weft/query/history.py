"""The dashboard's history: counts per interval, every interval of the range present, one page at a time."""

from dataclasses import dataclass

import msgspec

from weft.core import times
from weft.core.clock import Clock
from weft.core.times import DAY_US, EARLIEST_US, LATEST_US
from weft.query.parameters import HistoryQuery
from weft.query.shapes import Pagination
from weft.store.port import EventStore
from weft.store.query import Trend, TrendRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The intervals that [start_us, end_us) touches, aligned to the epoch in UTC."""

    start_us: int
    end_us: int
    interval_us: int

    @property
    def first_us(self) -> int:
        """Start of the first interval, at or before the range's start."""
        return self.start_us - self.start_us % self.interval_us

    @property
    def count(self) -> int:
        """How many intervals."""
        return max(-(-(self.end_us - self.first_us) // self.interval_us), 0) if self.end_us > self.start_us else 0

    def page(self, page: int, limit: int) -> range:
        """Starts of the intervals of one page."""
        begin = min((page - 1) * limit, self.count)
        end = min(begin + limit, self.count)
        return range(self.first_us + begin * self.interval_us, self.first_us + end * self.interval_us, self.interval_us)


def buckets_of(query: HistoryQuery, clock: Clock) -> Buckets:
    """The intervals of a question; without an end it ends now, without a start it begins 24 hours before its end."""
    end_us = clock.now_us() if query.end is None else query.end
    start_us = max(end_us - DAY_US, EARLIEST_US) if query.start is None else query.start
    return Buckets(start_us=start_us, end_us=end_us, interval_us=query.interval)


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """One interval: its start, how many events, how many different user ids, how many of type `error`."""

    timestamp: str
    events_total: int
    unique_users: int
    error_count: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A page of intervals, in time order."""

    data: list[Interval]
    pagination: Pagination


async def history(store: EventStore, query: HistoryQuery, buckets: Buckets) -> list[Interval]:
    """The rows of the asked page. Only that page's time is read."""
    starts = buckets.page(query.page, query.limit)
    if not starts:
        return []
    within = query.to_filter(max(starts[0], buckets.start_us), min(starts[-1] + buckets.interval_us, buckets.end_us))
    rows = {row.start_us: row for row in await store.trend(Trend(filter=within, interval_us=buckets.interval_us))}
    return [_shown(rows.get(start_us) or TrendRow(start_us, 0, 0, 0)) for start_us in starts]


def _shown(row: TrendRow) -> Interval:
    return Interval(
        timestamp=times.to_text(min(max(row.start_us, EARLIEST_US), LATEST_US)),  # an interval may begin outside the calendar
        events_total=row.events_total,
        unique_users=row.unique_users,
        error_count=row.error_count,
    )
