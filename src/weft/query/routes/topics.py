"""Topics: what the log holds, reading it raw, and following it live."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse

from weft.api.parts import api_parts
from weft.api.websocket import Socket
from weft.auth.signature import EventsReader, check_again
from weft.core.errors import WeftError
from weft.core.principal import Scope
from weft.query import frames, resume
from weft.query.live.ask import read_grant
from weft.query.live.pull import pulled
from weft.query.live.seat import Seat
from weft.query.live.seen import TOPIC, Seen
from weft.query.parameters import FeedQuery, ReadQuery, SocketFeedQuery, Topic
from weft.query.parts import Parts, QueryParts, query_parts
from weft.query.raw import RawPage, read_page
from weft.query.routes.answer import SSE, Stream, answer, begun, described
from weft.query.routes.push import until_either_ends
from weft.query.routes.question import question_of, topic_of
from weft.query.topics import TopicBody, get_topic, topic_bodies
from weft.query.wanted import Wanted

router = APIRouter(tags=["topics"])
logger = logging.getLogger(__name__)

TopicName = Annotated[Topic, Path(description="The topic.")]
LastEventId = Annotated[
    str | None, Header(max_length=4096, description="The id of the last event a reader has seen; it wins over `from`.")
]


class TopicList(msgspec.Struct, kw_only=True):
    """Every topic of the log."""

    data: list[TopicBody]


@router.get("/api/v1/topics", summary="Every topic of the log", responses=described(TopicList, "The topics."))
async def list_topics(parts: Parts, principal: EventsReader) -> Response:
    """Partitions, offsets, totals and the lag of every group."""
    return answer(TopicList(data=topic_bodies(await parts.gate.ask(parts.log.state))))


@router.get("/api/v1/topics/{topic}", summary="One topic", responses=described(TopicBody, "The topic."))
async def show_topic(topic: TopicName, parts: Parts, principal: EventsReader) -> Response:
    """Partitions, offsets, totals and the lag of every group."""
    return answer(get_topic(await parts.gate.ask(parts.log.state), topic))


@router.get(
    "/api/v1/topics/{topic}/events",
    summary="Events as they stand in the log",
    description="Reads one partition from an offset on. `next_offset` asks for what follows; offsets that are missing in "
    "between were erased, trimmed, or are ticks.",
    responses=described(RawPage, "The events."),
)
async def read_topic(topic: TopicName, query: Annotated[ReadQuery, Query()], parts: Parts, principal: EventsReader) -> Response:
    """A raw read of the log."""
    return answer(await parts.gate.ask(lambda: read_page(parts.log, topic, query)))


@router.get(
    "/api/v1/topics/{topic}/stream",
    summary="A live feed of a topic, as server-sent events",
    response_class=StreamingResponse,
    description="Each event's id is its place (`partition:offset`, of every partition), so that a browser that reconnects goes "
    "on exactly where it was. `gap` events name offsets that cannot be sent; a `cut` event says why the feed ends and from "
    "where to go on. A comment is sent when nothing happens for a while.",
    responses={200: {"description": "The feed.", "content": {SSE: {"schema": {"type": "string"}}}}},
)
async def stream_topic(
    topic: TopicName,
    query: Annotated[FeedQuery, Query()],
    request: Request,
    parts: Parts,
    principal: EventsReader,
    last_event_id: LastEventId = None,
) -> Response:
    """A feed as server-sent events."""
    start = resume.from_event_id(last_event_id) if last_event_id else resume.parse_start(query.start)
    events = _server_sent(parts, topic, start, Wanted.of(query.type, query.source, query.filter), partial(check_again, request))
    first = await anext(events)  # what is wrong with the question is answered with a status, not inside the stream
    return Stream(begun(first, events), media_type=SSE, timeout_s=parts.settings.feed_send_timeout_s)


@router.websocket("/ws/topics/{topic}")
async def push_topic(websocket: WebSocket) -> None:
    """A live feed of a topic, as frames of events; every frame says from where to go on."""
    parts = query_parts(websocket)

    async def talk(socket: Socket) -> None:
        topic, query = topic_of(websocket), question_of(websocket, SocketFeedQuery, ("type", "source"))
        seats: list[Seat] = []
        await until_either_ends(_push(socket, parts, topic, query, seats), _listen(socket, seats))

    await api_parts(websocket).sockets.serve(websocket, Scope.EVENTS_READ, talk)


async def _server_sent(
    parts: QueryParts, topic: str, start: str | dict[int, int], wanted: Wanted, recheck: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes]:
    quiet_s = parts.settings.feed_heartbeat_s
    async with parts.feeds.open(topic, start) as reader:
        yield frames.sse_begin(reader)
        spoke_s = checked_s = parts.clock.steady_s()
        try:
            while True:
                pieces = await reader.next(quiet_s)
                now_s = parts.clock.steady_s()
                if now_s - checked_s >= parts.settings.feed_recheck_s:
                    checked_s = now_s
                    await recheck()
                chunk = b"".join([frames.sse_chunk(reader, piece, wanted) for piece in pieces])
                # A reader whose filter lets nothing through still hears that we are here, and how far we are.
                if not chunk and (not pieces or now_s - spoke_s >= quiet_s):
                    chunk = frames.sse_heartbeat(reader)
                if chunk:
                    yield chunk
                    spoke_s = now_s
        except WeftError as reason:
            yield frames.sse_cut(reader, reason)


async def _push(socket: Socket, parts: QueryParts, topic: str, query: SocketFeedQuery, seats: list[Seat]) -> None:
    quiet_s, patience_s = parts.settings.feed_heartbeat_s, parts.settings.feed_send_timeout_s
    seen = Seen(kind=TOPIC, topic=topic, wanted=Wanted.of(query.type, query.source, query.filter))
    async with parts.views.events(seen) as view:
        seat = Seat(view, credit=query.credit, is_patient=not query.conflate)
        await seat.begin(resume.parse_start(query.start))
        seats.append(seat)
        try:
            async with aclosing(pulled(seat, quiet_s)) as updates:
                async for update in updates:
                    for text in frames.socket_frames(update, seat.cursor):
                        async with asyncio.timeout(patience_s):
                            await socket.send(text)
        except TimeoutError:
            logger.info("feed_cut", extra={"topic": topic, "timeout_s": patience_s})
        except WeftError as reason:
            await socket.send(frames.socket_cut(seat.cursor, reason))


async def _listen(socket: Socket, seats: list[Seat]) -> None:
    """Take credit until the client is gone; anything else it sends is left alone, pings apart."""
    async for _ in socket:
        if (events := read_grant(socket.text)) is not None:
            for seat in seats:
                seat.grant(events)
