"""One request on its way through the framework: its body bounded, its answer given the common headers, HEAD served by GET."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from weft.api.body import BodyReader, too_large
from weft.api.origins import RawHeaders
from weft.core.clock import Clock

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class FrameworkCall:
    """Stands between the server and the framework for one request."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        headers: Callable[[], RawHeaders],
        bodies: BodyReader,
        clock: Clock,
        limit_bytes: int,
    ) -> None:
        self.status = 0
        """The status that was sent, 0 before."""
        self.is_done = False
        """Whether the answer is complete."""
        self._receive = receive
        self._send = send
        self._headers = headers
        self._bodies = bodies
        self._steady_s = clock.steady_s
        self._since_s: float | None = None
        self._limit_bytes = limit_bytes
        self._has_more = True
        self._size_bytes = 0
        self._whole: bytes | None = None
        self._is_head = False

    async def prepare(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Turn HEAD into GET, and unpack a packed body. Raises what `BodyReader.read` raises."""
        if scope["method"] == "HEAD":
            self._is_head = True
            scope["method"] = "GET"
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self._limit_bytes:
            raise too_large(self._limit_bytes, "sent")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            self._whole = await self._bodies.read(scope, self._receive, headers, self._limit_bytes)
            kept = [pair for pair in scope["headers"] if pair[0] not in {b"content-encoding", b"content-length"}]
            scope["headers"] = [*kept, (b"content-length", b"%d" % len(self._whole))]

    async def receive(self) -> Any:
        """The next part of the request. Raises TooLarge beyond the limit, SlowBody beyond the time."""
        if self._is_head and self.is_done:
            return {"type": "http.disconnect"}
        if self._whole is not None:
            body, self._whole = self._whole, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._has_more:
            return await self._receive()  # waits for the client to go away, however long that takes
        if self._since_s is None:
            self._since_s = self._steady_s()
        message = await self._bodies.in_time(self._receive(), self._since_s)
        self._has_more = bool(message.get("more_body", False))
        if message["type"] == "http.request":
            self._size_bytes += len(message.get("body", b""))
            if self._size_bytes > self._limit_bytes:
                raise too_large(self._limit_bytes, "sent")
        return message

    async def send(self, message: Any) -> None:
        """A part of the answer."""
        if self.is_done:
            await asyncio.sleep(0)  # an endless answer to HEAD: let the framework notice that nobody reads on
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._headers()]}
        elif message["type"] == "http.response.body":
            if self._is_head:  # an endless body has an end here
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            self.is_done = not message.get("more_body", False)
        await self._send(message)
