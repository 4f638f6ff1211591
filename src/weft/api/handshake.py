"""The answer to a WebSocket's handshake, as every other answer: with the common headers, and with our body when refused."""

from collections.abc import Awaitable, Callable
from typing import Any

from weft.api.hot import HotResponse
from weft.api.origins import RawHeaders

Send = Callable[[Any], Awaitable[None]]


class Handshake:
    """Stands between the server and the framework for one WebSocket."""

    def __init__(
        self, send: Send, *, headers: Callable[[], RawHeaders], refuse: Callable[[], HotResponse], can_answer: bool
    ) -> None:
        self.status = 0
        """101 once accepted, the status of the refusal otherwise, 0 before either."""
        self._send = send
        self._headers = headers
        self._refuse = refuse
        self._can_answer = can_answer

    async def send(self, message: Any) -> None:
        """A message of the framework."""
        if self.status:
            await self._send(message)
            return
        kind = message["type"]
        if kind == "websocket.accept":
            self.status = 101
            await self._send(message)
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
            await self._send({**message, "headers": [*message.get("headers", ()), *self._headers()]})
        else:
            await self._close()

    async def _close(self) -> None:
        """Closed before it was accepted: the framework says nothing more, so we say what every refusal says."""
        answer = self._refuse()
        self.status = answer.status
        if not self._can_answer:
            await self._send({"type": "websocket.close"})
            return
        own = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.body))]
        start = {"type": "websocket.http.response.start", "status": answer.status}
        await self._send({**start, "headers": [*own, *answer.headers, *self._headers()]})
        await self._send({"type": "websocket.http.response.body", "body": answer.body})
