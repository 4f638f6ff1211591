"""What the edge costs: one event a request, decoded and answered, nothing stored.

Peers on the same server (uvicorn, uvloop, httptools), the same decoder and the same answer: a bare ASGI application, which
knows no principal, no limits, no counters, no headers; and a FastAPI route with a Pydantic model.
`python -m bench.edge` prints a table. Uses wrk where it is installed, else a client of its own, which is slower.
"""

import asyncio
import json
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import psutil
import uvicorn

from weft.api.uvicorn_protocol import Connection
from weft.core.event import EventRow

CONNECTIONS: Final = 64
EVENT: Final = msgspec.json.encode(
    {
        "type": "api.request",
        "source": "checkout-service",
        "severity": "medium",
        "user_id": "user-4711",
        "session_id": "7f3c2a9e-8c56-4d39-9b21-a4f1b7c0d1e2",
        "tags": ["web", "eu-central"],
        "data": {"method": "GET", "path": "/api/v1/orders/1234", "status": 200, "response_time": 0.0421, "bytes": 5120},
    }
)
ANSWER: Final = (
    b'{"success":true,"message":"Event created successfully","data":{"event_id":"0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}}'
)
CASES: Final = ("bare", "edge", "edge_quiet", "edge_limited", "fastapi_pydantic")

_decode: Final = msgspec.json.Decoder(EventRow).decode
App = Callable[[Any, Any, Any], Awaitable[None]]


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The floor: decode, answer."""
    if scope["type"] != "http":
        return
    message = await receive()
    _decode(message["body"])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def edge(**options: Any) -> App:
    """The same behind our edge, with a principal."""
    from fastapi import FastAPI

    from weft.api.caller import Caller
    from weft.api.edge import Edge
    from weft.api.hot import HotRequest, HotResponse, HotRoute
    from weft.api.logger import configure_logging
    from weft.api.metrics import Metrics
    from weft.api.rate_limit import RateLimits
    from weft.api.settings import ApiSettings, RateLimit
    from weft.core.clock import SystemClock
    from weft.core.principal import Principal, Scope

    known = {"Bearer bench": Principal(kind="api_key", id="key", name="key", scopes=frozenset({Scope.EVENTS_WRITE}))}

    class Doorman:
        async def authenticate(self, caller: Caller) -> Principal:
            return known[caller.headers["authorization"]]

        async def authenticate_token(self, token: str) -> Principal:
            return known[token]

    async def take(request: HotRequest) -> HotResponse:
        _decode(request.body)
        return HotResponse(201, ANSWER)

    route = HotRoute(
        method="POST", path="/events", scope=Scope.EVENTS_WRITE, limit="events", max_body_bytes=1 << 20, handler=take
    )
    wide = {"events": RateLimit(requests_per_minute=1_000_000_000, per=("ip", "user"))}
    settings = ApiSettings(**{"log_format": "json", "rate_limits": wide, "rate_limit_enabled": False, **options})
    configure_logging(settings, service="bench")
    clock = SystemClock()
    return Edge(
        FastAPI(),
        settings=settings,
        clock=clock,
        authenticator=Doorman(),
        rate_limits=RateLimits(settings=settings, clock=clock),
        metrics=Metrics(),
        hot_routes=[route],
    )


def fastapi_pydantic() -> App:
    """The usual way."""
    from typing import Literal

    from fastapi import FastAPI, Response
    from pydantic import BaseModel

    class Event(BaseModel):
        type: str
        source: str
        severity: Literal["low", "medium", "high", "critical"] = "medium"
        user_id: str | None = None
        session_id: str | None = None
        tags: list[str] = []
        data: dict[str, Any] = {}

    app = FastAPI()

    @app.post("/events", status_code=201)
    async def add_event(event: Event) -> Response:
        return Response(ANSWER, 201, media_type="application/json")

    return app


def make(case: str) -> App:
    """The application of a case."""
    if case == "bare":
        return bare
    if case == "fastapi_pydantic":
        return fastapi_pydantic()
    return edge(
        access_log="off" if case == "edge_quiet" else "all",
        rate_limit_enabled=case == "edge_limited",
    )


def serve(case: str, listener: socket.socket, log: str) -> None:
    """A server process."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    sys.stdout = os.fdopen(1, "w")
    plain = {"log_config": None, "access_log": False, "loop": "uvloop", "lifespan": "off", "proxy_headers": False}
    http: Any = Connection if case.startswith("edge") else "httptools"
    config = uvicorn.Config(make(case), http=http, **plain)
    uvicorn.Server(config).run(sockets=[listener])


def load_with_wrk(port: int, seconds: float) -> dict[str, float]:
    """Requests per second and latencies in milliseconds, as wrk sees them."""
    with TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = {json.dumps(EVENT.decode())}\n'
            'wrk.headers["Content-Type"] = "application/json"\nwrk.headers["Authorization"] = "Bearer bench"\n',
            encoding="utf-8",
        )
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{round(seconds)}s", "--latency", "-s", str(script)]
        told = subprocess.run([*command, f"http://127.0.0.1:{port}/events"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        raise RuntimeError(told)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]  # wrk always prints it
    return {"requests_per_s": rate, "p50_ms": _milliseconds(told, "50%"), "p99_ms": _milliseconds(told, "99%")}


def _milliseconds(told: str, percentile: str) -> float:
    number, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", told).groups()  # type: ignore[union-attr]  # as above
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def load_with_python(port: int, seconds: float) -> dict[str, float]:
    """The same, measured by a small client of our own."""
    import uvloop

    return uvloop.run(_load(port, seconds))


async def _load(port: int, seconds: float) -> dict[str, float]:
    request = (
        b"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(EVENT), EVENT)
    )
    took: list[float] = []
    stop = time.perf_counter() + seconds

    class Client(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport
            self.buffer = b""
            self.ask()

        def ask(self) -> None:
            self.asked = time.perf_counter()
            self.transport.write(request)

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            if not self.buffer.endswith(ANSWER):
                return
            if not self.buffer.startswith(b"HTTP/1.1 201"):
                raise RuntimeError(self.buffer[:200])
            self.buffer = b""
            now = time.perf_counter()
            took.append(now - self.asked)
            if now < stop:
                self.ask()

    loop = asyncio.get_running_loop()
    links = [await loop.create_connection(Client, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds + 0.2)
    for transport, _ in links:
        transport.close()
    took.sort()
    count = len(took)
    return {"requests_per_s": count / seconds, "p50_ms": took[count // 2] * 1e3, "p99_ms": took[count * 99 // 100] * 1e3}


def measure(case: str, seconds: float) -> dict[str, float]:
    """One round of one case."""
    load = load_with_wrk if shutil.which("wrk") else load_with_python
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    with TemporaryDirectory() as folder:
        server = multiprocessing.get_context("fork").Process(target=serve, args=(case, listener, f"{folder}/log"), daemon=True)
        server.start()
        try:
            port = listener.getsockname()[1]
            load(port, 1)
            process = psutil.Process(server.pid)
            before = process.cpu_times()
            result = load(port, seconds)
            after = process.cpu_times()
            spent_s = after.user + after.system - before.user - before.system
            return {**result, "cpu_us_per_request": spent_s * 1e6 / (result["requests_per_s"] * seconds)}
        finally:
            server.terminate()
            server.join()
            listener.close()


def run(rounds: int = 5, seconds: float = 3.0) -> dict[str, Any]:
    """Every case `rounds` times, interleaved; medians, and ratios to the bare application."""
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            found[case].append(measure(case, seconds))
    table: dict[str, Any] = {
        case: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for case, results in found.items()
    }
    bare, ours = table["bare"], table["edge"]
    usual = table["fastapi_pydantic"]
    return {
        "client": "wrk" if shutil.which("wrk") else "python",
        "connections": CONNECTIONS,
        "event_bytes": len(EVENT),
        "rounds": rounds,
        "rows": table,
        "ratios": {
            "requests/s behind the edge ÷ bare ASGI": _ratio(ours["requests_per_s"], bare["requests_per_s"], 0.8),
            "processor of bare ASGI ÷ behind the edge": _ratio(bare["cpu_us_per_request"], ours["cpu_us_per_request"], 0.8),
            "requests/s behind the edge ÷ FastAPI + Pydantic": _ratio(ours["requests_per_s"], usual["requests_per_s"], 3.0),
        },
    }


def _ratio(ours: float, theirs: float, target: float) -> dict[str, float]:
    return {"is": ours / theirs, "target": target}


if __name__ == "__main__":
    result = run(int(sys.argv[1]) if sys.argv[1:] else 5)
    for case, row in result["rows"].items():
        print(
            f"{case:18} {row['requests_per_s']:9.0f} /s   p50 {row['p50_ms']:.2f} ms   p99 {row['p99_ms']:.2f} ms   "
            f"{row['cpu_us_per_request']:.1f} us of processor each"
        )
    for name, ratio in result["ratios"].items():
        print(f"{ratio['is']:.2f} (to reach: {ratio['target']:g})   {name}")
