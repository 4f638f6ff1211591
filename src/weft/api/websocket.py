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

from weft.api.caller import Authenticator
from weft.api.errors import error_body, error_body_of, problem_of
from weft.api.exchange import Exchange, exchange_of
from weft.api.frame import Frame, decode_frame
from weft.api.identity import Identity
from weft.api.metrics import Metrics
from weft.api.origins import Origins
from weft.api.settings import ApiSettings
from weft.core.clock import Clock
from weft.core.errors import Busy, NotAllowed, TooLarge, Unauthenticated, WeftError
from weft.core.principal import Principal, Scope

logger = logging.getLogger(__name__)

NORMAL: Final = 1000
REFUSED: Final = 1008
TOO_BIG: Final = 1009
BROKEN: Final = 1011

_PONG: Final = b'{"type":"pong"}'
_LAST_WORD_S: Final = 1.0
_WELCOME: Final = b'{"type":"authenticated"}'


class Socket:
    """One client that may talk. Iterate over it to get its frames; the iteration ends when the client is gone."""

    def __init__(self, websocket: WebSocket, exchange: Exchange, identity: Identity, sockets: "Sockets") -> None:
        self._websocket = websocket
        self._exchange = exchange
        self._sockets = sockets
        self.identity = identity
        """The proof this connection gave."""
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
                await self.take_identity(frame)
            else:
                yield frame

    async def take_identity(self, frame: Frame) -> None:
        """Take an auth frame. Raises Unauthenticated or NotAllowed."""
        await self.identity.take(frame)
        await self.send(_WELCOME)

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

    async def send_error(self, error: Exception, *, about: str | None = None) -> None:
        """Send `{"type":"error", error, message, details, timestamp, correlation_id}`, with the `id` of what it is about."""
        await self.send(self._sockets.error_frame(error, self._exchange, about))

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
        self._admitted: set[Socket] = set()
        self._watching: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """Open connections, those that have not yet said who they are included."""
        return sum(self._open.values())

    async def serve(self, websocket: WebSocket, scope: Scope | None, talk: Callable[[Socket], Awaitable[None]]) -> None:
        """Let a client in that has `scope`, or is known where there is none; talk, and clean up.

        Returns when the connection is over; raises nothing of ours.
        """
        exchange = exchange_of(websocket)
        address = exchange.client_ip
        limit = self._settings.websocket_connections_per_ip
        if limit and self._open.get(address, 0) >= limit:
            await self._refuse(websocket, exchange, limit)
            return
        self._open[address] = self._open.get(address, 0) + 1
        self._metrics.active_connections += 1
        try:
            identity = Identity(websocket, exchange, scope, authenticator=self._authenticator, origins=self._origins)
            await self._serve(Socket(websocket, exchange, identity, self), websocket, talk)
        finally:
            self._metrics.active_connections -= 1
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def decode(self, text: bytes) -> Frame:
        """A frame from its text. Raises TooLarge, Invalid or Malformed."""
        settings = self._settings
        return decode_frame(text, max_bytes=settings.websocket_max_frame_bytes, max_depth=settings.websocket_max_depth)

    def error_frame(self, error: Exception, exchange: Exchange, about: str | None = None) -> bytes:
        """The frame that reports an error; `about` is the id of what it is about."""
        body = error_body_of(error, now_us=self._clock.now_us(), correlation=exchange.correlation_id)
        name = b"" if about is None else b'"id":%b,' % msgspec.json.encode(about)
        return b'{"type":"error",%b%b' % (name, body[1:])

    async def _serve(self, socket: Socket, websocket: WebSocket, talk: Callable[[Socket], Awaitable[None]]) -> None:
        try:
            await self._admit(socket, websocket)
            self._watch(socket)
            await talk(socket)
            await socket.close()
        except WebSocketDisconnect:
            pass
        except Exception as error:
            await self._dismiss(socket, error)
        finally:
            self._admitted.discard(socket)

    async def _admit(self, socket: Socket, websocket: WebSocket) -> None:
        """Accept, and know who it is. The refusal of a proof that was shown waits until the client can read it."""
        greeting = [(b"x-correlation-id", socket.exchange.correlation_id.encode("ascii"))]
        try:
            is_known = await socket.identity.look()
        except (Unauthenticated, NotAllowed):
            await websocket.accept(headers=greeting)
            raise
        await websocket.accept(headers=greeting)
        if not is_known:
            await self._await_identity(socket)

    async def _await_identity(self, socket: Socket) -> None:
        timeout_s = self._settings.websocket_auth_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                frame = await socket.receive()
        except TimeoutError:
            raise Unauthenticated(f"no auth frame came within {timeout_s:g} s") from None
        if frame is None:
            raise WebSocketDisconnect(NORMAL)
        await socket.take_identity(frame)

    def _watch(self, socket: Socket) -> None:
        self._admitted.add(socket)
        if self._watching is None and self._settings.websocket_recheck_s:
            self._watching = asyncio.create_task(self._look_again_for_ever())

    async def _look_again_for_ever(self) -> None:
        """One task for all connections, for as long as there are any."""
        try:
            while self._admitted:
                await asyncio.sleep(self._settings.websocket_recheck_s)
                for socket in list(self._admitted):
                    await self._look_again(socket)
        finally:
            self._watching = None

    async def _look_again(self, socket: Socket) -> None:
        try:
            await socket.identity.look_again()
        except (Unauthenticated, NotAllowed) as refusal:
            self._admitted.discard(socket)
            with suppress(TimeoutError):  # one that does not read must not hold up the others
                async with asyncio.timeout(_LAST_WORD_S):
                    await self._dismiss(socket, refusal)
        except Exception as trouble:  # an account store that is away for a moment ends nobody's connection
            logger.warning("websocket_recheck_failed", extra={"reason": str(trouble)})

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
