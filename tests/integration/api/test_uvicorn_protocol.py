"""Raw HTTP against the protocol Weft runs on uvicorn: its short way of answering must be no different on the wire."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn.protocols.http.httptools_impl as uvicorn_http

from weft.api import uvicorn_protocol
from weft.api.uvicorn_protocol import CONNECTION, Connection


class Wire:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            headers = {name.lower(): value for name, value in pairs}
            assert len(headers) == len(pairs), "no header twice"
            return int(status.split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def is_closed(self) -> bool:
        async with asyncio.timeout(10):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def wire(site: Any) -> AsyncIterator[Wire]:
    host, port = site.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def post(body: bytes = b"x", *headers: bytes, version: bytes = b"1.1", length: bool = True) -> bytes:
    lines = [b"POST /hot HTTP/" + version, b"Host: x", b"Authorization: Bearer alice", *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_the_short_way_says_the_same_as_the_long_one(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(post(b"busy"))  # carries Retry-After, so it goes the plain way
        _, plain, _ = await connection.answer()
        connection.write(post(b"plain"))
        _, short, _ = await connection.answer()
    usual = {"date", "content-type", "content-length", "x-correlation-id", "x-content-type-options", "x-frame-options"}
    assert usual <= set(short)
    assert set(plain) - {"retry-after"} == set(short) - {"x-extra"}
    assert {name: short[name] for name in ("content-type", "content-security-policy", "referrer-policy")} == {
        name: plain[name] for name in ("content-type", "content-security-policy", "referrer-policy")
    }


async def test_many_requests_on_one_connection(site: Any) -> None:
    async with wire(site) as connection:
        for number in range(20):
            connection.write(post(b"x" * number))
            status, _, body = await connection.answer()
            assert (status, json.loads(body)["size"]) == (201, number)


async def test_requests_sent_ahead_are_answered_in_order(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(
            *[post(b"x" * number) for number in range(1, 6)], b"GET /things/7 HTTP/1.1\r\nHost: x\r\n\r\n", post(b"")
        )
        sizes = [json.loads((await connection.answer())[2])["size"] for _ in range(5)]
        assert sizes == [1, 2, 3, 4, 5]
        assert json.loads((await connection.answer())[2])["name"] == "7"
        assert json.loads((await connection.answer())[2])["size"] == 0


async def test_a_body_in_chunks_and_in_pieces(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(post(b"", b"Transfer-Encoding: chunked", length=False))
        for piece in (b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"):
            connection.write(piece)
            await connection.writer.drain()
            await asyncio.sleep(0.01)
        assert json.loads((await connection.answer())[2])["size"] == 5
        for byte in post(b"slowly"):
            connection.write(bytes([byte]))
            await connection.writer.drain()
        assert json.loads((await connection.answer())[2])["size"] == 6


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(post(b"", b"Expect: 100-continue", b"Content-Length: 5", length=False))
        assert (await connection.answer())[0] == 100
        connection.write(b"hello")
        status, _, body = await connection.answer()
        assert (status, json.loads(body)["size"]) == (201, 5)


async def test_a_client_that_asks_before_it_sends_too_much_is_told_not_to(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(post(b"", b"Expect: 100-continue", b"Content-Length: 500000", length=False))
        assert (await connection.answer())[0] == 413


@pytest.mark.parametrize(("version", "headers"), [(b"1.0", []), (b"1.1", [b"Connection: close"])])
async def test_who_wants_the_connection_closed_gets_it_closed(site: Any, version: bytes, headers: list[bytes]) -> None:
    async with wire(site) as connection:
        connection.write(post(b"x", *headers, version=version))
        assert (await connection.answer())[0] == 201
        assert await connection.is_closed()


@pytest.mark.contract("SF-D36")
@pytest.mark.parametrize("request_line", [b"BREW / HTTP/1.1", b"GET / HTTP/9.9", b"\x16\x03\x01"])
async def test_what_is_no_http_gets_our_body_and_a_closed_connection(site: Any, request_line: bytes) -> None:
    async with wire(site) as connection:
        connection.write(request_line, b"\r\nHost: x\r\n\r\n")
        status, _, body = await connection.answer()
        assert (status, json.loads(body)["error"]) == (400, "BadRequest")
        assert set(json.loads(body)) == {"error", "message", "details", "timestamp", "correlation_id"}
        assert await connection.is_closed()


@pytest.mark.parametrize("path", [b"/ws", b"/w\xffs"])
async def test_a_handshake_that_is_not_ascii_is_refused(site: Any, path: bytes) -> None:
    async with wire(site) as connection:
        connection.write(
            b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: \xffdGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await connection.answer())[0] == 400
        assert await connection.is_closed()


async def test_a_client_that_goes_away_in_the_middle_of_its_body_is_counted_and_forgotten(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(post(b"half", b"Content-Length: 100", length=False))
        await connection.writer.drain()
    async with asyncio.timeout(5):
        while site.metrics.meter("POST", "/hot").statuses[499] == 0:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0.005)
    assert site.metrics.meter("POST", "/hot").statuses == {499: 1}


async def test_a_body_that_trickles_is_cut_off_in_time(start: Any) -> None:
    async with start(body_timeout_s=0.2, rate_limit_enabled=False) as site, wire(site) as slow, wire(site) as quick:
        slow.write(post(b"half", b"Content-Length: 100", length=False))
        await slow.writer.drain()
        answering = asyncio.create_task(slow.answer())
        while not answering.done():
            site.clock.advance(0.05)
            slow.write(b"x")
            quick.write(post(b"x"))
            assert (await quick.answer())[0] == 201, "others are not held up"
            await asyncio.sleep(0.01)
        status, _, body = await answering
        assert (status, json.loads(body)["error"]) == (408, "RequestTimeout")


async def test_a_framework_route_s_body_that_trickles_is_cut_off_in_time_too(start: Any) -> None:
    async with start(body_timeout_s=0.2) as site, wire(site) as slow:
        slow.write(b"POST /raw-size HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        answering = asyncio.create_task(slow.answer())
        while not answering.done():
            site.clock.advance(0.05)
            await asyncio.sleep(0.01)
        status, _, body = await answering
        assert (status, json.loads(body)["error"]) == (408, "RequestTimeout")


@pytest.mark.parametrize(
    "endless",
    [b"GET /" + b"x" * 300_000, b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 40_000, b"GET / HTTP/1.1\r\nX: " + b"y" * 300_000],
)
async def test_an_endless_head_is_cut_off(site: Any, endless: bytes) -> None:
    async with wire(site) as connection:
        connection.write(endless)
        assert await connection.is_closed()


@pytest.mark.parametrize("begun", [b"", b"G", b"POST /hot HTTP/1.1\r\nHost"])
async def test_a_connection_that_says_nothing_or_half_a_head_is_closed(
    site: Any, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Connection.connection_made

    def impatient(self: Connection, transport: Any) -> None:
        self.timeout_keep_alive = 0.05  # pyright: ignore[reportAttributeAccessIssue]  # uvicorn says int
        original(self, transport)

    monkeypatch.setattr(Connection, "connection_made", impatient)
    async with wire(site) as connection:
        connection.write(begun)
        assert await connection.is_closed()
    async with wire(site) as connection:
        connection.write(post(b"x"))
        assert (await connection.answer())[0] == 201
        connection.write(begun)
        assert await connection.is_closed()


async def test_a_busy_connection_is_not_taken_for_an_idle_one(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Connection.connection_made

    def impatient(self: Connection, transport: Any) -> None:
        self.timeout_keep_alive = 0.5  # pyright: ignore[reportAttributeAccessIssue]  # uvicorn says int
        original(self, transport)

    monkeypatch.setattr(Connection, "connection_made", impatient)
    async with wire(site) as connection:
        for _ in range(20):
            connection.write(post(b"x"))
            assert (await connection.answer())[0] == 201
            await asyncio.sleep(0.05)


async def test_what_is_sent_after_a_refusal_is_thrown_away_only_up_to_a_bound(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn_protocol, "MAX_DISCARDED_BYTES", 100_000)
    async with wire(site) as connection:
        connection.write(post(b"", b"Content-Length: 1000000000", length=False))
        assert (await connection.answer())[0] == 413

        async def write_on() -> None:
            while True:
                connection.write(b"x" * 10_000)
                await connection.writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(write_on(), 10)


async def test_the_connection_is_usable_after_a_refused_body_was_sent_to_its_end(site: Any) -> None:
    async with wire(site) as connection:
        connection.write(post(b"x" * 300_000))
        assert (await connection.answer())[0] == 413
        connection.write(post(b"x"))
        assert (await connection.answer())[0] == 201


async def test_the_short_way_is_really_taken(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this the door would be slower and nobody would know: uvicorn may change under us."""
    taken: list[bool] = []
    original = Connection.answer

    def answer(self: Connection, *arguments: Any) -> bool:
        taken.append(original(self, *arguments))
        return taken[-1]

    monkeypatch.setattr(Connection, "answer", answer)
    async with wire(site) as connection:
        connection.write(post(b"nobody", b"X-Plain: yes").replace(b"alice", b"bob"))
        assert (await connection.answer())[0] == 403
    assert taken == [True]


def test_uvicorn_still_has_what_the_short_way_builds_on() -> None:
    """Reads like a list of what to look at when a new uvicorn breaks this room."""
    source = Path(uvicorn_http.__file__).read_text(encoding="utf-8")
    for name in ("response_started", "response_complete", "waiting_for_100_continue", "default_headers", "message_event"):
        assert re.search(rf"self\.{name}\b", source), name
    assert '"state": self.app_state.copy()' in source, "the Connection travels in the scope's state"
    assert CONNECTION == "weft.connection"
