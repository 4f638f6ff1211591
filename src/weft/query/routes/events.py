"""Events: one by its id, pages and exports of them, and aggregations over them."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from weft.auth.signature import EventsReader
from weft.core.cloudevents import BATCH, STRUCTURED, to_cloudevent
from weft.core.errors import NotFound
from weft.query.parameters import AggregationsQuery, EventsQuery
from weft.query.parts import Parts, QueryParts
from weft.query.routes.answer import JSON, NDJSON, Stream, answer, begun, described, preferred
from weft.query.shapes import (
    Aggregations,
    EventAnswer,
    EventPage,
    Pagination,
    event_body,
    exported,
    group_map,
    group_rows,
    numbered,
    period,
)
from weft.store.query import Page, Select

router = APIRouter(tags=["events"])

EventId = Annotated[str, Path(min_length=1, max_length=256, description="The event's id.")]
Source = Annotated[
    str | None, Query(min_length=1, max_length=1024, description="Its source, where several sources use the id.")
]
_TIMES: Final = frozenset({"hour", "day", "interval"})


@router.get(
    "/events",
    summary="A page of events, or an export of all that match",
    description="Newest first unless `order=asc`. `start` and `end` both belong to the range. Send "
    "`Accept: application/x-ndjson` for every matching event without paging, one a line, in the form POST /events takes.",
    responses=described(EventPage, "A page.", others={NDJSON: {"type": "string"}, BATCH: {"type": "array"}}),
)
async def list_events(
    query: Annotated[EventsQuery, Query()], request: Request, parts: Parts, principal: EventsReader
) -> Response:
    """A page of events."""
    kind = preferred(request.headers.get("accept", ""), [JSON, NDJSON, BATCH])
    if kind == NDJSON:
        whole = "limit" not in query.model_fields_set
        lines = _export(parts, query.select(parts.settings.max_skip), None if whole else query.limit)
        first = await anext(lines, b"")  # what is wrong with the question is answered before the first line is out
        return Stream(begun(first, lines), media_type=NDJSON, timeout_s=parts.settings.feed_send_timeout_s)
    select = query.select(parts.settings.max_skip)
    page = await parts.gate.ask(lambda: parts.store.select(select))
    if kind == BATCH:
        return answer([to_cloudevent(event) for event in page.events], media_type=BATCH)
    return answer(EventPage(data=[event_body(event) for event in page.events], pagination=_pagination(query, page)))


@router.get(
    "/events/aggregations",
    summary="A metric over events, by group",
    responses=described(Aggregations, "The groups."),
)
async def aggregate_events(query: Annotated[AggregationsQuery, Query()], parts: Parts, principal: EventsReader) -> Response:
    """Aggregations: count, sum, avg, min, max, p95 or distinct, by one or several keys."""
    asked = query.aggregate()
    groups = await parts.gate.ask(lambda: parts.store.aggregate(asked))
    total: float | int | None
    if query.metric in {"count", "sum"}:
        values = [group.value for group in groups if group.value is not None]
        total = sum(values) if values or query.metric == "count" else None
    else:
        whole = query.aggregate(grouped=False)
        total = next((group.value for group in await parts.gate.ask(lambda: parts.store.aggregate(whole))), None)
    names = asked.group_by
    if len(names) == 1:
        shown: Any = group_map(groups, is_time=names[0] in _TIMES)
    else:
        shown = group_rows(groups, names, _TIMES)
    return answer(Aggregations(aggregations=shown, total=total, period=period(query.start, query.end)))


@router.get(
    "/events/{event_id}",
    summary="One event by its id",
    responses=described(EventAnswer, "The event.", others={STRUCTURED: {"type": "object"}}),
)
async def get_event(
    event_id: EventId, request: Request, parts: Parts, principal: EventsReader, source: Source = None
) -> Response:
    """One event; the newest where several sources used the id and none is named."""
    event = await parts.gate.ask(lambda: parts.store.get(event_id, source=source))
    if event is None:
        of = f" of source '{source[:128]}'" if source else ""
        raise NotFound(f"there is no event '{event_id[:128]}'{of}", id=event_id)
    if preferred(request.headers.get("accept", ""), [JSON, STRUCTURED]) == STRUCTURED:
        return answer(to_cloudevent(event), media_type=STRUCTURED)
    return answer(EventAnswer(success=True, message="Event retrieved successfully", data=event_body(event)))


def _pagination(query: EventsQuery, page: Page) -> Pagination:
    if query.cursor is None and page.total is not None:
        pagination = numbered(page=query.page, limit=query.limit, total=page.total)
        pagination.cursor = page.cursor
        return pagination
    return Pagination(
        page=None,
        page_size=query.limit,
        total=None,
        pages=None,
        has_next=page.cursor is not None,
        has_prev=bool(query.cursor),
        cursor=page.cursor,
    )


async def _export(parts: QueryParts, select: Select, limit: int | None) -> AsyncGenerator[bytes]:
    """Lines of all events from the asked page on, a page in memory at a time; a slow client holds no place at the gate."""
    left = limit
    after, skip = select.after, select.skip
    while left is None or left > 0:
        size = parts.settings.export_page_events if left is None else min(parts.settings.export_page_events, left)
        asked = replace(select, limit=size, after=after, skip=skip, with_total=False)
        page = await parts.gate.ask(partial(parts.store.select, asked))
        if page.events:
            yield b"".join([msgspec.json.encode(exported(event)) + b"\n" for event in page.events])
        if page.cursor is None:
            return
        left = None if left is None else left - len(page.events)
        after, skip = page.cursor, 0
