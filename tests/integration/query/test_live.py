"""One socket for many feeds: what is subscribed comes, with cursors; what cannot come is a gap; nobody waits for anybody."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.integration.query.live_client import client, key_of
from weft.core.principal import Scope
from weft.testing.factories import make_row


async def test_a_subscription_gets_what_comes_from_now_on_with_a_cursor(lab: Any) -> None:
    await lab.append(3)
    async with client(lab) as watcher:
        told = await watcher.subscribe(feed="topic", topic="events")
        assert told == {"type": "subscribed", "id": "a", "feed": "topic", "rate": "every", "cursor": "0:3"}
        await lab.append([make_row(7, type="web.click", source="website")])
        frame = await watcher.hear()

    assert (frame["type"], frame["id"], frame["cursor"]) == ("update", "a", "0:4")
    [event] = frame["events"]
    assert (event["type"], event["data"], event["offset"], event["topic"]) == ("web.click", {"number": 7}, 3, "events")


async def test_one_socket_carries_many_feeds(lab: Any) -> None:
    async with client(lab) as watcher:
        await watcher.subscribe("a", "events")
        await watcher.subscribe("b", "topic", topic="other")
        await watcher.subscribe("c", "topic", topic="other", filter="number > 5")
        await lab.append([make_row(1)])
        assert (await watcher.hear())["id"] == "a"
        await lab.append([make_row(1), make_row(9)], topic="other")
        heard = {frame["id"]: frame for frame in [await watcher.hear(), await watcher.hear()]}
        assert [event["data"]["number"] for event in heard["b"]["events"]] == [1, 9]
        assert [event["data"]["number"] for event in heard["c"]["events"]] == [9]
        await watcher.ask("unsubscribe", id="b")
        assert await watcher.hear() == {"type": "unsubscribed", "id": "b", "cursor": "0:2"}
        await lab.append([make_row(10)], topic="other")
        assert (await watcher.hear())["id"] == "c"
        await watcher.ask("ping")
        assert await watcher.hear() == {"type": "pong"}


async def test_a_cursor_goes_on_without_losing_or_repeating_anything(open_lab: Any) -> None:
    async with open_lab(feed_memory_bytes=20_000, feed_chunk_bytes=2_000) as lab:
        total, seen, cursor = 1200, list[int](), "0:0"

        async def write() -> None:
            for start in range(0, total, 25):
                await lab.append([make_row(start + n) for n in range(25)])

        writing = asyncio.create_task(write())
        for turn in range(1, 9):
            async with client(lab) as watcher:
                await watcher.subscribe(cursor=cursor)
                seen += await watcher.numbers(total // 8 * turn - len(seen))
                cursor = watcher.cursor
        await writing
        async with client(lab) as watcher:
            await watcher.subscribe(cursor=cursor)
            seen += await watcher.numbers(total - len(seen)) if len(seen) < total else []

    assert seen == list(range(total))


async def test_what_is_wrong_is_told_with_the_id_of_the_feed(lab: Any) -> None:
    await lab.append(1)
    wrong: list[tuple[dict[str, Any], str, str | None]] = [
        ({"op": "subscribe", "id": "a", "feed": "nothing"}, "ValidationError", "feed"),
        ({"op": "subscribe", "id": "a", "feed": "topic"}, "ValidationError", "topic"),
        ({"op": "subscribe", "id": "a", "feed": "events", "frmo": "latest"}, "ValidationError", None),
        ({"op": "subscribe", "id": "a", "feed": "events", "cursor": "0:99"}, "ValidationError", "from"),
        ({"op": "subscribe", "id": "a", "feed": "events", "filter": "number >"}, "ValidationError", "filter"),
        ({"op": "subscribe", "id": "a", "feed": "events", "rate": "now"}, "ValidationError", "rate"),
        ({"op": "subscribe", "id": "a", "feed": "events", "rate": "1s", "credit": 1}, "BadRequest", None),
        ({"op": "subscribe", "id": "a", "feed": "alerts"}, "PermissionDenied", None),
        ({"op": "unsubscribe", "id": "a"}, "NotFound", None),
        ({"op": "jump", "id": "a"}, "ValidationError", None),
    ]
    async with client(lab) as watcher:
        for operation, error, field in wrong:
            await watcher.socket.send(json.dumps(operation))
            frame = await watcher.hear()
            assert (frame["type"], frame.get("id"), frame["error"]) == ("error", "a", error), frame
            assert {"message", "details", "timestamp", "correlation_id"} <= frame.keys()
            assert field is None or frame["details"]["field"] == field, frame
        await watcher.ask("subscribe", id="a", feed="events", filter="number > 'x' +")
        details = (await watcher.hear())["details"]
        assert details["column"] > 1
        await watcher.subscribe()
        await watcher.ask("subscribe", id="a", feed="events")
        assert (await watcher.hear())["error"] == "Conflict"


async def test_each_feed_asks_for_its_own_scope(lab: Any) -> None:
    key = await key_of(lab, Scope.ALERTS_READ, Scope.QUERIES_READ)
    async with client(lab, key=key) as watcher:
        await watcher.subscribe("alerts", "alerts")
        await watcher.subscribe("results", "query", topic="load")
        for feed in ("events", "metrics"):
            await watcher.ask("subscribe", id=feed, feed=feed)
            frame = await watcher.hear()
            assert (frame["error"], frame["details"]) == ("PermissionDenied", {"scope": "events:read"})


@pytest.mark.contract("SF-D20")
@pytest.mark.parametrize("path", ["/ws/live", "/ws/alerts"])
async def test_a_live_socket_refuses_strangers(lab: Any, path: str) -> None:
    async with connect(f"ws://{lab.address}{path}", proxy=None) as socket:
        await socket.send('{"op":"subscribe","id":"a","feed":"events"}')
        frame = json.loads(await socket.recv())
        assert (frame["type"], frame["error"]) == ("error", "AuthenticationError")
        await socket.wait_closed()
    assert socket.close_code == 1008
