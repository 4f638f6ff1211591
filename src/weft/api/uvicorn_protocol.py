"""uvicorn as Weft runs it: its own protocols, with what a busy door on an open network needs beside.

A request can be taken and answered whole (`Connection`), where ASGI's messages with their checks cost as much as all the rest
of a hot route; a WebSocket frame that was encoded once can be written to many (`weft.frames`). Both say no when the plain way
is needed, and everything works without them on any other server. Heads of requests are bounded in bytes and in time.
"""

import asyncio
import secrets
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from weft.api.errors import Problem, error_body
from weft.core.clock import SystemClock

CONNECTION: Final = "weft.connection"
"""Key of the `Connection` in an HTTP request's `scope["state"]`."""
FRAMES: Final = "weft.frames"
"""Key of `write_frame` in a WebSocket's `scope["extensions"]`."""
ROOM: Final = "weft.room"
"""Key of `room` in a WebSocket's `scope["extensions"]`."""
_HANDSHAKE_HEADERS: Final = (b"sec-websocket-", b"upgrade", b"connection", b"host", b"origin")
MAX_HEAD_BYTES: Final = 128 * 1024
MAX_DISCARDED_BYTES: Final = 8 * 1024 * 1024
"""How much of a body that was refused already is read and thrown away. Closing sooner would take the answer from clients
that read only after they have written."""


class Connection(HttpToolsProtocol):
    """HTTP/1.1 over one connection."""

    def __init__(
        self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, {**app_state, CONNECTION: self}, _loop)
        self._idle_since_s: float | None = None
        self._saw_part_of_head = False
        self._is_upgraded = False
        self._unasked_bytes = 0
        self._own_headers: list[tuple[bytes, bytes]] | None = None
        self._own_lines = b""

    def take_body(self, scope: Any) -> bytes | None:
        """The whole body of a request if it is here already, without waiting; None when it has to be received the plain way."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected:
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        return body

    def answer(self, scope: Any, status: int, head: bytes, body: bytes) -> bool:
        """Write an answer at once: `head` is header lines and the empty line. False when it has to be sent the plain way."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.response_started or not cycle.keep_alive or self.flow.write_paused:
            return False
        if cycle.disconnected:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        if cycle.default_headers is not self._own_headers:  # made anew once a second, for the date
            self._own_headers = cycle.default_headers
            self._own_lines = b"".join([b"%b: %b\r\n" % pair for pair in self._own_headers])
        self.transport.write(b"".join((STATUS_LINE[status], self._own_lines, head, body)))
        cycle.message_event.set()
        self.on_response_complete()
        return True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._idle_since_s = self.loop.time()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._let_go()

    def handle_websocket_upgrade(self) -> None:
        """Like uvicorn's; from here on the transport belongs to the WebSocket, which has its own ways to end."""
        texts = (value for name, value in self.headers if name.startswith(_HANDSHAKE_HEADERS))
        if not (self.url.isascii() and all(text.isascii() for text in texts)):
            self.send_400_response("A WebSocket's handshake is written in ASCII.")  # the library would fail on it
            return
        self._is_upgraded = True
        self._let_go()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_upgraded or self._is_busy():
            self._unasked_bytes = 0
            return
        self._unasked_bytes += len(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        limit = MAX_DISCARDED_BYTES if cycle is not None and cycle.more_body else MAX_HEAD_BYTES
        if self._unasked_bytes > limit:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Like uvicorn's, with the body every error has."""
        problem = Problem(status=400, error="BadRequest", message=msg)
        body = error_body(problem, now_us=SystemClock().now_us(), correlation=secrets.token_hex(16))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(b"".join((STATUS_LINE[400], self._own_lines, head, body)))
        self.transport.close()

    def on_response_complete(self) -> None:
        """Like uvicorn's, but a busy connection keeps one timer instead of making one for each answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle_since_s = self.loop.time()

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since_s = None

    def _let_go(self) -> None:
        self.app_state = {name: value for name, value in self.app_state.items() if name != CONNECTION}
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def _is_busy(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _watch(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _look(self) -> None:
        """Close a connection that has been idle for the keep-alive time, or has part of a head and sends no more."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing():
            return
        has_part_of_head = not self._is_busy() and self._idle_since_s is None
        is_idle = self._idle_since_s is not None and self.loop.time() - self._idle_since_s >= self.timeout_keep_alive * 0.9
        if is_idle or (has_part_of_head and self._saw_part_of_head):
            self.transport.close()
            return
        self._saw_part_of_head = has_part_of_head
        self._watch()


class FramingProtocol(WebSocketsSansIOProtocol):
    """A WebSocket with `weft.frames` and `weft.room`."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope = cast("dict[str, Any] | None", getattr(self, "scope", None))
        if scope is not None:
            scope["extensions"] = {**scope["extensions"], FRAMES: self.write_frame, ROOM: self.room}

    def write_frame(self, frame: bytes) -> bool:
        """Write an encoded frame; False when the client is behind, is leaving or wants compressed frames."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.conn.extensions:
            return False
        self.transport.write(frame)
        return True

    async def room(self) -> None:
        """Wait until the client has taken enough of what it was sent, or is gone."""
        await self.writable.wait()
