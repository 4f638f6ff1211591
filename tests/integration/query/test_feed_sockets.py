"""The same feed over a WebSocket."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from weft.testing.factories import make_row


async def test_the_socket_feed_resumes_by_offset_and_filters(lab: Any) -> None:
    await lab.append([make_row(n, type=("error", "custom")[n % 2]) for n in range(10)])
    url = f"ws://{lab.address}/ws/topics/events"
    shown = {"X-API-Key": lab.key}

    async with asyncio.timeout(10), connect(f"{url}?from=earliest", additional_headers=shown) as socket:
        frame = json.loads(await socket.recv())
        assert (frame["type"], frame["from"]) == ("events", "0:10")
        assert [event["data"]["number"] for event in frame["events"]] == list(range(10))
        await lab.append([make_row(10, type="custom")])
        frame = json.loads(await socket.recv())
        assert (frame["from"], frame["events"][0]["offset"]) == ("0:11", 10)
    async with asyncio.timeout(10), connect(f"{url}?from=0:4&type=error", additional_headers=shown) as socket:
        frame = json.loads(await socket.recv())
        assert [event["data"]["number"] for event in frame["events"]] == [4, 6, 8]
        await socket.send('{"type":"ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}


@pytest.mark.contract("SF-D20")
async def test_the_socket_feed_refuses_strangers_and_wrong_questions(lab: Any) -> None:
    url = f"ws://{lab.address}/ws/topics/events"
    async with asyncio.timeout(10), connect(url) as socket:
        await socket.send('{"type":"subscribe"}')
        refused = json.loads(await socket.recv())
        assert (refused["type"], refused["error"]) == ("error", "AuthenticationError")
        await socket.wait_closed()
        assert socket.close_code == 1008
    for query, field in [("from=x", "from"), ("frmo=latest", "frmo"), ("from=0:99", "from")]:
        async with asyncio.timeout(10), connect(f"{url}?{query}", additional_headers={"X-API-Key": lab.key}) as socket:
            refused = json.loads(await socket.recv())
            assert (refused["error"], refused["details"]["field"]) == ("ValidationError", field)


async def test_a_stopping_server_tells_its_sockets_too(lab: Any) -> None:
    url = f"ws://{lab.address}/ws/topics/events?from=earliest"
    await lab.append(2)
    async with asyncio.timeout(10), connect(url, additional_headers={"X-API-Key": lab.key}) as socket:
        await socket.recv()
        lab.parts.feeds.close()
        cut = json.loads(await socket.recv())
        assert (cut["type"], cut["from"]) == ("cut", "0:2")
        await socket.wait_closed()
        assert socket.close_code == 1000
