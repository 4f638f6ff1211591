"""Who reads slowly, asks for less often, or counts what may come: bounded memory, newest first, and every gap is told."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.integration.query.live_client import client
from weft.query.live.seat import Seat
from weft.query.live.seen import TOPIC, Seen
from weft.testing.factories import make_row

KEYS = 7


def rows(numbers: range, fill: int = 0) -> list[Any]:
    """Events of some subjects in turn."""
    return [make_row(n, subject=f"s{n % KEYS}", data={"number": n, "fill": "x" * fill}) for n in numbers]


@asynccontextmanager
async def stuck(lab: Any, *operations: dict[str, Any]) -> AsyncIterator[sockets.socket]:
    """A socket that sends its operations and then reads nothing, with small buffers."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    host, port = lab.address.split(":")
    await loop.sock_connect(raw, (host, int(port)))
    head = (
        f"GET /ws/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-API-Key: {lab.key}\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(raw, head.encode())
    answer = bytearray()
    while not answer.endswith(b"\r\n\r\n"):
        answer += await loop.sock_recv(raw, 1)
    for operation in operations:
        text = json.dumps(operation).encode()
        await loop.sock_sendall(raw, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # a mask of zeros changes nothing
    try:
        yield raw
    finally:
        raw.close()


async def subscribed(lab: Any, count: int) -> None:
    async with asyncio.timeout(10):
        while lab.parts.views.seats < count:  # noqa: ASYNC110 - nothing in the product announces it
            await asyncio.sleep(0.005)


async def test_one_that_does_not_read_delays_nobody_holds_little_and_gets_the_newest_of_each_thing(open_lab: Any) -> None:
    async with (
        open_lab(live_backlog_events=100, live_memory_bytes=200_000, feed_memory_bytes=300_000) as lab,
        client(lab) as quick,
        stuck(lab, {"op": "subscribe", "id": "s", "feed": "events"}) as raw,
    ):
        await quick.subscribe()
        await subscribed(lab, 2)
        for turn in range(100):
            await lab.append(rows(range(turn * 20, turn * 20 + 20), fill=2_000))
            assert await quick.numbers(20) == list(range(turn * 20, turn * 20 + 20))
            assert lab.parts.views.size_bytes <= 200_000
            assert lab.parts.feeds.size_bytes <= 300_000

        frames = await _read_until(raw, 1999)

    updates = [frame for frame in frames if frame["type"] == "update"]
    seen = [event["data"]["number"] for frame in updates for event in frame["events"]]
    gaps = [frame["gap"] for frame in updates if "gap" in frame]
    assert [gap["reason"] for gap in gaps] == ["conflated"] * len(gaps)
    assert gaps, "four megabytes do not fit into what a socket holds"
    assert seen == sorted(set(seen)), "in order, each at most once"
    assert set(range(1993, 2000)) <= set(seen), "the newest of each subject"
    assert len(seen) + sum(gap["events"] for gap in gaps) == 2000, "what is left out is counted"
    assert updates[-1]["cursor"] == "0:2000"


async def _read_until(raw: sockets.socket, number: int) -> list[dict[str, Any]]:
    """Every frame up to the one that holds the event of a number."""
    loop, received = asyncio.get_running_loop(), bytearray()
    wanted = b'"number":%d,' % number
    async with asyncio.timeout(20):
        while not (wanted in received and received.endswith(b"]}")):
            received += await loop.sock_recv(raw, 1 << 16)
    return _frames(bytes(received))


def _frames(wire: bytes) -> list[dict[str, Any]]:
    found, at = [], 0
    while at < len(wire):
        length, at = wire[at + 1], at + 2
        if length > 125:
            width = 2 if length == 126 else 8
            length, at = int.from_bytes(wire[at : at + width], "big"), at + width
        found.append(json.loads(wire[at : at + length]))
        at += length
    return found


async def test_one_that_was_behind_a_little_gets_everything(open_lab: Any) -> None:
    async with (
        open_lab(live_backlog_events=10_000, feed_memory_bytes=100_000) as lab,
        stuck(lab, {"op": "subscribe", "id": "s", "feed": "events"}) as raw,
    ):
        await subscribed(lab, 1)
        for turn in range(50):
            await lab.append(rows(range(turn * 20, turn * 20 + 20), fill=2_000))
        frames = await _read_until(raw, 999)

    seen = [event["data"]["number"] for frame in frames if frame["type"] == "update" for event in frame["events"]]
    assert seen == list(range(1000))
    assert all("gap" not in frame for frame in frames)


async def test_one_that_takes_nothing_for_too_long_is_cut_and_its_place_is_free(open_lab: Any) -> None:
    async with (
        open_lab(feed_send_timeout_s=0.3) as lab,
        stuck(lab, {"op": "subscribe", "id": "s", "feed": "events"}),
    ):
        await subscribed(lab, 1)
        for _ in range(15):
            await lab.append(rows(range(5), fill=200_000))
        async with asyncio.timeout(10):
            while lab.parts.views.seats:  # noqa: ASYNC110 - nothing in the product announces it
                await asyncio.sleep(0.01)


async def test_a_rate_gives_the_newest_of_each_thing_and_tells_what_it_left_out(lab: Any) -> None:
    async with client(lab) as watcher:
        assert (await watcher.subscribe(rate="1s"))["rate"] == "1s"
        await lab.append(rows(range(3)))
        await lab.append(rows(range(3, 50)))
        frame = await watcher.hear()
        assert [event["data"]["number"] for event in frame["events"]] == list(range(43, 50))
        assert frame["gap"] == {"from": "earliest", "to": "0:50", "reason": "conflated", "events": 43}
        await lab.append(rows(range(50, 52)))
        frame = await watcher.hear()
        assert [event["data"]["number"] for event in frame["events"]] == [50, 51]
        assert "gap" not in frame


async def test_credit_bounds_what_comes_and_nothing_is_left_out(open_lab: Any) -> None:
    async with open_lab(live_backlog_events=10, feed_memory_bytes=20_000) as lab, client(lab) as watcher:
        await watcher.subscribe(credit=5)
        await lab.append(rows(range(400), fill=200))
        assert await watcher.numbers(5) == list(range(5))
        await watcher.ask("ping")
        assert await watcher.hear() == {"type": "pong"}, "without credit nothing comes"
        await watcher.ask("credit", id="a", events=300)
        assert await watcher.numbers(300) == list(range(5, 305))
        await watcher.ask("credit", id="a", events=200)
        await lab.append(rows(range(400, 410)))
        assert await watcher.numbers(105) == list(range(305, 410))


async def test_an_erased_event_is_in_no_snapshot(lab: Any) -> None:
    async with client(lab) as watcher:
        await lab.take([make_row(n, subject=f"s{n}", user_id="ada" if n == 2 else "bob") for n in range(4)])
        await watcher.subscribe("before", snapshot=True)
        assert [event["offset"] for event in (await watcher.hear())["events"]] == [0, 1, 2, 3]
        assert (await lab.admin.post("/api/v1/erasures", json={"user_id": "ada"})).status_code == 200
        await watcher.subscribe("after", snapshot=True)
        assert [event["offset"] for event in (await watcher.hear())["events"]] == [0, 1, 3]


async def test_everybody_with_the_same_view_gets_the_same_bytes_made_once(lab: Any) -> None:
    await _crowd(lab, 200)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_thousand_clients_get_the_same_bytes_made_once(lab: Any) -> None:
    await _crowd(lab, 1000)


async def _crowd(lab: Any, count: int) -> None:
    """Many clients see one view; every tenth one goes away and comes back with its cursor, and misses nothing."""
    lab.app.state.api.sockets._settings = lab.app.state.api.settings.model_copy(update={"websocket_connections_per_ip": 0})
    async with asyncio.timeout(250):
        opened = [client(lab, compression=None, max_queue=None) for _ in range(count)]
        watchers = [await each.__aenter__() for each in opened]
        for watcher in watchers:
            await watcher.subscribe()
        assert (len(lab.parts.views), lab.parts.views.seats, lab.parts.feeds.readers) == (1, count, 1)
        for turn in range(5):
            await lab.append(rows(range(turn * 10, turn * 10 + 10)))
            for watcher in watchers:
                assert await watcher.numbers(10) == list(range(turn * 10, turn * 10 + 10))
        back = watchers[::10]
        for watcher in back:
            await watcher.ask("unsubscribe", id="a")
            assert (await watcher.hear())["cursor"] == "0:50"
        await lab.append(rows(range(50, 60)))
        for watcher in back:
            await watcher.subscribe(cursor="0:50")
        for watcher in watchers:
            assert await watcher.numbers(10) == list(range(50, 60))
        for each in opened:
            await each.__aexit__(None, None, None)


async def test_a_thousand_seats_share_one_text(lab: Any) -> None:
    written: list[bytes] = []

    def write(frame: bytes) -> bool:
        written.append(frame)
        return True

    async with lab.parts.views.events(Seen(kind=TOPIC, topic="events")) as view:
        seats = [Seat(view, name="a", write=write) for _ in range(1000)]
        assert all([await seat.next() is None and seat.join() for seat in seats])
        await lab.append(rows(range(20)))
        async with asyncio.timeout(10):
            while len(written) < 1000:
                await view.moved.wait()
        for seat in seats:
            seat.leave()

    assert len({id(frame) for frame in written}) == 1, "one encoding, however many read it"
