"""The questions of `weft.store.query`, answered by plain Python over a list of events: slow, short and easy to believe."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from weft.core.batch import LogBatch
from weft.core.event import Event
from weft.core.times import DAY_US, HOUR_US
from weft.store.query import Aggregate, Filter, Group, Select, Series, SeriesColumns, Trend, TrendRow

MISSING = object()


def events_of(batch: LogBatch) -> list[Event]:
    """The events a store should give back for a batch."""
    return [
        Event(
            id=batch.ids[index],
            type=row.type,
            source=row.source,
            topic=batch.topic,
            time_us=int(batch.times_us[index]),
            received_at_us=int(batch.received_at_us[index]),
            subject=row.subject,
            severity=row.severity,
            user_id=row.user_id,
            session_id=row.session_id,
            correlation_id=row.correlation_id,
            tags=row.tags,
            data=msgspec.json.decode(row.data),
            metadata=msgspec.json.decode(row.metadata),
            partition=batch.partition,
            offset=batch.first_offset + index,
        )
        for index, row in enumerate(batch.event_rows)
    ]


@dataclass(slots=True)
class StoreModel:
    """Holds events and answers like a store."""

    events: list[Event] = field(default_factory=list[Event])

    def add(self, batch: LogBatch) -> None:
        """Take a batch whose events are all new."""
        self.events += events_of(batch)

    def select(self, select: Select) -> list[Event]:
        """The events of a page asked for by `skip`."""
        found = sorted(
            (event for event in self.events if matches(event, select.filter)),
            key=lambda event: (event.time_us, event.id, event.source),
            reverse=select.order == "desc",
        )
        return found[select.skip : select.skip + select.limit]

    def aggregate(self, asked: Aggregate) -> list[Group]:
        """The groups, ordered."""
        groups: dict[tuple[Any, ...], tuple[tuple[Any, ...], list[Any]]] = {} if asked.group_by else {(): ((), [])}
        for event in self.events:
            if matches(event, asked.filter):
                keys = tuple(_key(event, name, asked.interval_us) for name in asked.group_by)
                ranked = tuple(map(_rank, keys))  # True and 1 are one key to a dict, and two groups
                groups.setdefault(ranked, (keys, []))[1].append(1 if asked.field is None else value_of(event, asked.field))
        answer = [Group(keys, _metric(asked, values)) for keys, values in groups.values()]
        return sorted(answer, key=lambda group: [_rank(key) for key in group.keys])

    def trend(self, asked: Trend) -> list[TrendRow]:
        """The intervals that hold events."""
        rows: dict[int, list[Event]] = {}
        for event in self.events:
            if matches(event, asked.filter):
                rows.setdefault(event.time_us // asked.interval_us * asked.interval_us, []).append(event)
        return [
            TrendRow(
                start,
                len(some),
                len({event.user_id for event in some} - {None}),
                sum(event.type == "error" for event in some),
            )
            for start, some in sorted(rows.items())
        ]

    def series(self, asked: Series) -> SeriesColumns:
        """The buckets that hold values."""
        start_us, end_us = asked.filter.start_us or 0, asked.filter.end_us or 0
        columns = SeriesColumns(bucket_us=max(1, math.ceil((end_us - start_us) / asked.buckets)))
        buckets: dict[int, list[tuple[int, str, float]]] = {}
        for event in self.events:
            value = number_of(value_of(event, asked.field))
            if value is not None and matches(event, asked.filter):
                bucket = (event.time_us - start_us) // columns.bucket_us
                buckets.setdefault(bucket, []).append((event.time_us, event.id, value))
        for bucket, entries in sorted(buckets.items()):
            values = [value for _, _, value in entries]
            columns.start_us.append(start_us + bucket * columns.bucket_us)
            columns.min.append(min(values))
            columns.max.append(max(values))
            columns.avg.append(math.fsum(values) / len(values))
            columns.last.append(max(entries)[2])
            columns.count.append(len(values))
        return columns


def matches(event: Event, asked: Filter) -> bool:
    """Whether an event fulfils every condition of a filter."""
    one_of = (
        (asked.types, event.type),
        (asked.sources, event.source),
        (asked.severities, event.severity),
        (asked.user_ids, event.user_id),
    )
    equal = (
        (asked.subject, event.subject),
        (asked.session_id, event.session_id),
        (asked.correlation_id, event.correlation_id),
    )
    return (
        event.topic == asked.topic
        and (asked.start_us is None or event.time_us >= asked.start_us)
        and (asked.end_us is None or event.time_us < asked.end_us)
        and all(values is None or value in values for values, value in one_of)
        and all(wanted is None or value == wanted for wanted, value in equal)
        and (asked.tag is None or asked.tag in event.tags)
        and all(_same(value_of(event, f"data.{path}"), value) for path, value in asked.data)
    )


def value_of(event: Event, name: str) -> Any:
    """A field of an event; MISSING where there is none."""
    if not name.startswith("data."):
        value = getattr(event, {"time": "time_us", "received_at": "received_at_us"}.get(name, name))
        return MISSING if value is None else value
    value: Any = event.data
    for part in name.split(".")[1:]:
        value = cast("dict[str, Any]", value).get(part, MISSING) if isinstance(value, dict) else MISSING
    return MISSING if value is None else value


def number_of(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, interpolated linearly."""
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


_METRICS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "p95": p95,
}


def _metric(asked: Aggregate, values: Iterable[Any]) -> float | int | None:
    present = [value for value in values if value is not MISSING]
    if asked.metric == "count":
        return len(present)
    if asked.metric == "distinct":
        return len({(type(value) in (bool, list, dict), _as_key(value)) for value in present})
    numbers = [number for number in map(number_of, present) if number is not None]
    return _METRICS[asked.metric](numbers) if numbers else None


def _key(event: Event, name: str, interval_us: int | None) -> Any:
    widths = {"hour": HOUR_US, "day": DAY_US, "interval": interval_us or 1}
    if name in widths:
        return event.time_us // widths[name] * widths[name]
    value = value_of(event, name)
    return None if value is MISSING else _as_key(value)


def _as_key(value: Any) -> Any:
    """Lists and objects as JSON text."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def _same(value: Any, wanted: str | float | bool) -> bool:
    same_kind = isinstance(value, bool) == isinstance(wanted, bool) and isinstance(value, str) == isinstance(wanted, str)
    return same_kind and value == wanted


def _rank(key: Any) -> tuple[int, Any]:
    if key is None:
        return (3, 0)
    if isinstance(key, bool):
        return (0, key)
    return (1, key) if isinstance(key, int | float) else (2, key)
