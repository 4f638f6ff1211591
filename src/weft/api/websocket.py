"""The WebSocket kit: who may connect, who it is, and JSON frames both ways.

A route hands its socket to `Sockets.serve` with a function that talks. The kit has by then checked the number of connections
of the address, the origin, the credentials (a header, or the first frame `{"type":"auth","token":…}`) and the scope; it
answers pings and bad frames, and closes with 1008 who may not stay. Credentials in the query string are never looked at.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from weft.api.caller import Authenticator, Caller
from weft.api.errors import error_body, error_body_of, problem_of
from weft.api.exchange import Exchange, HeaderView, exchange_of
from weft.api.metrics import Metrics
from weft.api.nesting import is_deeper_than
from weft.api.origins import Origins
from weft.api.settings import ApiSettings
from weft.core.clock import Clock
from weft.core.errors import Busy, Invalid, Malformed, NotAllowed, TooLarge, Unauthenticated, WeftError
from weft.core.event import EMPTY_OBJECT
from weft.core.principal import Principal, Scope

logger = logging.getLogger(__name__)

NORMAL: Final = 1000
REFUSED: Final = 1008
TOO_BIG: Final = 1009
BROKEN: Final = 1011

_PONG: Final = b'{"type":"pong"}'
_WELCOME: Final = b'{"type":"authenticated"}'


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A JSON message of a client: its type, its `data` undecoded, and the whole text."""

    type: str = ""
    data: msgspec.Raw = EMPTY_OBJECT
    token: str | None = None


_FRAME: Final = msgspec.json.Decoder(Frame)


class Socket:
    """One client that may talk. Iterate over it to get its frames; the iteration ends when the client is gone."""

    def __init__(self, websocket: WebSocket, exchange: Exchange, sockets: "Sockets") -> None:
        self._websocket = websocket
        self._exchange = exchange
        self._sockets = sockets
        self.text = b""
        """The whole text of the newest frame."""

    @property
    def principal(self) -> Principal:
        """Who it is."""
        if self._exchange.principal is None:
            raise Unauthenticated("this connection has not said who it is")
        return self._exchange.principal

    @property
    def exchange(self) -> Exchange:
        """Address, correlation id and the raw send of this connection."""
        return self._exchange

    @property
    def raw_send(self) -> Callable[[Any], Awaitable[None]]:
        """The server's own send, for ASGI messages that are the same for many clients."""
        return self._exchange.send or self._websocket.send

    @property
    def extensions(self) -> Mapping[str, Any]:
        """What the server can do beyond plain ASGI."""
        return self._websocket.scope.get("extensions") or {}

    @property
    def is_open(self) -> bool:
        """Whether sending makes sense."""
        return self._websocket.client_state is WebSocketState.CONNECTED

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            frame = await self.receive()
            if frame is None:
                return
            if frame.type == "auth":
                await self._sockets.identify(self, frame)
            else:
                yield frame

    async def receive(self) -> Frame | None:
        """The next frame, None when the client is gone. Pings are answered and unreadable frames reported on the way."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            text: str | bytes = message.get("text") or message.get("bytes") or b""
            self.text = text.encode() if isinstance(text, str) else text
            if self.text.strip() == b"ping":
                await self._websocket.send_text("pong")
                continue
            try:
                frame = self._sockets.decode(self.text)
            except TooLarge as error:
                await self.send_error(error)
                await self.close(TOO_BIG, error.message)
                return None
            except WeftError as error:
                await self.send_error(error)
                continue
            if frame.type != "ping":
                return frame
            await self.send(_PONG)

    async def send(self, message: Any) -> None:
        """Send one frame: bytes or text that are JSON already, or anything msgspec can encode."""
        if isinstance(message, str):
            await self._websocket.send_text(message)
        else:
            encoded = message if isinstance(message, bytes) else msgspec.json.encode(message)
            await self._websocket.send_text(encoded.decode())

    async def send_error(self, error: Exception) -> None:
        """Send `{"type":"error", error, message, details, timestamp, correlation_id}`."""
        await self.send(self._sockets.error_frame(error, self._exchange))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the connection; `reason` is cut to what a close frame can hold."""
        with suppress(WebSocketDisconnect, RuntimeError):  # gone already
            await self._websocket.close(code, reason.encode()[:120].decode(errors="ignore"))


class Sockets:
    """The WebSockets of one process."""

    def __init__(self, *, settings: ApiSettings, clock: Clock, authenticator: Authenticator, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._authenticator = authenticator
        self._metrics = metrics
        self._origins = Origins(settings)
        self._open: dict[str, int] = {}

    @property
    def count(self) -> int:
        """Open connections, those that have not yet said who they are included."""
        return sum(self._open.values())

    async def serve(self, websocket: WebSocket, scope: Scope, talk: Callable[[Socket], Awaitable[None]]) -> None:
        """Let a client in that has `scope`, talk, and clean up. Returns when the connection is over; raises nothing of ours."""
        exchange = exchange_of(websocket)
        address = exchange.client_ip
        limit = self._settings.websocket_connections_per_ip
        if limit and self._open.get(address, 0) >= limit:
            await self._refuse(websocket, exchange, limit)
            return
        self._open[address] = self._open.get(address, 0) + 1
        self._metrics.active_connections += 1
        try:
            await self._serve(Socket(websocket, exchange, self), websocket, scope, talk)
        finally:
            self._metrics.active_connections -= 1
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    async def identify(self, socket: Socket, frame: Frame) -> None:
        """Take an auth frame: from here on the connection acts for the token's principal. Raises Unauthenticated."""
        if not frame.token:
            raise Unauthenticated('an auth frame looks like {"type":"auth","token":"…"}')
        socket.exchange.principal = await self._authenticator.authenticate_token(frame.token)
        await socket.send(_WELCOME)

    def decode(self, text: bytes) -> Frame:
        """A frame from its text. Raises TooLarge, Invalid or Malformed."""
        if len(text) > self._settings.websocket_max_frame_bytes:
            limit = self._settings.websocket_max_frame_bytes
            raise TooLarge(f"a frame may have at most {limit} bytes", limit=limit, unit="bytes")
        if is_deeper_than(text, self._settings.websocket_max_depth):
            depth = self._settings.websocket_max_depth
            raise Invalid(f"a frame may be nested at most {depth} levels deep", limit=depth, unit="levels")
        try:
            return _FRAME.decode(text)
        except msgspec.ValidationError as wrong:
            raise Invalid(f'a frame is a JSON object with a "type": {wrong}') from wrong
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
            raise Malformed(f"the frame is not JSON: {unreadable}") from unreadable

    def error_frame(self, error: Exception, exchange: Exchange) -> bytes:
        """The frame that reports an error."""
        body = error_body_of(error, now_us=self._clock.now_us(), correlation=exchange.correlation_id)
        return b'{"type":"error",' + body[1:]

    async def _serve(
        self, socket: Socket, websocket: WebSocket, scope: Scope, talk: Callable[[Socket], Awaitable[None]]
    ) -> None:
        try:
            await self._admit(socket, websocket, scope)
            await talk(socket)
            await socket.close()
        except WebSocketDisconnect:
            pass
        except Exception as error:
            await self._dismiss(socket, error)

    async def _admit(self, socket: Socket, websocket: WebSocket, scope: Scope) -> None:
        """Accept, and know who it is. The refusal of a shown credential waits until the client can read it."""
        exchange = socket.exchange
        greeting = [(b"x-correlation-id", exchange.correlation_id.encode("ascii"))]
        try:
            exchange.principal = await self._known(websocket, exchange, scope)
        except (Unauthenticated, NotAllowed):
            await websocket.accept(headers=greeting)
            raise
        await websocket.accept(headers=greeting)
        if exchange.principal is None:
            await self._await_identity(socket)
        if not socket.principal.may(scope):
            raise NotAllowed(f"this needs the scope {scope.value}", scope=scope.value)

    async def _known(self, websocket: WebSocket, exchange: Exchange, scope: Scope) -> Principal | None:
        """Who the handshake's headers show, None where they show nobody or nobody who may do this."""
        raw: dict[bytes, bytes] = dict(websocket.scope["headers"])
        is_at_home = self._origins.is_at_home(raw.get(b"origin"), raw.get(b"host", b""))
        if not is_at_home:
            raw.pop(b"cookie", None)  # a page of another origin may sign in by token, never ride on a session
        shows = b"authorization" in raw or b"x-api-key" in raw
        caller = Caller(headers=HeaderView(raw), client_ip=exchange.client_ip, method="GET", is_websocket=True)
        try:
            principal = await self._authenticator.authenticate(caller)
        except (Unauthenticated, NotAllowed):
            if shows:
                raise
            return None
        if principal.kind == "anonymous" and not (is_at_home and principal.may(scope)):
            return None
        return principal

    async def _await_identity(self, socket: Socket) -> None:
        timeout_s = self._settings.websocket_auth_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                frame = await socket.receive()
        except TimeoutError:
            raise Unauthenticated(f"no auth frame came within {timeout_s:g} s") from None
        if frame is None:
            raise WebSocketDisconnect(NORMAL)
        if frame.type != "auth":
            raise Unauthenticated('the first frame has to be {"type":"auth","token":"…"}')
        await self.identify(socket, frame)

    async def _dismiss(self, socket: Socket, error: Exception) -> None:
        problem = problem_of(error)
        if not isinstance(error, WeftError):
            logger.error("websocket_failed", exc_info=error)
        with suppress(WebSocketDisconnect, RuntimeError):  # gone already
            await socket.send_error(error)
        refused = problem.status in {401, 403, 429}
        await socket.close(REFUSED if refused else BROKEN, problem.message)

    async def _refuse(self, websocket: WebSocket, exchange: Exchange, limit: int) -> None:
        """Answer the handshake with 429 and the usual body, or a plain close where the server cannot."""
        busy = Busy(
            f"{exchange.client_ip} has {limit} WebSockets open, which is the most one address may have; close one first",
            retry_after_s=10,
            rate_limit="websocket",
            limit=limit,
            remaining=0,
            reset=self._clock.now_us() // 1_000_000 + 10,
        )
        problem = problem_of(busy)
        body = error_body(problem, now_us=self._clock.now_us(), correlation=exchange.correlation_id)
        if "websocket.http.response" not in websocket.scope.get("extensions", {}):
            await websocket.close(REFUSED)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers]
        await websocket.send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
        await websocket.send({"type": "websocket.http.response.body", "body": body})
