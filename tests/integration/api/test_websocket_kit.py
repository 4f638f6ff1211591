"""Who may open a WebSocket, how it says who it is, and what it hears when something is wrong."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from weft.api.access import FLUSH_S
from weft.api.uvicorn_protocol import Connection

SIGNED_IN = {"Authorization": "Bearer alice"}
AUTH = '{"type":"auth","token":"alice"}'


@asynccontextmanager
async def client(site: Any, path: str = "/ws", **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{site.address}{path}", proxy=None, **options) as socket:
        yield socket


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


async def closing_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(5):
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


@pytest.mark.contract("SF-66", "SF-D20")
async def test_a_header_says_who_it_is(site: Any) -> None:
    async with client(site, additional_headers={**SIGNED_IN, "X-Correlation-ID": "c-9"}) as socket:
        assert socket.response is not None
        assert socket.response.headers["x-correlation-id"] == "c-9"
        await socket.send('{"type":"hello","data":{"a":[1]}}')
        assert await hear(socket) == {"type": "echo", "who": "alice", "data": {"a": [1]}}


@pytest.mark.contract("SF-D20")
async def test_the_first_frame_says_who_it_is(site: Any) -> None:
    async with client(site) as socket:
        await socket.send(AUTH)
        assert await hear(socket) == {"type": "authenticated"}
        await socket.send('{"type":"hello"}')
        assert (await hear(socket))["who"] == "alice"


@pytest.mark.contract("SF-D20", "SF-246")
@pytest.mark.parametrize(
    ("headers", "first"),
    [
        ({}, '{"type":"hello"}'),
        ({}, '{"type":"auth","token":"nobody"}'),
        ({}, '{"type":"auth"}'),
        ({"Authorization": "Bearer nobody"}, None),
        ({"X-API-Key": "nobody"}, None),
    ],
)
async def test_who_does_not_say_it_rightly_is_told_and_closed_with_1008(
    site: Any, headers: dict[str, str], first: str | None
) -> None:
    async with client(site, additional_headers=headers) as socket:
        if first is not None:
            await socket.send(first)
        told = await hear(socket)
        assert (told["type"], told["error"]) == ("error", "AuthenticationError")
        assert {"message", "details", "timestamp", "correlation_id"} <= set(told)
        assert await closing_code(socket) == 1008


@pytest.mark.contract("SF-D20")
async def test_who_says_nothing_is_closed_with_1008_after_the_time_for_it(start: Any) -> None:
    async with start(websocket_auth_timeout_s=0.05) as site, client(site) as socket:
        assert (await hear(socket))["message"] == "no auth frame came within 0.05 s"
        assert await closing_code(socket) == 1008


@pytest.mark.contract("SF-D20")
async def test_a_token_in_the_address_is_never_looked_at(start: Any) -> None:
    async with start(websocket_auth_timeout_s=0.05) as site, client(site, "/ws?token=alice&access_token=alice") as socket:
        assert await closing_code(socket) == 1008


@pytest.mark.contract("SF-D20")
def test_the_documented_five_seconds_are_the_default() -> None:
    from weft.api.settings import ApiSettings

    assert ApiSettings().websocket_auth_timeout_s == 5


@pytest.mark.contract("SF-247", "SF-261")
async def test_without_the_scope_it_is_closed_with_1008(site: Any) -> None:
    async with client(site, additional_headers={"Authorization": "Bearer bob"}) as socket:
        assert (await hear(socket))["error"] == "PermissionDenied"
        assert await closing_code(socket) == 1008


@pytest.mark.contract("SF-D19")
@pytest.mark.parametrize(("ping", "pong"), [('{"type":"ping"}', '{"type":"pong"}'), ("ping", "pong")])
async def test_a_ping_is_answered(site: Any, ping: str, pong: str) -> None:
    async with client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send(ping)
        assert await socket.recv() == pong
        await socket.send(ping.encode())
        assert await socket.recv() == pong


@pytest.mark.contract("SF-D19")
@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ("{", "BadRequest"),
        ("", "BadRequest"),
        (b"\xff\xfe", "BadRequest"),
        ("[1]", "ValidationError"),
        ('{"type":5}', "ValidationError"),
        ("[" * 40 + "]" * 40, "ValidationError"),
        ('{"type":"x","data":' + "[" * 100_000 + "]" * 100_000 + "}", "ValidationError"),
        ("[" * 100_000, "ValidationError"),
    ],
)
async def test_a_frame_that_cannot_be_read_is_reported_and_the_connection_lives(site: Any, frame: Any, error: str) -> None:
    async with client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send(frame)
        told = await hear(socket)
        assert (told["type"], told["error"]) == ("error", error)
        await socket.send('{"type":"hello"}')
        assert (await hear(socket))["type"] == "echo"


async def test_a_frame_over_the_limit_is_told_and_closed_with_1009(start: Any) -> None:
    async with start(websocket_max_frame_bytes=1000) as site, client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send(json.dumps({"type": "x", "data": "y" * 900}))
        assert (await hear(socket))["type"] == "echo"
        await socket.send(json.dumps({"type": "x", "data": "y" * 1000}))
        assert (await hear(socket))["error"] == "PayloadTooLarge"
        assert await closing_code(socket) == 1009


async def test_a_fault_of_ours_is_told_without_its_text_and_closed_with_1011(site: Any, caplog: Any) -> None:
    async with client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send('{"type":"boom"}')
        told = await hear(socket)
        assert told["error"] == "InternalError"
        assert "secret" not in json.dumps(told)
        assert await closing_code(socket) == 1011
    assert "websocket_failed" in caplog.text


async def test_a_talk_that_ends_closes_normally(site: Any) -> None:
    async with client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send('{"type":"leave"}')
        assert await closing_code(socket) == 1000


@pytest.mark.contract("SF-265")
async def test_the_eleventh_connection_of_an_address_is_refused_before_it_is_accepted(site: Any) -> None:
    open_ones = [await connect(f"{site.ws}/ws", proxy=None) for _ in range(10)]
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{site.ws}/ws", proxy=None)
    response = refused.value.response
    assert response.status_code == 429
    body = json.loads(response.body or b"")
    assert (body["error"], body["limit"], body["remaining"]) == ("RateLimitExceeded", 10, 0)
    assert response.headers["retry-after"] == "10"
    await open_ones.pop().close()
    async with asyncio.timeout(5):
        while site.sockets.count > 9:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0.01)
    open_ones.append(await connect(f"{site.ws}/ws", proxy=None))
    for socket in open_ones:
        await socket.close()


@pytest.mark.contract("SF-44", "SF-285")
async def test_open_sockets_are_counted(site: Any) -> None:
    async with client(site, additional_headers=SIGNED_IN), client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send("ping")
        await socket.recv()
        assert site.metrics.active_connections == 2
        assert (await site.http.get("/health")).json()["checks"]["websocket_connections"] == 2
    async with asyncio.timeout(5):
        while site.sockets.count:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0.01)
    assert site.metrics.active_connections == 0


COOKIE = {"Cookie": "session=alice"}


@pytest.mark.parametrize("own", [None, "own", "listed"])
async def test_a_session_cookie_counts_from_our_own_and_listed_pages(start: Any, own: str | None) -> None:
    async with start(cors_origins=("https://app.example.org",), cors_credentials=True) as site:
        origin = {None: None, "own": f"http://{site.address}", "listed": "https://app.example.org"}[own]
        async with client(site, additional_headers=COOKIE, origin=origin) as socket:
            await socket.send('{"type":"hello"}')
            assert (await hear(socket))["who"] == "alice"


async def test_a_stranger_s_page_cannot_ride_on_a_visitor_s_session(start: Any) -> None:
    async with start(websocket_auth_timeout_s=0.2) as site:
        async with client(site, additional_headers=COOKIE, origin="https://evil.example.org") as socket:
            await socket.send('{"type":"hello"}')
            assert await closing_code(socket) == 1008
        async with client(site, additional_headers=COOKIE, origin="https://evil.example.org") as socket:
            await socket.send(AUTH)
            assert await hear(socket) == {"type": "authenticated"}, "a token of its own is another matter"


async def test_a_stranger_s_page_cannot_use_the_open_local_socket(start: Any) -> None:
    async with start(anonymous=True) as site:
        async with client(site) as socket:
            await socket.send('{"type":"hello"}')
            assert (await hear(socket))["who"] == "anonymous"
        async with client(site, origin="https://evil.example.org") as socket:
            await socket.send('{"type":"hello"}')
            assert await closing_code(socket) == 1008


async def test_who_is_known_already_may_still_become_somebody(start: Any) -> None:
    async with start(anonymous=True) as site, client(site) as socket:
        await socket.send(AUTH)
        assert await hear(socket) == {"type": "authenticated"}
        await socket.send('{"type":"hello"}')
        assert (await hear(socket))["who"] == "alice"
        await socket.send('{"type":"auth","token":"nobody"}')
        assert (await hear(socket))["error"] == "AuthenticationError"
        assert await closing_code(socket) == 1008


async def test_the_open_local_socket_opens_only_what_anybody_may(start: Any) -> None:
    async with start(anonymous=True) as site, client(site, "/ws/live") as socket:
        await socket.send(AUTH)
        assert await hear(socket) == {"type": "authenticated"}, "who may do nothing yet can still say who it is"


async def test_an_open_socket_is_not_taken_for_an_idle_connection(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Connection.connection_made

    def impatient(self: Connection, transport: Any) -> None:
        self.timeout_keep_alive = 0.05  # pyright: ignore[reportAttributeAccessIssue]  # uvicorn says int
        original(self, transport)

    monkeypatch.setattr(Connection, "connection_made", impatient)
    async with client(site, additional_headers=SIGNED_IN) as socket:
        await asyncio.sleep(0.3)
        await socket.send("ping")
        assert await socket.recv() == "pong"


async def test_a_client_that_vanishes_leaves_nothing_behind(site: Any) -> None:
    for _ in range(3):
        socket = await connect(f"{site.ws}/ws", proxy=None, additional_headers=SIGNED_IN)
        await socket.send("ping")
        socket.transport.abort()
    async with asyncio.timeout(5):
        while site.sockets.count:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0.01)


@pytest.mark.contract("SF-D36", "SF-281")
async def test_a_path_nobody_serves_is_a_404_with_our_body(site: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{site.ws}/nope", proxy=None)
    response = refused.value.response
    assert response.status_code == 404
    assert json.loads(response.body or b"")["error"] == "NotFound"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert json.loads(response.body or b"")["correlation_id"] == response.headers["x-correlation-id"]


@pytest.mark.contract("SF-259")
@pytest.mark.parametrize("by", ["header", "frame"])
async def test_who_logs_out_or_loses_a_key_loses_the_open_socket_too(start: Any, by: str) -> None:
    async with start(websocket_recheck_s=0.05) as site:
        headers = SIGNED_IN if by == "header" else {}
        async with client(site, additional_headers=headers) as socket, client(site) as other:
            if by == "frame":
                await socket.send(AUTH)
                await hear(socket)
            await other.send('{"type":"auth","token":"fast"}')
            await hear(other)
            await asyncio.sleep(0.15)
            await socket.send("ping")
            assert await socket.recv() == "pong", "nothing happens while all is well"
            del site.doorman.tokens["alice"]
            assert (await hear(socket))["error"] == "AuthenticationError"
            assert await closing_code(socket) == 1008
            await other.send("ping")
            assert await other.recv() == "pong", "others stay"


async def test_accounts_that_are_away_for_a_moment_end_no_connection(start: Any) -> None:
    async with start(websocket_recheck_s=0.02) as site, client(site, additional_headers=SIGNED_IN) as socket:
        site.doorman.is_away = True
        await asyncio.sleep(0.1)
        site.doorman.is_away = False
        await socket.send("ping")
        assert await socket.recv() == "pong"


async def test_becoming_somebody_without_the_scope_ends_the_connection(site: Any) -> None:
    async with client(site, additional_headers=SIGNED_IN) as socket:
        await socket.send('{"type":"auth","token":"bob"}')
        assert (await hear(socket))["error"] == "PermissionDenied"
        assert await closing_code(socket) == 1008


async def test_a_socket_leaves_a_line_when_it_closes(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with start(access_log="all") as site:
        with caplog.at_level(logging.INFO, "weft.access"):
            async with client(site, additional_headers={**SIGNED_IN, "X-Correlation-ID": "c-3"}) as socket:
                await socket.send("ping")
                await socket.recv()
            async with asyncio.timeout(5):
                while site.sockets.count:  # noqa: ASYNC110 - the server notices by itself
                    await asyncio.sleep(0.005)
            await asyncio.sleep(2 * FLUSH_S)
    assert "WEBSOCKET '/ws' 101 in " in caplog.text
    assert "for alice (c-3)" in caplog.text
