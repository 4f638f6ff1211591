"""Topics: what the log holds, reading it raw, and following it live."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError

from weft.api.parts import api_parts
from weft.api.websocket import Socket
from weft.core.errors import Invalid, WeftError
from weft.core.principal import Scope
from weft.query import frames, resume
from weft.query.frames import Wanted
from weft.query.parameters import FeedQuery, ReadQuery, Topic
from weft.query.parts import QueryParts, query_parts
from weft.query.raw import RawPage, read_page
from weft.query.routes.answer import SSE, Stream, answer, begun, described
from weft.query.routes.push import push_until_gone
from weft.query.routes.reader import Parts, Reader, check_again
from weft.query.topics import TopicBody, get_topic, topic_bodies

router = APIRouter(tags=["topics"])
logger = logging.getLogger(__name__)

_TOPIC: Final = TypeAdapter(Topic)

TopicName = Annotated[Topic, Path(description="The topic.")]
LastEventId = Annotated[
    str | None, Header(max_length=4096, description="The id of the last event a reader has seen; it wins over `from`.")
]


class TopicList(msgspec.Struct, kw_only=True):
    """Every topic of the log."""

    data: list[TopicBody]


@router.get("/api/v1/topics", summary="Every topic of the log", responses=described(TopicList, "The topics."))
async def list_topics(parts: Parts, principal: Reader) -> Response:
    """Partitions, offsets, totals and the lag of every group."""
    return answer(TopicList(data=topic_bodies(await parts.gate.ask(parts.log.state))))


@router.get("/api/v1/topics/{topic}", summary="One topic", responses=described(TopicBody, "The topic."))
async def show_topic(topic: TopicName, parts: Parts, principal: Reader) -> Response:
    """Partitions, offsets, totals and the lag of every group."""
    return answer(get_topic(await parts.gate.ask(parts.log.state), topic))


@router.get(
    "/api/v1/topics/{topic}/events",
    summary="Events as they stand in the log",
    description="Reads one partition from an offset on. `next_offset` asks for what follows; offsets that are missing in "
    "between were erased, trimmed, or are ticks.",
    responses=described(RawPage, "The events."),
)
async def read_topic(topic: TopicName, query: Annotated[ReadQuery, Query()], parts: Parts, principal: Reader) -> Response:
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
    principal: Reader,
    last_event_id: LastEventId = None,
) -> Response:
    """A feed as server-sent events."""
    start = resume.from_event_id(last_event_id) if last_event_id else resume.parse_start(query.start)
    events = _server_sent(parts, topic, start, Wanted.of(query.type, query.source), partial(check_again, request))
    first = await anext(events)  # what is wrong with the question is answered with a status, not inside the stream
    return Stream(begun(first, events), media_type=SSE, timeout_s=parts.settings.feed_send_timeout_s)


@router.websocket("/ws/topics/{topic}")
async def push_topic(websocket: WebSocket) -> None:
    """A live feed of a topic, as frames of events; every frame says from where to go on."""
    parts = query_parts(websocket)

    async def talk(socket: Socket) -> None:
        topic, query = _asked(websocket)
        await push_until_gone(socket, _push(socket, parts, topic, query))

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


async def _push(socket: Socket, parts: QueryParts, topic: str, query: FeedQuery) -> None:
    quiet_s, patience_s = parts.settings.feed_heartbeat_s, parts.settings.feed_send_timeout_s
    wanted = Wanted.of(query.type, query.source)
    async with parts.feeds.open(topic, resume.parse_start(query.start)) as reader:
        spoke_s = parts.clock.steady_s()
        try:
            while True:
                pieces = await reader.next(quiet_s)
                texts = [text for piece in pieces for text in frames.socket_frames(reader, piece, wanted)]
                if not texts and (not pieces or parts.clock.steady_s() - spoke_s >= quiet_s):
                    texts = [frames.socket_heartbeat(reader)]
                for text in texts:
                    async with asyncio.timeout(patience_s):
                        await socket.send(text)
                    spoke_s = parts.clock.steady_s()
        except TimeoutError:
            logger.info("feed_cut", extra={"topic": topic, "timeout_s": patience_s})
        except WeftError as reason:
            await socket.send(frames.socket_cut(reader, reason))


def _asked(websocket: WebSocket) -> tuple[str, FeedQuery]:
    """The topic and the question of a feed's socket. Raises Invalid."""
    given = websocket.query_params
    several = {"type", "source"}
    asked = {name: given.getlist(name) if name in several else given[name] for name in given}
    try:
        return _TOPIC.validate_python(websocket.path_params["topic"]), FeedQuery.model_validate(asked)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "topic"
        raise Invalid(f"{field}: {first['msg']}", field=field) from wrong
