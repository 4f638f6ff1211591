"""Reading request bodies: bounded in bytes, in time and in what they unpack to."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import zstandard
from starlette.exceptions import HTTPException

from weft.api.settings import ApiSettings
from weft.core.errors import Busy, Malformed, TooLarge

Receive = Callable[[], Awaitable[Any]]

OFF_LOOP_BYTES: Final = 256 * 1024
"""Compressed bodies from this size on are unpacked in a thread."""
_ZSTD_WINDOW_BYTES: Final = 8 * 1024 * 1024
_WATCH_INTERVAL_S: Final = 0.5


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class SlowBody(HTTPException):
    """The client took too long to send its body."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(408, detail=f"The body did not arrive within {timeout_s:g} s; send it faster or in smaller parts.")


class BodyReader:
    """Reads bodies for one process. All unfinished bodies together are bounded as well."""

    def __init__(self, settings: ApiSettings) -> None:
        self._timeout_s = settings.body_timeout_s
        self._max_buffered_bytes = settings.max_buffered_bytes
        self._buffered_bytes = 0

    async def read(self, receive: Receive, headers: Mapping[bytes, bytes], limit_bytes: int) -> bytes:
        """The whole body, unpacked. Raises TooLarge, Malformed, Busy, SlowBody or ClientGone."""
        declared = headers.get(b"content-length")
        if declared is not None and (not declared.isdigit() or int(declared) > limit_bytes):
            raise too_large(limit_bytes, "sent")
        body = await self._receive_whole(receive, limit_bytes)
        encoding = headers.get(b"content-encoding")
        if encoding is None or encoding == b"identity":
            return body
        if len(body) < OFF_LOOP_BYTES:
            return decompress(body, encoding, limit_bytes)
        return await asyncio.to_thread(decompress, body, encoding, limit_bytes)

    async def _receive_whole(self, receive: Receive, limit_bytes: int) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body: bytes = message.get("body", b"")
                if not message.get("more_body", False):
                    if len(body) > limit_bytes:
                        raise too_large(limit_bytes, "sent")
                    return body
                return await self._receive_rest(receive, body, limit_bytes)
        except TimeoutError:
            raise SlowBody(self._timeout_s) from None

    async def _receive_rest(self, receive: Receive, first: bytes, limit_bytes: int) -> bytes:
        parts = [first]
        size_bytes = len(first)
        held_bytes = self._hold(len(first))
        try:
            while True:
                if size_bytes > limit_bytes:
                    raise too_large(limit_bytes, "sent")
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part: bytes = message.get("body", b"")
                parts.append(part)
                size_bytes += len(part)
                held_bytes += self._hold(len(part))
                if not message.get("more_body", False) and size_bytes <= limit_bytes:
                    return b"".join(parts)
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
    with unpacker.stream_reader(body, read_across_frames=True) as reader:
        unpacked = reader.read(limit_bytes + 1)
    if len(unpacked) > limit_bytes:
        raise too_large(limit_bytes, "unpacked")
    return unpacked
