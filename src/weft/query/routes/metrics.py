"""The dashboard's figures: right now, over time, and pushed every second."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, WebSocket

from weft.api.parts import api_parts
from weft.api.websocket import Socket
from weft.auth.signature import EventsReader
from weft.core.principal import Scope
from weft.query.history import History, buckets_of, history
from weft.query.parameters import HistoryQuery
from weft.query.parts import Parts, query_parts
from weft.query.realtime import Realtime
from weft.query.routes.answer import answer, described
from weft.query.routes.push import push_until_gone
from weft.query.shapes import numbered

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics/realtime",
    summary="How busy it is right now",
    description="Over the last 60 seconds of the topic `events` by the events' own times (since the first event, where that is "
    "less): `events_per_second`; `error_rate`, events of type `error` over all (0 without events); `response_time_avg`, "
    "the mean of `data.response_time` in seconds (null without any). `active_users` counts different user ids of the last 5 "
    "minutes. Computed at most once a second.",
    responses=described(Realtime, "The figures."),
)
async def show_realtime(parts: Parts, principal: EventsReader) -> Response:
    """The realtime metrics."""
    return answer(await parts.realtime.body())


@router.get(
    "/metrics/historical",
    summary="Counts per interval",
    description="One row for every interval that [start, end) touches, empty ones included; `end` is not included. Intervals "
    "are aligned to the epoch in UTC, so the first and the last may be cut by the range.",
    responses=described(History, "A page of intervals."),
)
async def show_history(query: Annotated[HistoryQuery, Query()], parts: Parts, principal: EventsReader) -> Response:
    """The history."""
    buckets = buckets_of(query, parts.clock)
    rows = await parts.gate.ask(lambda: history(parts.store, query, buckets))
    return answer(History(data=rows, pagination=numbered(page=query.page, limit=query.limit, total=buckets.count)))


@router.websocket("/ws/metrics")
async def push_metrics(websocket: WebSocket) -> None:
    """The realtime body once a second, the same bytes for everybody. Who reads slowly misses frames and delays nobody."""
    live = query_parts(websocket).live_metrics

    async def talk(socket: Socket) -> None:
        await push_until_gone(socket, live.show(socket))

    await api_parts(websocket).sockets.serve(websocket, Scope.EVENTS_READ, talk)
