"""The shapes of answers: StreamFlow's words for an event and a page, CloudEvents' words for the same event."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from weft.core import times
from weft.core.event import DEFAULT_TOPIC, Event, EventRow
from weft.store.query import Group

NULL_KEY: Final = "null"


class EventBody(msgspec.Struct, kw_only=True, gc=False):
    """An event as it is shown. Every key is always there."""

    id: str
    type: str
    source: str
    timestamp: str
    data: Any
    severity: str
    tags: Sequence[str]
    subject: str | None
    user_id: str | None
    session_id: str | None
    correlation_id: str | None
    metadata: Any
    received_at: str
    topic: str
    partition: int | None
    offset: int | None


def event_body(event: Event) -> EventBody:
    """An event that was read back from the store."""
    return EventBody(
        id=event.id,
        type=event.type,
        source=event.source,
        timestamp=times.to_text(event.time_us),
        data=event.data,
        severity=event.severity,
        tags=event.tags,
        subject=event.subject,
        user_id=event.user_id,
        session_id=event.session_id,
        correlation_id=event.correlation_id,
        metadata=event.metadata,
        received_at=times.to_text(event.received_at_us),
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
    )


def row_body(row: EventRow, *, event_id: str, time_us: int, received_at_us: int, place: tuple[str, int, int]) -> EventBody:
    """An event as it stands in the log at `place` (topic, partition, offset); its `data` is passed on undecoded."""
    topic, partition, offset = place
    return EventBody(
        id=event_id,
        type=row.type,
        source=row.source,
        timestamp=times.to_text(time_us),
        data=row.data,
        severity=row.severity,
        tags=row.tags,
        subject=row.subject,
        user_id=row.user_id,
        session_id=row.session_id,
        correlation_id=row.correlation_id,
        metadata=row.metadata,
        received_at=times.to_text(received_at_us),
        topic=topic,
        partition=partition,
        offset=offset,
    )


class ExportedEvent(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """An event as a line of an export: what a door takes, so that an export can be sent in again as it is."""

    id: str
    type: str
    source: str
    timestamp: str
    severity: str
    data: Any
    tags: Sequence[str] = ()
    subject: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    metadata: dict[str, Any] = {}
    topic: str = DEFAULT_TOPIC


def exported(event: Event) -> ExportedEvent:
    """An event for an export."""
    return ExportedEvent(
        id=event.id,
        type=event.type,
        source=event.source,
        timestamp=times.to_text(event.time_us),
        severity=event.severity,
        data=event.data,
        tags=event.tags,
        subject=event.subject,
        user_id=event.user_id,
        session_id=event.session_id,
        correlation_id=event.correlation_id,
        metadata=event.metadata,
        topic=event.topic,
    )


class EventAnswer(msgspec.Struct, kw_only=True):
    """One event in StreamFlow's envelope."""

    success: bool
    message: str
    data: EventBody


class Pagination(msgspec.Struct, kw_only=True):
    """Where a page stands. Pages by cursor count no totals: `page`, `total` and `pages` are null then.

    `cursor` asks for what follows this page, null where nothing does.
    """

    page: int | None
    page_size: int
    total: int | None
    pages: int | None
    has_next: bool
    has_prev: bool
    cursor: str | msgspec.UnsetType | None = msgspec.UNSET


class EventPage(msgspec.Struct, kw_only=True):
    """A page of events."""

    data: list[EventBody]
    pagination: Pagination


class Period(msgspec.Struct, kw_only=True):
    """The range that was asked for; null where it is open."""

    start: str | None
    end: str | None


class Aggregations(msgspec.Struct, kw_only=True):
    """A metric by group.

    One group key gives a map from its values to numbers, several give rows with a column per key and `value`. `total` is the
    metric over all matching events: the sum of the groups for count and sum.
    """

    aggregations: dict[str, float | int | None] | list[dict[str, Any]]
    total: float | int | None
    period: Period


def numbered(*, page: int, limit: int, total: int) -> Pagination:
    """The pagination of a numbered page. Where nothing matches there are 0 pages."""
    pages = -(-total // limit)
    return Pagination(page=page, page_size=limit, total=total, pages=pages, has_next=page < pages, has_prev=page > 1)


def group_map(groups: Sequence[Group], *, is_time: bool) -> dict[str, float | int | None]:
    """The values of one group key as a map.

    A key that is no text is written as JSON (`true`, `200`, `null`); a text that reads the same as such a key is put in
    quotes, so that no two groups share a name.
    """
    keys = [group.keys[0] for group in groups]
    plain = {_plain(key) for key in keys if not isinstance(key, str)}
    if is_time:
        return {_time_key(key): group.value for key, group in zip(keys, groups, strict=True)}
    return {
        (f'"{key}"' if key in plain else key) if isinstance(key, str) else _plain(key): group.value
        for key, group in zip(keys, groups, strict=True)
    }


def group_rows(groups: Sequence[Group], names: Sequence[str], times_named: frozenset[str]) -> list[dict[str, Any]]:
    """One row per group: a column per key and `value`."""
    return [
        {
            **{name: _time_key(key) if name in times_named else key for name, key in zip(names, group.keys, strict=True)},
            "value": group.value,
        }
        for group in groups
    ]


def gaps(start_us: int, end_us: int, bucket_us: int, filled: Sequence[int]) -> list[list[int]]:
    """The half-open ranges inside [start_us, end_us) that no bucket of `filled` (their starts, ascending) covers."""
    found: list[list[int]] = []
    covered_us = start_us
    for bucket_start_us in filled:
        if bucket_start_us > covered_us:
            found.append([covered_us, bucket_start_us])
        covered_us = max(covered_us, bucket_start_us + bucket_us)
    if covered_us < end_us:
        found.append([covered_us, end_us])
    return found


def _plain(key: float | bool | None) -> str:
    if isinstance(key, float) and key.is_integer() and abs(key) < 2**53:
        key = int(key)
    return msgspec.json.encode(key).decode()


def _time_key(key: object) -> str:
    return times.to_text(key) if isinstance(key, int) else NULL_KEY


def period(start_us: int | None, end_us: int | None) -> Period:
    """The echo of a range."""
    return Period(
        start=None if start_us is None else times.to_text(start_us), end=None if end_us is None else times.to_text(end_us)
    )
