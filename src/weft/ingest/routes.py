"""The doors on HTTP: hot routes for events, and the router for the WebSocket and the event type catalogue."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, WebSocket
from pydantic import BaseModel

from weft.api.hot import HotRequest, HotResponse, HotRoute
from weft.api.parts import api_parts
from weft.auth.signature import EventsReader
from weft.core.cloudevents import BATCH, STRUCTURED
from weft.core.errors import Invalid, Refused
from weft.core.event_types import EventType
from weft.core.principal import Scope
from weft.ingest.accept import Acceptor, RetryKey
from weft.ingest.answers import batch_body, one_body, refusal
from weft.ingest.decode import Decoder
from weft.ingest.frames import FrameDoor
from weft.ingest.intake import Checked, Intake
from weft.ingest.operations import batch_operation, event_operation
from weft.ingest.parts import IngestParts, ingest_parts

JSON: Final = "application/json"
LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")
LIMIT: Final = "events"
_LONGEST_KEY: Final = 256

router = APIRouter(tags=["ingest"])


class EventDoors:
    """`POST /events` and `POST /events/batch`."""

    def __init__(self, parts: IngestParts) -> None:
        self._decoder: Decoder = parts.decoder
        self._acceptor: Acceptor = parts.acceptor
        self._clock = parts.clock
        self._readers: Mapping[str, Callable[[bytes], Intake]] = {
            **dict.fromkeys(LINES, parts.decoder.read_lines),
            BATCH: parts.decoder.read_cloudevents,
        }

    async def take_event(self, request: HotRequest) -> HotResponse:
        """One event, or many where the content type says so."""
        media = _media_type(request.headers)
        reader = self._readers.get(media)
        if reader is not None:
            return await self._take_many(request, reader)
        try:
            checked = self._read_one(request, media)
        except Refused:
            self._acceptor.count_rejected(1)
            raise
        stored = await self._acceptor.accept_one(checked, retry=_retry_key(request))
        return HotResponse(201, one_body(stored))

    async def take_batch(self, request: HotRequest) -> HotResponse:
        """Many events."""
        media = _media_type(request.headers)
        reader = self._readers.get(media)
        if reader is None and media == JSON:
            reader = self._decoder.read_batch
        if reader is None:
            raise _unknown_media(media, (JSON, LINES[0], BATCH))
        return await self._take_many(request, reader)

    def _read_one(self, request: HotRequest, media: str) -> Checked:
        if media == STRUCTURED:
            return self._decoder.read_cloudevent(request.body)
        if b"ce-specversion" in request.headers:
            return self._decoder.read_cloudevent_headers(request.headers, request.body)
        if media == JSON:
            return self._decoder.read_one(request.body)
        raise _unknown_media(media, (JSON, LINES[0], STRUCTURED, BATCH))

    async def _take_many(self, request: HotRequest, reader: Callable[[bytes], Intake]) -> HotResponse:
        is_atomic = _is_atomic(request.query)
        retry = _retry_key(request)
        try:
            intake = reader(request.body)
        except Refused:
            self._acceptor.count_rejected(1)  # nobody knows how many events it was meant to be
            raise
        self._require_takable(intake, is_atomic=is_atomic)
        accepted = await self._acceptor.accept(intake, retry=retry)
        return HotResponse(*batch_body(accepted, self._clock.now_us()))

    def _require_takable(self, intake: Intake, *, is_atomic: bool) -> None:
        """Raise Invalid where there is nothing to take, or not all of what has to be taken whole."""
        if intake.rejections and (is_atomic or not intake.shares):
            self._acceptor.count_rejected(intake.count)
            raise refusal(intake, atomic=is_atomic)
        if is_atomic and len(intake.shares) > 1:
            raise Invalid("a batch is taken whole only within one topic; send one batch for each topic", field="topic")


def hot_routes(parts: IngestParts) -> tuple[HotRoute, ...]:
    """The routes the edge serves by itself."""
    doors = EventDoors(parts)
    return (
        _hot_route("/events", doors.take_event, event_operation(parts.rules), parts),
        _hot_route("/events/batch", doors.take_batch, batch_operation(parts.rules), parts),
    )


def _hot_route(
    path: str,
    handler: Callable[[HotRequest], Awaitable[HotResponse]],
    operation: dict[str, Any],
    parts: IngestParts,
) -> HotRoute:
    return HotRoute(
        method="POST",
        path=path,
        scope=Scope.EVENTS_WRITE,
        limit=LIMIT,
        max_body_bytes=parts.settings.body_bytes,
        handler=handler,
        operation=operation,
    )


class EventTypeAnswer(BaseModel):
    """One event type: what it means, and the JSON Schema of its `data`."""

    name: str
    version: int
    description: str
    enforced: bool
    json_schema: dict[str, Any]


class EventTypesAnswer(BaseModel):
    """Every type this door takes."""

    success: Literal[True] = True
    data: list[EventTypeAnswer]
    total: int


Parts = Annotated[IngestParts, Depends(ingest_parts)]


@router.get("/api/v1/event-types", summary="The types of events, with the JSON Schema of each one's data")
async def list_event_types(principal: EventsReader, parts: Parts) -> EventTypesAnswer:
    """What may stand in `type`, and what belongs into `data` then."""
    del principal
    entries = [_type_answer(parts.catalogue.get(name), parts) for name in parts.catalogue.names]
    return EventTypesAnswer(data=entries, total=len(entries))


@router.websocket("/ws")
async def take_frames(websocket: WebSocket) -> None:
    """Events over a WebSocket: `{"type":"event","data":{…}}`, each answered with an ack after it is durable."""
    parts = ingest_parts(websocket)
    door = FrameDoor(parts.decoder, parts.acceptor, queue_bytes=parts.settings.frame_queue_bytes)
    await api_parts(websocket).sockets.serve(websocket, Scope.EVENTS_WRITE, door.talk)


def _type_answer(entry: EventType, parts: IngestParts) -> EventTypeAnswer:
    return EventTypeAnswer(
        name=entry.name,
        version=entry.version,
        description=entry.description,
        enforced=entry.name in parts.rules.schemas,
        json_schema=entry.schema,
    )


def _media_type(headers: Mapping[bytes, bytes]) -> str:
    """The content type without its parameters; none at all means JSON. Raises Invalid for another character set."""
    raw = headers.get(b"content-type")
    if raw is None or raw == b"application/json":
        return JSON
    media, _, parameters = raw.decode("latin-1").lower().partition(";")
    if "charset" in parameters:
        charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise Invalid(f"events are read as UTF-8, not as '{charset[:32]}'", field="Content-Type", allowed_values=["utf-8"])
    return media.strip()


def _unknown_media(media: str, known: tuple[str, ...]) -> Invalid:
    return Invalid(
        f"this door does not read '{media[:64]}'; say what the body is with Content-Type: {JSON}",
        field="Content-Type",
        allowed_values=list(known),
    )


def _is_atomic(query: bytes) -> bool:
    if not query:
        return False
    value = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("atomic", ["false"])[-1].lower()
    if value not in ("true", "false", "1", "0"):
        raise Invalid(f"atomic is true or false, not '{value[:32]}'", field="atomic", allowed_values=["true", "false"])
    return value in ("true", "1")


def _retry_key(request: HotRequest) -> RetryKey | None:
    raw = request.headers.get(b"idempotency-key")
    if raw is None:
        return None
    key = raw.decode("latin-1").strip()
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise Invalid(f"an Idempotency-Key has 1 to {_LONGEST_KEY} characters", field="Idempotency-Key")
    return RetryKey(request.principal.id, key)
