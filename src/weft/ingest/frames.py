"""The WebSocket door: event frames in, acks out in the same order, each after its event is durable.

Frames that wait for their ack are bounded in bytes. Beyond the bound the connection is not read, so the sender feels it.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocketDisconnect

from weft.api.websocket import Frame, Socket
from weft.core.errors import Invalid, Malformed, WeftError
from weft.core.event import EMPTY_OBJECT
from weft.core.principal import Principal
from weft.ingest.accept import Acceptor
from weft.ingest.decode import Decoder
from weft.ingest.gather import Stored
from weft.ingest.intake import Checked

logger = logging.getLogger(__name__)

DEFAULT_TYPE: Final = "custom"
FRAME_TYPES: Final = ("event", "ping", "auth")
_FRAME_OVERHEAD_BYTES: Final = 512

_PAYLOAD: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class _Waiting:
    """A frame whose answer is not sent yet."""

    answer: "asyncio.Task[Stored]"
    size_bytes: int


class FrameDoor:
    """Talks with one client."""

    def __init__(self, decoder: Decoder, acceptor: Acceptor, *, queue_bytes: int) -> None:
        self._decoder = decoder
        self._acceptor = acceptor
        self._queue_bytes = queue_bytes
        self._queued_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._waiting: asyncio.Queue[_Waiting | None] = asyncio.Queue()

    async def talk(self, socket: Socket) -> None:
        """Take frames until the client is gone; what was taken by then is finished."""
        sender = asyncio.create_task(self._answer(socket))
        try:
            async for frame in socket:
                self._take(frame, socket.principal, len(socket.text) + _FRAME_OVERHEAD_BYTES)
                await self._has_room.wait()
        finally:
            self._waiting.put_nowait(None)
            await sender

    def _take(self, frame: Frame, principal: Principal, size_bytes: int) -> None:
        work = asyncio.create_task(self._store(frame, principal))
        self._queued_bytes += size_bytes
        if self._queued_bytes > self._queue_bytes:
            self._has_room.clear()
        self._waiting.put_nowait(_Waiting(work, size_bytes))

    async def _store(self, frame: Frame, principal: Principal) -> Stored:
        try:
            checked = self._read(frame, principal)
        except WeftError:
            self._acceptor.count_rejected(1)
            raise
        return await self._acceptor.accept_one(checked)

    def _read(self, frame: Frame, principal: Principal) -> Checked:
        if frame.type != "event":
            raise Invalid(f"no frame is of the type '{frame.type[:32]}'", field="type", allowed_values=list(FRAME_TYPES))
        if frame.data is EMPTY_OBJECT:
            raise Invalid("an event frame has its event in data", field="data")
        return self._decoder.read_one(event_of(frame.data, f"websocket/{principal.id}"))

    async def _answer(self, socket: Socket) -> None:
        """Send the answers in the order of the frames."""
        while (waiting := await self._waiting.get()) is not None:
            try:
                await self._send(socket, await waiting.answer)
            except WebSocketDisconnect:
                pass  # nobody is there to be told; the event is stored all the same
            except Exception as error:  # every frame has its answer, whatever went wrong with it
                if not isinstance(error, WeftError):
                    logger.exception("frame_failed")
                with suppress(Exception):  # the client may be gone
                    await socket.send_error(error)
            self._queued_bytes -= waiting.size_bytes
            if self._queued_bytes <= self._queue_bytes:
                self._has_room.set()

    async def _send(self, socket: Socket, stored: Stored) -> None:
        if socket.is_open:
            await socket.send(ack(stored))


def ack(stored: Stored) -> dict[str, Any]:
    """The acknowledgement of an event that is durable."""
    in_sync = {} if stored.in_sync_replicas is None else {"in_sync_replicas": stored.in_sync_replicas}
    return {
        "type": "ack",
        "event_id": stored.event_id,
        "timestamp": stored.timestamp,
        "durability": stored.durability,
        **in_sync,
        "repeat": stored.repeat,
    }


def event_of(data: msgspec.Raw, source: str) -> bytes:
    """The JSON of the event in a frame.

    With `event_type` (or without any type) everything but it and `user_id` is the payload, as StreamFlow's clients send it;
    with `type` it is a whole event. `source` is filled in where the frame names none.
    """
    try:
        payload = _PAYLOAD.decode(data)
    except msgspec.ValidationError:
        raise Invalid("the data of an event frame is a JSON object", field="data") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise Malformed(f"the data of the frame is not JSON: {unreadable}") from unreadable
    if "event_type" not in payload and "type" in payload:
        if "source" in payload:
            return bytes(data)
        return msgspec.json.encode({**payload, "source": source})
    row: dict[str, Any] = {"type": payload.pop("event_type", DEFAULT_TYPE), "source": source}
    if "user_id" in payload:
        row["user_id"] = payload.pop("user_id")
    row["data"] = payload
    return msgspec.json.encode(row)
