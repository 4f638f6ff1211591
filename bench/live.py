"""What one message to a thousand WebSockets costs the server, in microseconds of processor for each client.

Cases: a message broadcast as it is; `/ws/live` from the log on, each event appended, flushed, read, filtered and shown to all;
and the peer on the same server, a queue and a task for each client, which sends what `/ws/live` sends without making it from
anything. `python -m bench.live` prints them.
"""

import asyncio
import base64
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import psutil
import uvicorn
import uvloop
from fastapi import FastAPI, WebSocket

from weft.api.broadcast import Broadcast
from weft.api.caller import Caller
from weft.api.edge import Edge
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.api.uvicorn_protocol import Connection, FramingProtocol
from weft.api.websocket import Socket, Sockets
from weft.core.clock import SystemClock
from weft.core.principal import Principal, Scope
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.query.feed import Feeds
from weft.query.live.subscriber import Subscriber
from weft.query.live.views import Views
from weft.query.realtime import RealtimeMetrics
from weft.query.routes.push import until_either_ends
from weft.query.settings import QuerySettings
from weft.testing.factories import make_batch, make_row

CLIENTS: Final = 1000
EVERY_S: Final = 0.05
CASES: Final = ("broadcast", "live", "queue_and_task")
SUBSCRIBE: Final = b'{"op":"subscribe","id":"a","feed":"events","filter":"load > 0"}'
FIGURES: Final = {"load": 0.25, "temperature": 21.5, "host": "hplc-1"}
EVENT: Final = msgspec.json.encode(
    {
        "type": "update",
        "id": "a",
        "cursor": "0:1041",
        "events": [
            {
                "id": "019f4c1e-7a00-7000-8000-000000000000",
                "type": "custom",
                "source": "bench",
                "timestamp": "2026-01-31T12:00:00.000000Z",
                "data": FIGURES,
                "severity": "medium",
                "tags": [],
                "subject": None,
                "user_id": None,
                "session_id": None,
                "correlation_id": None,
                "metadata": {},
                "received_at": "2026-01-31T12:00:00.000000Z",
                "topic": "events",
                "partition": 0,
                "offset": 1040,
            }
        ],
    }
)
MARK: Final = b'"timestamp"'
"""Stands in every message once, and in nothing else that is sent."""
MESSAGE: Final = msgspec.json.encode(
    {"metrics": {"events_per_second": 150.5, "active_users": 42, "error_rate": 0.02}, "timestamp": "2026-01-31T12:00:00Z"}
)
_ANYONE: Final = Principal(kind="anonymous", id="anonymous", name="anonymous", scopes=frozenset(Scope))


class Doorman:
    """Lets everybody in."""

    async def authenticate(self, caller: Caller) -> Principal:
        return _ANYONE

    async def authenticate_token(self, token: str) -> Principal:
        return _ANYONE


class Feed:
    """Sends for ever, from when every client is there: shaking hands with a thousand is not what is measured."""

    def __init__(self, case: str) -> None:
        self._broadcast = Broadcast()
        self._queues: set[asyncio.Queue[str]] = set()
        self._present = 0
        self._sending: asyncio.Task[None] | None = None
        self._attend = self._attend_broadcast if case == "broadcast" else self._attend_queue

    async def talk(self, socket: Socket) -> None:
        """Serve one client."""
        self._present += 1
        if self._present == CLIENTS:
            self._sending = asyncio.create_task(self._send_for_ever())
        await self._attend(socket)

    async def _send_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self._broadcast.publish(MESSAGE)
            for queue in self._queues:
                queue.put_nowait(EVENT.decode())

    async def _attend_broadcast(self, socket: Socket) -> None:
        with self._broadcast.joined(socket):
            async for _ in socket:
                pass

    async def _attend_queue(self, socket: Socket) -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.add(queue)

        async def pump() -> None:
            while True:
                await socket.send(await queue.get())

        pumping = asyncio.create_task(pump())
        async for _ in socket:
            pass
        pumping.cancel()
        self._queues.discard(queue)


class LiveFeed:
    """The product from the log on: one event appended at a time, from when every client has subscribed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[asyncio.Task[Any]] = []
        self._views: asyncio.Future[Views] | None = None

    async def talk(self, socket: Socket) -> None:
        """Serve one client."""
        if self._views is None:
            self._views = asyncio.get_running_loop().create_future()
            self._running.append(asyncio.create_task(self._run(self._views)))
        subscriber = Subscriber(socket, await asyncio.shield(self._views))
        await until_either_ends(subscriber.push(), subscriber.listen())

    async def _run(self, ready: "asyncio.Future[Views]") -> None:
        clock, settings = SystemClock(), QuerySettings()
        async with SqliteLog(f"sqlite://{self._folder}", settings=LogSettings(partitions=1), clock=clock) as log:
            feeds = Feeds(log, clock, settings)
            views = Views(feeds, cast("RealtimeMetrics", None), settings)
            for worker in (feeds, views):
                started = asyncio.Event()
                self._running.append(asyncio.create_task(worker.run(started.set)))
                await started.wait()
            ready.set_result(views)
            while True:
                await asyncio.sleep(EVERY_S)
                if views.seats < CLIENTS:
                    continue
                await log.append(make_batch([make_row(data=FIGURES, source="bench")], received_at_us=clock.now_us()))


def make(case: str) -> Any:
    """The application of a case."""
    settings = ApiSettings(access_log="off", websocket_connections_per_ip=0)
    clock, metrics = SystemClock(), Metrics()
    sockets = Sockets(settings=settings, clock=clock, authenticator=Doorman(), metrics=metrics)
    app = FastAPI()
    feed = LiveFeed(Path(tempfile.mkdtemp(prefix="weft-bench-"))) if case == "live" else Feed(case)

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await sockets.serve(websocket, Scope.EVENTS_READ, feed.talk)

    return Edge(
        app,
        settings=settings,
        clock=clock,
        authenticator=Doorman(),
        rate_limits=RateLimits(settings=settings, clock=clock),
        metrics=metrics,
    )


def serve(case: str, listener: socket.socket) -> None:
    """A server process."""
    options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "ws_per_message_deflate": False}
    config = uvicorn.Config(make(case), http=Connection, ws=FramingProtocol, loop="uvloop", **options)
    uvicorn.Server(config).run(sockets=[listener])


class Listener(asyncio.Protocol):
    """A client that counts messages; it says `first` once it is connected."""

    def __init__(self, count: Callable[[int], None], first: bytes) -> None:
        self._count = count
        self._first = first
        self._transport: Any = None
        self.has_heard = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16))
        transport.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n" % key
        )

    def data_received(self, data: bytes) -> None:
        if self._first and b"\r\n\r\n" in data:
            frame = bytes([0x81, 0x80 | len(self._first), 0, 0, 0, 0])  # a mask of zeros changes nothing
            self._transport.write(frame + self._first)
            self._first = b""
        messages = data.count(MARK)
        if messages:
            self.has_heard.set()
            self._count(messages)


async def listen(case: str, port: int, server: psutil.Process, seconds: float) -> dict[str, float]:
    """Connect all clients, then measure."""
    received = [0]

    def count(messages: int) -> None:
        received[0] += messages

    loop = asyncio.get_running_loop()
    first = SUBSCRIBE if case == "live" else b""
    links = [await loop.create_connection(lambda: Listener(count, first), "127.0.0.1", port) for _ in range(CLIENTS)]
    for _, listener in links:
        await listener.has_heard.wait()
    await asyncio.sleep(1.0)
    before, started = server.cpu_times(), received[0]
    await asyncio.sleep(seconds)
    after, ended = server.cpu_times(), received[0]
    for transport, _ in links:
        transport.close()
    messages = ended - started
    spent_s = after.user + after.system - before.user - before.system
    return {"messages_per_s": messages / seconds, "cpu_us_per_message": spent_s * 1e6 / messages}


def measure(case: str, seconds: float) -> dict[str, float]:
    """One round of one case."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = multiprocessing.get_context("fork").Process(target=serve, args=(case, listener), daemon=True)
    server.start()
    try:
        return uvloop.run(listen(case, listener.getsockname()[1], psutil.Process(server.pid), seconds))
    finally:
        server.terminate()
        server.join()
        listener.close()


def run(rounds: int = 3, seconds: float = 4.0) -> dict[str, Any]:
    """Every case `rounds` times, interleaved; medians, and the ratios of their costs."""
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            found[case].append(measure(case, seconds))
    rows: dict[str, Any] = {
        case: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for case, results in found.items()
    }
    peer = rows["queue_and_task"]["cpu_us_per_message"]
    ratios = {case: rows[case]["cpu_us_per_message"] / peer for case in CASES if case != "queue_and_task"}
    return {
        "clients": CLIENTS,
        "message_bytes": len(EVENT),
        "rounds": rounds,
        "rows": rows,
        "ratios": {
            f"processor a message, {case} ÷ queue and task": {"is": ratio, "target": 0.5, "at_most": True}
            for case, ratio in ratios.items()
        },
    }


if __name__ == "__main__":
    result = run(int(sys.argv[1]) if sys.argv[1:] else 3)
    for case, row in result["rows"].items():
        print(f"{case:15} {row['messages_per_s']:9.0f} messages/s   {row['cpu_us_per_message']:.2f} us of processor each")
    for name, measured in result["ratios"].items():
        print(f"{measured['is']:.2f} (to reach: at most {measured['target']:g})   {name}")
