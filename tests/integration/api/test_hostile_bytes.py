"""Bytes nobody sends on purpose: no 500, no hang, and the next client is served."""

import asyncio
import random
from typing import Any

import pytest

SEEDS = (
    b"POST /hot HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: 5\r\n\r\nhello",
    b'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"name":"a"}',
    b"POST /hot HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /things/7?x=%zz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Correlation-ID: a\r\nOrigin: http://x\r\n\r\n",
    b"OPTIONS /hot HTTP/1.1\r\nHost: x\r\nOrigin: null\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nAuthorization: Bearer alice\r\nContent-Length: 3\r\n\r\nabc",
    (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer alice\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x85\0\0\0\0hello"
    ),
)
SPICE = (
    b"\r\n",
    b"\0",
    b"\xff",
    b"%00",
    b"%",
    b"../",
    b"HTTP/1.1",
    b": ",
    b"\r\n\r\n",
    b"A" * 5000,
    b"-1",
    b"99999999999999999999",
)


def spoil(text: bytes, dice: random.Random) -> bytes:
    """A request with one to four things wrong with it."""
    spoiled = bytearray(text)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(spoiled) + 1)
        match dice.randrange(4):
            case 0:
                spoiled[at:at] = dice.choice(SPICE)
            case 1:
                del spoiled[at : at + dice.randrange(1, 20)]
            case 2 if at < len(spoiled):
                spoiled[at] = dice.randrange(256)
            case _:
                spoiled[at:at] = bytes(spoiled[at : at + dice.randrange(1, 40)])
    return bytes(spoiled)


async def send(host: str, port: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def torment(site: Any, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    host, port = site.address.split(":")
    for number in range(rounds):
        data = spoil(dice.choice(SEEDS), dice)
        answer = await send(host, port, data)
        assert not answer.startswith(b"HTTP/1.1 5"), (seed, number, data, answer)
        if number % 20 == 0:
            assert (await site.http.get("/things/1")).status_code == 200
    assert site.sockets.count == 0


async def test_spoiled_requests_break_nothing(site: Any) -> None:
    await torment(site, 300, seed=1)


@pytest.mark.soak
async def test_many_spoiled_requests_break_nothing(site: Any) -> None:
    for seed in range(2, 12):
        await torment(site, 1000, seed)
