"""Reading request bodies: bounded in bytes, in time and in what they unpack to."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, TypeVar

import zstandard
from starlette.exceptions import HTTPException

from weft.api.settings import ApiSettings
from weft.api.uvicorn_protocol import CONNECTION, Connection
from weft.core.clock import Clock
from weft.core.errors import Busy, Malformed, TooLarge

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]

OFF_LOOP_BYTES: Final = 256 * 1024
"""Compressed bodies from this size on are unpacked in a thread."""
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
_ZSTD_STEP_BYTES: Final = 256
"""A few bytes of zstd may unpack to 128 KiB and the library takes no limit, so it is fed little at a time."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class SlowBody(HTTPException):
    """The client took too long to send its body."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(408, detail=f"The body did not arrive within {timeout_s:g} s; send it faster or in smaller parts.")


class BodyReader:
    """Reads bodies for one process. All unfinished bodies together are bounded as well.

    One timer watches all slow clients: a timer for each request would cost more than the request.
    """

    def __init__(self, settings: ApiSettings, clock: Clock) -> None:
        self._steady_s = clock.steady_s
        self._timeout_s = settings.body_timeout_s
        self._max_buffered_bytes = settings.max_buffered_bytes
        self._buffered_bytes = 0
        self._reading: dict[asyncio.Task[Any] | None, float] = {}
        self._overdue: set[asyncio.Task[Any] | None] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def read(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], limit_bytes: int) -> bytes:
        """The whole body, unpacked. Raises TooLarge, Malformed, Busy, SlowBody or ClientGone."""
        declared = headers.get(b"content-length")
        if declared is not None and (not declared.isdigit() or int(declared) > limit_bytes):
            raise too_large(limit_bytes, "sent")
        connection: Connection | None = scope["state"].get(CONNECTION) if "state" in scope else None
        body = None if connection is None else connection.take_body(scope)
        if body is None:
            body = await self.in_time(self._receive_whole(receive, limit_bytes))
        if len(body) > limit_bytes:
            raise too_large(limit_bytes, "sent")
        encoding = headers.get(b"content-encoding")
        if encoding is None or encoding == b"identity":
            return body
        if len(body) < OFF_LOOP_BYTES:
            return decompress(body, encoding, limit_bytes)
        return await asyncio.to_thread(decompress, body, encoding, limit_bytes)

    async def in_time(self, waiting: Awaitable[T], since_s: float | None = None) -> T:
        """What a client sends, if it comes within the time for a body that began at `since_s`. Raises SlowBody."""
        task = asyncio.current_task()
        self._reading[task] = self._steady_s() if since_s is None else since_s
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(self._interval_s, self._look)
        try:
            return await waiting
        except asyncio.CancelledError:
            if task is None or task not in self._overdue:
                raise
            task.uncancel()
            raise SlowBody(self._timeout_s) from None
        finally:
            del self._reading[task]
            self._overdue.discard(task)

    @property
    def _interval_s(self) -> float:
        return min(self._timeout_s / 4, 1.0)

    def _look(self) -> None:
        self._watch = None
        if not self._reading:
            return
        latest_s = self._steady_s() - self._timeout_s
        for task, since_s in self._reading.items():
            if task is not None and since_s <= latest_s and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._watch = asyncio.get_running_loop().call_later(self._interval_s, self._look)

    async def _receive_whole(self, receive: Receive, limit_bytes: int) -> bytes:
        parts: list[bytes] = []
        size_bytes = held_bytes = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part: bytes = message.get("body", b"")
                parts.append(part)
                size_bytes += len(part)
                if size_bytes > limit_bytes:
                    raise too_large(limit_bytes, "sent")
                if not message.get("more_body", False):
                    return b"".join(parts)
                held_bytes += self._hold(len(part))
        finally:
            self._buffered_bytes -= held_bytes

    def _hold(self, size_bytes: int) -> int:
        if self._buffered_bytes + size_bytes > self._max_buffered_bytes:
            raise Busy(
                f"{self._max_buffered_bytes} bytes of unfinished requests are held already; try again shortly",
                limit=self._max_buffered_bytes,
                unit="bytes",
            )
        self._buffered_bytes += size_bytes
        return size_bytes


def decompress(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """Unpack gzip, deflate or zstd. Raises TooLarge when more than `limit_bytes` come out, Malformed for damaged bytes."""
    name = encoding.strip().lower()
    try:
        if name in {b"gzip", b"x-gzip"}:
            return _inflate(body, 31, limit_bytes)
        if name == b"deflate":
            return _inflate(body, 15 if body[:1] and body[0] & 0x0F == 8 else -15, limit_bytes)
        if name == b"zstd":
            return _unpack_zstd(body, limit_bytes)
    except (zlib.error, zstandard.ZstdError) as damaged:
        raise Malformed(f"the body is not readable as {name.decode()}: {damaged}", field="body") from damaged
    raise HTTPException(
        415,
        detail=f"The content encoding '{encoding.decode('latin-1')[:32]}' is not taken; use gzip, deflate, zstd or none.",
        headers={"Accept-Encoding": "gzip, deflate, zstd"},
    )


def too_large(limit_bytes: int, what: str) -> TooLarge:
    """The refusal of a body that is over a limit."""
    return TooLarge(
        f"the body may have at most {limit_bytes} bytes as {what}; send it in parts", limit=limit_bytes, unit="bytes"
    )


def _inflate(body: bytes, window_bits: int, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    room_bytes = limit_bytes
    while body:  # gzip files may be several members behind each other
        stream = zlib.decompressobj(window_bits)
        part = stream.decompress(body, room_bytes + 1)
        if len(part) > room_bytes:
            raise too_large(limit_bytes, "unpacked")
        if not stream.eof:
            raise zlib.error("it ends too early")
        parts.append(part)
        room_bytes -= len(part)
        body = stream.unused_data if window_bits == 31 else b""
    return b"".join(parts)


def _unpack_zstd(body: bytes, limit_bytes: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    parts: list[bytes] = []
    size_bytes = 0
    frame = unpacker.decompressobj()
    for start in range(0, len(body), _ZSTD_STEP_BYTES):
        rest = body[start : start + _ZSTD_STEP_BYTES]
        while rest:
            if frame.eof:
                frame = unpacker.decompressobj()
            part = frame.decompress(rest)
            size_bytes += len(part)
            if size_bytes > limit_bytes:
                raise too_large(limit_bytes, "unpacked")
            parts.append(part)
            rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise zstandard.ZstdError("it ends too early")
    return b"".join(parts)
