"""One message to many: everybody who keeps up gets all of it, who does not gets the newest, and nobody waits for anybody."""

import asyncio
import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from weft.api.broadcast import encode_frame

SIGNED_IN = {"Authorization": "Bearer alice"}


async def join(site: Any, count: int = 1, **options: Any) -> list[Any]:
    before = len(site.broadcast)
    clients = [await connect(f"{site.ws}/ws/live", proxy=None, additional_headers=SIGNED_IN, **options) for _ in range(count)]
    async with asyncio.timeout(5):
        while len(site.broadcast) < before + count:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0.001)
    return clients


@pytest.mark.parametrize("size", [2, 125, 126, 65_535, 65_536, 300_000])
async def test_everybody_gets_every_message_of_any_length(site: Any, size: int) -> None:
    clients = await join(site, 5)
    message = b'"' + b"x" * (size - 2) + b'"'
    for _ in range(3):
        site.broadcast.publish(message)
        for client in clients:
            assert (await client.recv()).encode() == message
    for client in clients:
        await client.close()


async def test_frames_for_all_and_frames_for_one_do_not_mix(site: Any) -> None:
    [client] = await join(site)
    for number in range(50):
        site.broadcast.publish(json.dumps({"number": number}).encode())
        await client.send("ping")
        heard = {await client.recv(), await client.recv()}
        assert heard == {json.dumps({"number": number}), "pong"}
    await client.close()


async def test_a_client_that_asked_for_compression_still_understands(start: Any) -> None:
    async with start(rate_limit_enabled=False) as site:
        [client] = await join(site, compression="deflate")
        site.broadcast.publish(b'{"a":1}')
        assert await client.recv() == '{"a":1}'
        await client.close()


async def test_a_client_that_does_not_read_delays_nobody_and_holds_little(site: Any) -> None:
    # A socket that reads nothing, with a small buffer, so that the server's writes soon have nowhere to go.
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    host, port = site.address.split(":")
    await loop.sock_connect(raw, (host, int(port)))
    await loop.sock_sendall(
        raw,
        b"GET /ws/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer alice\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )
    [quick] = await join(site)
    async with asyncio.timeout(5):
        while len(site.broadcast) < 2:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0.001)

    async with asyncio.timeout(20):
        for number in range(1000):
            site.broadcast.publish(json.dumps({"number": number, "fill": "x" * 10_000}).encode())
            assert json.loads(await quick.recv())["number"] == number
    assert site.broadcast.skipped_total > 100, "10 MB did not pile up for the one that does not read"

    # When it reads again, it has missed some, and the last one it gets is the newest.
    received = bytearray()
    async with asyncio.timeout(20):
        while b'"number": 999,' not in received:
            received += await loop.sock_recv(raw, 1 << 16)
    assert len(received) < 8_000_000
    raw.close()
    await quick.close()


async def test_clients_that_leave_are_forgotten(site: Any) -> None:
    clients = await join(site, 3)
    clients[0].transport.abort()
    await clients[1].close()
    site.broadcast.publish(b"1")
    assert await clients[2].recv() == "1"
    async with asyncio.timeout(5):
        while len(site.broadcast) > 1:
            site.broadcast.publish(b"2")
            await asyncio.sleep(0.001)
    await clients[2].close()


@given(st.binary(max_size=300) | st.integers(65_530, 65_540).map(bytes))
def test_our_frames_are_those_of_the_standard(message: bytes) -> None:
    assert encode_frame(message) == Frame(Opcode.TEXT, message).serialize(mask=False)
