"""The questions one can ask a store. Plain values: no adapter's words, no HTTP.

Times are microseconds UTC; every range is half-open [start, end).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from weft.core.event import DEFAULT_TOPIC, Event

Metric = Literal["count", "sum", "avg", "min", "max", "p95", "distinct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events. Every condition that is given must hold; a tuple means any of these values; None means no condition.

    `data` compares fields inside `data` by dotted path with a text, number or truth value.
    """

    topic: str = DEFAULT_TOPIC
    start_us: int | None = None
    end_us: int | None = None
    types: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    severities: tuple[str, ...] | None = None
    user_ids: tuple[str, ...] | None = None
    subject: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    tag: str | None = None
    data: tuple[tuple[str, str | float | bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A page of events, ordered by (time, id) so that pages are stable: what arrives later moves nobody who pages by cursor.

    Either `after` (the cursor of the page before) or `skip`. `with_total` counts all matches, which costs a scan.
    """

    filter: Filter
    limit: int = 100
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    skip: int = 0
    with_total: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the asked order; `cursor` asks for the next page and is None on the last one."""

    events: Sequence[Event]
    cursor: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A metric over the matching events, by group.

    `field` is what the metric is computed over: a column or `data.<path>` (count needs none; without it count counts events).
    Values that are no finite number are left out of sum, avg, min, max and p95. p95 is exact: the smallest value with at least
    95 % of the values at or below it, interpolated linearly as PostgreSQL's percentile_cont does.
    `group_by` holds type, source, severity, user_id, `data.<path>`, hour, day or interval (of `interval_us`, aligned to
    the epoch).
    """

    filter: Filter
    metric: Metric = "count"
    field: str | None = None
    group_by: tuple[str, ...] = ("type",)
    interval_us: int | None = None
    limit: int = 10_000


@dataclass(frozen=True, slots=True)
class Group:
    """One group: its keys in the order of `group_by` (None where the event has no such field; times as microseconds)
    and its value."""

    keys: tuple[str | int | float | bool | None, ...]
    value: float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Several counts per interval in one pass, for the dashboard's history: `interval_us` aligned to the epoch, half-
    open range."""

    filter: Filter
    interval_us: int


@dataclass(frozen=True, slots=True)
class TrendRow:
    """One interval: how many events, how many different user ids, how many of type `error`. Empty intervals are left out."""

    start_us: int
    events_total: int
    unique_users: int
    error_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One numeric field over time, in at most `buckets` buckets over [start, end) of the filter, which must both be given."""

    filter: Filter
    field: str
    buckets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesColumns:
    """One entry for each bucket that holds a value, in time order; buckets that hold none are gaps and are left out.

    `bucket_us` is the width of a bucket. `last` is the value of the newest event in the bucket.
    """

    bucket_us: int
    start_us: list[int] = field(default_factory=list[int])
    min: list[float] = field(default_factory=list[float])
    max: list[float] = field(default_factory=list[float])
    avg: list[float] = field(default_factory=list[float])
    last: list[float] = field(default_factory=list[float])
    count: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCount:
    """What the store holds of one topic and partition, for the conservation ledger.

    Of the events handed in, `stored_total` were stored, `repeats_total` were repeats of stored ones and `expired_total` were
    already past retention. `ticks_total` offsets were ticks, `skipped_total` were never handed in (erased in the log, trimmed,
    damaged, or set aside as dead letters). `position` is the sum of these five. Of the stored, `erased_total` and
    `retired_total` (retention) are gone again. `flushed_position` is what survives a crash without the log.
    """

    topic: str
    partition: int
    position: int
    flushed_position: int
    stored_total: int
    repeats_total: int
    expired_total: int = 0
    ticks_total: int = 0
    skipped_total: int = 0
    erased_total: int = 0
    retired_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """The store at one moment."""

    topics: Sequence[TopicCount]
    events: int
    size_bytes: int
    files: int
    tail_events: int
    tail_bytes: int
    oldest_us: int | None
    newest_us: int | None
    details: dict[str, Any] = field(default_factory=dict[str, Any])
