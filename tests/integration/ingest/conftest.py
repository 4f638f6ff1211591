"""The doors as a client meets them: the edge, the hot routes and a log on disk, behind a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from weft.api.caller import Caller
from weft.api.edge import Edge
from weft.api.health import HealthRegister
from weft.api.metrics import Metrics
from weft.api.openapi import OpenApi
from weft.api.parts import ApiParts
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.api.websocket import Sockets
from weft.auth.proof import Proof
from weft.auth.signature import prove
from weft.core.batch import LogBatch
from weft.core.errors import Unauthenticated
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.core.principal import Principal, Scope
from weft.ingest.parts import IngestParts
from weft.ingest.routes import hot_routes, router
from weft.ingest.settings import IngestSettings
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock

WRITER = Principal(
    kind="api_key",
    id="key-1",
    name="a device",
    scopes=frozenset({Scope.EVENTS_WRITE, Scope.EVENTS_READ}),
    requests_per_minute=0,
)


class Gatekeeper:
    """Knows one token; whoever shows none at all is the writer, as on a loopback address."""

    async def authenticate(self, caller: Caller) -> Principal:
        shown = caller.headers.get("authorization")
        return WRITER if shown is None else await self.authenticate_token(shown.removeprefix("Bearer "))

    async def authenticate_token(self, token: str) -> Principal:
        if token != "good":
            raise Unauthenticated("the token is not known")
        return WRITER


@dataclass
class Doors:
    """A running server, and a way to see what it wrote."""

    client: httpx.AsyncClient
    log: Log
    clock: ManualClock
    parts: IngestParts
    metrics: Metrics
    port: int

    async def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """Post bytes as they are, anything else as JSON."""
        if isinstance(body, bytes):
            headers = {"content-type": "application/json", **options.pop("headers", {})}
            return await self.client.post(path, content=body, headers=headers, **options)
        return await self.client.post(path, json=body, **options)

    async def batches(self, topic: str = "events") -> list[LogBatch]:
        """Every batch in the log."""
        return list(await self.log.read(TopicPartition(topic, 0), 0, max_bytes=2**30))

    async def stored(self, topic: str = "events") -> list[EventRow]:
        """Every event in the log."""
        return [row for batch in await self.batches(topic) for row in batch.event_rows]

    async def ids(self, topic: str = "events") -> list[str]:
        """The id of every event in the log."""
        return [event_id for batch in await self.batches(topic) for event_id in batch.ids]


OpenDoors = Callable[..., Awaitable[Doors]]


@asynccontextmanager
async def open_log(folder: Path, clock: ManualClock) -> AsyncIterator[Log]:
    async with SqliteLog(f"sqlite://{folder}/log", settings=LogSettings(), clock=clock) as log:
        yield log


def assemble(log: Log, clock: ManualClock, settings: IngestSettings) -> tuple[Edge, IngestParts, Metrics]:
    """The application, as the composition root puts it together."""
    api_settings = ApiSettings(rate_limit_enabled=False, access_log="off")
    metrics = Metrics()
    parts = IngestParts.build(settings, log=log, clock=clock, metrics=metrics)
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    keeper = Gatekeeper()
    routes = hot_routes(parts)
    app.dependency_overrides[prove] = lambda: Proof(principal=WRITER, method="token")
    app.state.ingest = parts
    app.state.api = ApiParts(
        settings=api_settings,
        metrics=metrics,
        health=HealthRegister(service="ingestion", version="0", clock=clock, timeout_s=1),
        sockets=Sockets(settings=api_settings, clock=clock, authenticator=keeper, metrics=metrics),
        openapi=OpenApi(app, routes),
    )
    edge = Edge(
        app,
        settings=api_settings,
        clock=clock,
        authenticator=keeper,
        rate_limits=RateLimits(settings=api_settings, clock=clock),
        metrics=metrics,
        hot_routes=routes,
    )
    return edge, parts, metrics


@asynccontextmanager
async def serving(edge: Edge) -> AsyncIterator[int]:
    """A server on a free loopback port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(edge, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]  # a client waits in the backlog until the server accepts it
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def open_doors(tmp_path: Path, clock: ManualClock) -> AsyncIterator[OpenDoors]:
    """A function that starts the doors with the given settings."""
    async with AsyncExitStack() as stack:

        async def start(log: Log | None = None, **settings: Any) -> Doors:
            opened = log or await stack.enter_async_context(open_log(tmp_path, clock))
            edge, parts, metrics = assemble(opened, clock, IngestSettings(**settings))
            port = await stack.enter_async_context(serving(edge))
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
            return Doors(client, opened, clock, parts, metrics, port)

        yield start
