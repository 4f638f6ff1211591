"""Live: one socket for any number of feeds, the socket of alerts, and the same as server-sent events."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse

from weft.api.parts import api_parts
from weft.api.websocket import Socket
from weft.auth.signature import KnownReader, check_again, require
from weft.core.errors import WeftError
from weft.core.principal import Scope
from weft.query import resume
from weft.query.live.alerts import read_alerts
from weft.query.live.ask import Feed, Subscribe, read_seen
from weft.query.live.figures import FiguresSeat
from weft.query.live.pull import pulled
from weft.query.live.seat import Place, Seat
from weft.query.live.seen import read_rate
from weft.query.live.subscriber import Subscriber
from weft.query.live.update import Update
from weft.query.parameters import AlertsQuery, LiveQuery
from weft.query.parts import Parts, QueryParts, query_parts
from weft.query.routes.answer import SSE, Stream, begun
from weft.query.routes.push import until_either_ends
from weft.query.routes.question import question_of

router = APIRouter(tags=["live"])

_SEVERAL: Final = ("status", "level", "rule")

LastCursor = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=4096, description="The cursor a reader has seen last; it wins over `cursor`."),
]


@router.websocket("/ws/live")
async def push_live(websocket: WebSocket) -> None:
    """One socket a client: it subscribes to feeds by name and gets updates, each with the id of its subscription."""
    await _talk(websocket, None, None)


@router.websocket("/ws/alerts")
async def push_alerts(websocket: WebSocket) -> None:
    """What fires now, and every transition of an alert from then on."""
    await _talk(websocket, Scope.ALERTS_READ, lambda: read_alerts(question_of(websocket, AlertsQuery, _SEVERAL)))


@router.get(
    "/api/v1/live/{feed}",
    summary="A live feed, as server-sent events",
    response_class=StreamingResponse,
    description="The feeds of `/ws/live` for whoever wants one and opens no socket: `snapshot` and `update` events whose data "
    "is the frame of the socket, and whose id is the cursor from which a browser goes on by itself. A `cut` event says why the "
    "feed ends. A comment is sent when nothing happens for a while. Needs the scope of the feed: events:read for topic, events "
    "and metrics, queries:read for query, alerts:read for alerts.",
    responses={200: {"description": "The feed.", "content": {SSE: {"schema": {"type": "string"}}}}},
)
async def stream_live(
    feed: Annotated[Feed, Path(description="The feed.")],
    query: Annotated[LiveQuery, Query()],
    request: Request,
    parts: Parts,
    principal: KnownReader,
    last_event_id: LastCursor = None,
) -> Response:
    """A live feed as server-sent events."""
    cursor = last_event_id or query.cursor
    asked = Subscribe(
        id="",
        feed=feed,
        topic=query.topic,
        filter=query.filter,
        cursor=None if feed == "metrics" else cursor,
        rate=query.rate,
        snapshot=query.snapshot and cursor is None,
    )
    seen = read_seen(asked)
    scope = Scope.EVENTS_READ if seen is None else seen.kind.scope
    require(principal, scope)
    messages = _server_sent(parts, asked, partial(check_again, request, scope))
    first = await anext(messages)  # what is wrong with the question is answered with a status, not inside the stream
    return Stream(begun(first, messages), media_type=SSE, timeout_s=parts.settings.feed_send_timeout_s)


async def _talk(websocket: WebSocket, scope: Scope | None, ask: Callable[[], Subscribe] | None) -> None:
    """Serve one client; with `ask` it is subscribed to that from the beginning."""
    views = query_parts(websocket).views

    async def talk(socket: Socket) -> None:
        subscriber = Subscriber(socket, views)
        try:
            if ask is not None:
                await subscriber.subscribe(ask())
            await until_either_ends(subscriber.push(), subscriber.listen())
        finally:
            await subscriber.close()

    await api_parts(websocket).sockets.serve(websocket, scope, talk)


async def _server_sent(parts: QueryParts, asked: Subscribe, recheck: Callable[[], Awaitable[None]]) -> AsyncGenerator[bytes]:
    settings, clock = parts.settings, parts.clock
    async with AsyncExitStack() as stack:
        place = await _place(parts, asked, stack)
        yield b"retry: 1000\n%b\n" % _id(place)
        checked_s = clock.steady_s()
        try:
            async with aclosing(pulled(place, settings.feed_heartbeat_s)) as updates:
                async for update in updates:
                    if clock.steady_s() - checked_s >= settings.feed_recheck_s:
                        checked_s = clock.steady_s()
                        await recheck()
                    yield b": heartbeat\n%b\n" % _id(place) if update is None else _event(place, update)
        except WeftError as reason:
            told = msgspec.json.encode({"reason": reason.message, "cursor": place.cursor})
            yield b"event: cut\n%bdata: %b\n\n" % (_id(place), told)


async def _place(parts: QueryParts, asked: Subscribe, stack: AsyncExitStack) -> Place:
    seen = read_seen(asked)
    if seen is None:
        return FiguresSeat(await stack.enter_async_context(parts.views.figures(read_rate(asked.rate))))
    seat = Seat(await stack.enter_async_context(parts.views.events(seen)))
    if asked.cursor is not None:
        await seat.begin(resume.parse_start(asked.cursor))
    elif asked.snapshot:
        await seat.begin_with_snapshot()
    return seat


def _event(place: Place, update: Update) -> bytes:
    return b"%bevent: %b\ndata: %b\n\n" % (_id(place), update.type.encode(), update.text(None))


def _id(place: Place) -> bytes:
    return b"" if place.cursor is None else b"id: %b\n" % place.cursor.encode()
