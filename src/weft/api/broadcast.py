"""Broadcast: one message to many WebSockets, encoded once, without a queue or a task for each client.

A client that cannot keep up is not waited for: it skips messages and gets the newest one as soon as it has room again. So a
client holds at most the server's write buffer and one message, and slow clients slow nobody.
"""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from weft.api.uvicorn_protocol import FRAMES
from weft.api.websocket import Socket

logger = logging.getLogger(__name__)

_TEXT: Final = 0x81  # FIN and the opcode of text


class Broadcast:
    """The clients of one live feed."""

    def __init__(self) -> None:
        self._members: dict[Socket, _Member] = {}
        self.skipped_total = 0
        """Messages that were left out for clients that were behind."""

    def __len__(self) -> int:
        return len(self._members)

    @contextmanager
    def joined(self, socket: Socket) -> Generator[None]:
        """The socket gets what is published while the block runs."""
        member = self._members[socket] = _Member(socket)
        try:
            yield
        finally:
            del self._members[socket]
            member.leave()

    def publish(self, message: bytes) -> None:
        """Send a JSON text to every client that has room for it now, and to the others when they have. Never waits."""
        frame = encode_frame(message)
        for member in list(self._members.values()):
            if not member.offer(frame, message):
                self.skipped_total += 1


class _Member:
    """One client: idle, or with one send under way and perhaps the newest message waiting behind it."""

    __slots__ = ("_newest", "_send", "_sending", "_write")

    def __init__(self, socket: Socket) -> None:
        self._write: Callable[[bytes], bool] | None = socket.extensions.get(FRAMES)
        self._send: Callable[[Any], Awaitable[None]] = socket.raw_send
        self._sending: asyncio.Task[None] | None = None
        self._newest: bytes | None = None

    def offer(self, frame: bytes, message: bytes) -> bool:
        """Send now, or keep as the newest; False when another message was dropped for it."""
        if self._sending is None:
            if self._write is not None and self._write(frame):
                return True
            self._newest = message
            self._sending = asyncio.create_task(self._catch_up())
            return True
        dropped = self._newest is not None
        self._newest = message
        return not dropped

    def leave(self) -> None:
        """Forget what waits."""
        self._newest = None
        if self._sending is not None:
            self._sending.cancel()

    async def _catch_up(self) -> None:
        """Send the newest message until none is waiting. The server's send returns when the client has room."""
        try:
            while self._newest is not None:
                message, self._newest = self._newest, None
                await self._send({"type": "websocket.send", "text": message.decode()})
        except (OSError, RuntimeError) as gone:
            logger.debug("broadcast_client_gone", extra={"reason": str(gone)})
        finally:
            self._sending = None


def encode_frame(message: bytes) -> bytes:
    """A text message as an unmasked WebSocket frame (RFC 6455, 5.2), as a server sends it."""
    length = len(message)
    if length < 126:
        return struct.pack("!BB", _TEXT, length) + message
    if length < 65_536:
        return struct.pack("!BBH", _TEXT, 126, length) + message
    return struct.pack("!BBQ", _TEXT, 127, length) + message
