"""WS /ws: event frames are acknowledged after they are durable, in order, and a flood is felt by its sender."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from weft.core import times
from weft.core.batch import Batch
from weft.core.errors import StorageFull
from weft.log.port import Appended
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog

GOOD = {"authorization": "Bearer good"}


@asynccontextmanager
async def connected(doors: Any, headers: dict[str, str] | None = None) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://127.0.0.1:{doors.port}/ws", additional_headers=GOOD if headers is None else headers) as client:
        yield client


async def ask(client: ClientConnection, frame: Any) -> dict[str, Any]:
    await client.send(frame if isinstance(frame, str) else json.dumps(frame))
    return json.loads(await client.recv())


def click(**data: Any) -> dict[str, Any]:
    return {"type": "event", "data": {"event_type": "user.activity", "user_id": "u-1", "action": "open", **data}}


@pytest.mark.contract("SF-66")
@pytest.mark.contract("SF-67")
@pytest.mark.contract("SF-68")
@pytest.mark.contract("SF-D18")
@pytest.mark.contract("SF-D19")
async def test_an_event_frame_is_stored_and_acknowledged(open_doors: Any) -> None:
    doors = await open_doors()
    async with connected(doors) as client:
        ack = await ask(client, click(page="/start"))
    assert ack["type"] == "ack"
    assert uuid.UUID(ack["event_id"]).version == 7
    assert times.parse(ack["timestamp"]) == doors.clock.now_us()
    assert (ack["durability"], ack["repeat"]) == ("fsync", False)
    (row,) = await doors.stored()
    assert (row.type, row.user_id, row.source) == ("user.activity", "u-1", "websocket/key-1")
    assert json.loads(bytes(row.data)) == {"action": "open", "page": "/start"}
    assert await doors.ids() == [ack["event_id"]]


@pytest.mark.contract("SF-D18")
async def test_a_frame_without_a_type_is_custom_and_one_with_a_type_is_a_whole_event(open_doors: Any) -> None:
    doors = await open_doors()
    async with connected(doors) as client:
        await ask(client, {"type": "event", "data": {"action": "open"}})
        whole = {"type": "error", "source": "web-app", "id": "e-1", "severity": "high", "data": {"code": 7}}
        ack = await ask(client, {"type": "event", "data": whole})
        await ask(client, {"type": "event", "data": {"type": "custom", "data": {"x": 1}}})
        again = await ask(client, {"type": "event", "data": whole})
    assert (ack["event_id"], again["event_id"], again["repeat"]) == ("e-1", "e-1", True)
    rows = await doors.stored()
    assert [(row.type, row.source) for row in rows] == [
        ("custom", "websocket/key-1"),
        ("error", "web-app"),
        ("custom", "websocket/key-1"),
    ]
    assert [json.loads(bytes(row.data)) for row in rows] == [{"action": "open"}, {"code": 7}, {"x": 1}]


@pytest.mark.contract("SF-D19")
@pytest.mark.parametrize(
    ("frame", "name", "field"),
    [
        ({"type": "event", "data": {"event_type": "no.such"}}, "ValidationError", "type"),
        ({"type": "event", "data": {"event_type": 3}}, "ValidationError", "type"),
        ({"type": "event", "data": {"type": "custom", "soruce": "x"}}, "ValidationError", "soruce"),
        ({"type": "event", "data": [1]}, "ValidationError", "data"),
        ({"type": "event"}, "ValidationError", "data"),
        ({"type": "evnt", "data": {}}, "ValidationError", "type"),
        ("{", "BadRequest", None),
        ('{"type":"event","data":{"x":1e999}}', "ValidationError", "data"),
        ("7", "ValidationError", None),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_frame_is_answered_and_the_connection_stays(open_doors: Any, frame: Any, name: str, field: str) -> None:
    doors = await open_doors()
    async with connected(doors) as client:
        error = await ask(client, frame)
        assert (error["type"], error["error"]) == ("error", name)
        assert error["details"].get("field") == field
        assert error["message"]
        assert await ask(client, {"type": "ping"}) == {"type": "pong"}
        assert (await ask(client, click()))["type"] == "ack"


@pytest.mark.contract("SF-D20")
async def test_who_is_not_known_by_the_first_frame_is_turned_away(open_doors: Any) -> None:
    doors = await open_doors()
    async with connected(doors, {"origin": "https://elsewhere.example"}) as client:
        assert await ask(client, {"type": "auth", "token": "good"}) == {"type": "authenticated"}
        assert (await ask(client, click()))["type"] == "ack"
    async with connected(doors, {"origin": "https://elsewhere.example"}) as client:
        assert (await ask(client, {"type": "auth", "token": "bad"}))["error"] == "AuthenticationError"
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert len(await doors.stored()) == 1


async def test_frames_in_flight_are_acknowledged_in_order_and_stored_together(open_doors: Any) -> None:
    doors = await open_doors()
    async with connected(doors) as client:
        for number in range(200):
            bad = number % 50 == 7
            await client.send(json.dumps(click(number=number, **({"event_type": "no.such"} if bad else {}))))
        answers = [json.loads(await client.recv()) for _ in range(200)]
    assert [answer["type"] for answer in answers] == ["error" if number % 50 == 7 else "ack" for number in range(200)]
    ids = [answer["event_id"] for answer in answers if answer["type"] == "ack"]
    assert ids == await doors.ids()
    numbers = [json.loads(bytes(row.data))["number"] for row in await doors.stored()]
    assert numbers == [number for number in range(200) if number % 50 != 7]
    assert len(await doors.batches()) < 196


class HeldLog(SqliteLog):
    """A log that makes nothing durable until it is let go."""

    def hold(self) -> None:
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    async def append(self, batch: Batch) -> Appended:
        self.reached.set()
        await self.gate.wait()
        return await super().append(batch)


@asynccontextmanager
async def held_log(folder: Any, clock: Any) -> AsyncIterator[HeldLog]:
    async with HeldLog(f"sqlite://{folder}/held", settings=LogSettings(), clock=clock) as log:
        log.hold()
        try:
            yield log
        finally:
            log.gate.set()


async def test_a_flood_is_not_read_beyond_the_bound_while_the_log_is_slow(open_doors: Any, tmp_path: Any, clock: Any) -> None:
    count, page = 100, "x" * 200_000
    async with held_log(tmp_path, clock) as log:
        doors = await open_doors(log, frame_queue_bytes=8 * 1024)
        url = f"ws://127.0.0.1:{doors.port}/ws"
        async with connect(url, additional_headers=GOOD, compression=None, close_timeout=1) as client:
            sending = asyncio.create_task(send_all(client, json.dumps(click(page=page)), count))
            await log.reached.wait()
            done, _ = await asyncio.wait([sending], timeout=1)
            log.gate.set()
            assert not done  # the sender waited: nobody reads what cannot be stored
            for _ in range(count):
                assert json.loads(await client.recv())["type"] == "ack"
            await sending
        assert len(await doors.ids()) == count


async def send_all(client: ClientConnection, frame: str, count: int) -> None:
    for _ in range(count):
        await client.send(frame)


async def test_what_was_taken_from_a_client_that_left_is_stored(open_doors: Any, tmp_path: Any, clock: Any) -> None:
    async with held_log(tmp_path, clock) as log:
        doors = await open_doors(log)
        async with connected(doors) as client:
            await client.send(json.dumps(click()))
            await log.reached.wait()
            client.transport.abort()
        log.gate.set()
        assert (await doors.post("/events", {"type": "custom", "source": "s"})).status_code == 201
        assert len(await doors.stored()) == 2


class FullLog(SqliteLog):
    """A log on a full disk."""

    async def append(self, batch: Batch) -> Appended:
        raise StorageFull("the disk is full", retry_after_s=30)


async def test_a_full_disk_is_told_instead_of_an_ack(open_doors: Any, tmp_path: Any, clock: Any) -> None:
    async with FullLog(f"sqlite://{tmp_path}/full", settings=LogSettings(), clock=clock) as log:
        doors = await open_doors(log)
        async with connected(doors) as client:
            assert (await ask(client, click()))["error"] == "StorageFull"
            assert await ask(client, {"type": "ping"}) == {"type": "pong"}
