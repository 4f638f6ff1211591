"""What one message to a thousand WebSockets costs the server, in microseconds of processor for each client.

Peer on the same server: the usual queue and task for each client. `python -m bench.live` prints both.
"""

import asyncio
import base64
import multiprocessing
import os
import socket
import statistics
import sys
from collections.abc import Callable
from typing import Any, Final

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

CLIENTS: Final = 1000
EVERY_S: Final = 0.05
CASES: Final = ("broadcast", "queue_and_task")
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
    """Sends for ever, from when the first client came."""

    def __init__(self, case: str) -> None:
        self._broadcast = Broadcast()
        self._queues: set[asyncio.Queue[str]] = set()
        self._sending: asyncio.Task[None] | None = None
        self._attend = self._attend_broadcast if case == "broadcast" else self._attend_queue

    async def talk(self, socket: Socket) -> None:
        """Serve one client."""
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_for_ever())
        await self._attend(socket)

    async def _send_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self._broadcast.publish(MESSAGE)
            for queue in self._queues:
                queue.put_nowait(MESSAGE.decode())

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


def make(case: str) -> Any:
    """The application of a case."""
    settings = ApiSettings(access_log="off", websocket_connections_per_ip=0)
    clock, metrics = SystemClock(), Metrics()
    sockets = Sockets(settings=settings, clock=clock, authenticator=Doorman(), metrics=metrics)
    app, feed = FastAPI(), Feed(case)

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
    """A client that counts bytes."""

    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count

    def connection_made(self, transport: Any) -> None:
        key = base64.b64encode(os.urandom(16))
        transport.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n" % key
        )

    def data_received(self, data: bytes) -> None:
        self._count(len(data))


async def listen(port: int, server: psutil.Process, seconds: float) -> dict[str, float]:
    """Connect all clients, then measure."""
    received = [0]

    def count(size: int) -> None:
        received[0] += size

    loop = asyncio.get_running_loop()
    links = [await loop.create_connection(lambda: Listener(count), "127.0.0.1", port) for _ in range(CLIENTS)]
    await asyncio.sleep(1.0)
    before, started = server.cpu_times(), received[0]
    await asyncio.sleep(seconds)
    after, ended = server.cpu_times(), received[0]
    for transport, _ in links:
        transport.close()
    messages = (ended - started) / (len(MESSAGE) + 2)
    spent_s = after.user + after.system - before.user - before.system
    return {"messages_per_s": messages / seconds, "cpu_us_per_message": spent_s * 1e6 / messages}


def measure(case: str, seconds: float) -> dict[str, float]:
    """One round of one case."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = multiprocessing.get_context("fork").Process(target=serve, args=(case, listener), daemon=True)
    server.start()
    try:
        return uvloop.run(listen(listener.getsockname()[1], psutil.Process(server.pid), seconds))
    finally:
        server.terminate()
        server.join()
        listener.close()


def run(rounds: int = 3, seconds: float = 4.0) -> dict[str, Any]:
    """Both cases `rounds` times, interleaved; medians, and the ratio of their costs."""
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            found[case].append(measure(case, seconds))
    rows: dict[str, Any] = {
        case: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for case, results in found.items()
    }
    ratio = rows["broadcast"]["cpu_us_per_message"] / rows["queue_and_task"]["cpu_us_per_message"]
    return {
        "clients": CLIENTS,
        "message_bytes": len(MESSAGE),
        "rounds": rounds,
        "rows": rows,
        "ratios": {"processor a message, broadcast ÷ queue and task": {"is": ratio, "target": 0.5, "at_most": True}},
    }


if __name__ == "__main__":
    result = run(int(sys.argv[1]) if sys.argv[1:] else 3)
    for case, row in result["rows"].items():
        print(f"{case:15} {row['messages_per_s']:9.0f} messages/s   {row['cpu_us_per_message']:.2f} us of processor each")
    for name, measured in result["ratios"].items():
        print(f"{measured['is']:.2f} (to reach: at most {measured['target']:g})   {name}")
