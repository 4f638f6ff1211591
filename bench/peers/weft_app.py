"""The ingest doors alone, served as `weft start` serves them: edge, hot routes and a log.

`python -m bench.peers.weft_app PORT`; PEER_LOG is a folder, the address of a log, or `discard` for a log that throws away.
"""

import gc
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI

from weft.api.caller import Caller
from weft.api.edge import Edge
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.api.uvicorn_protocol import Connection, FramingProtocol
from weft.core.adapters import load_adapter
from weft.core.batch import Batch, LogBatch
from weft.core.clock import SystemClock
from weft.core.erasure import Erasure
from weft.core.position import Positions, TopicPartition
from weft.core.principal import Principal, Scope
from weft.ingest.parts import IngestParts
from weft.ingest.routes import hot_routes
from weft.ingest.settings import IngestSettings
from weft.log.port import Appended, Log, LogState, Retention
from weft.log.settings import LogSettings

KNOWN = {"Bearer bench": Principal(kind="api_key", id="key", name="key", scopes=frozenset({Scope.EVENTS_WRITE}))}


class Doorman:
    """Knows one key, as the authenticator's cache does."""

    async def authenticate(self, caller: Caller) -> Principal:
        return KNOWN[caller.headers["authorization"]]

    async def authenticate_token(self, token: str) -> Principal:
        return KNOWN[token]


class DiscardLog(Log):
    """Throws everything away at once: what is left is reading, checking and answering."""

    reach: Literal["process", "host", "network"] = "process"

    def __init__(self) -> None:
        self._next_offset = 0

    async def __aexit__(self, *_: object) -> None:
        pass

    async def identity(self) -> str:
        return "nowhere"

    async def append(self, batch: Batch) -> Appended:
        offset = self._next_offset
        self._next_offset += batch.count
        return Appended(0, offset, "fsync")

    async def tick(self, topic: str, time_us: int) -> None:
        raise NotImplementedError

    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = 0) -> Sequence[LogBatch]:
        raise NotImplementedError

    def follow(self, group: str, topics: Sequence[str], *, start: Positions | None = None) -> AsyncIterator[LogBatch]:
        raise NotImplementedError

    async def commit(self, group: str, positions: Positions) -> None:
        raise NotImplementedError

    async def trim(self, retention: Retention) -> int:
        raise NotImplementedError

    async def erase(self, erasure: Erasure) -> int:
        raise NotImplementedError

    async def state(self) -> LogState:
        raise NotImplementedError


class App:
    """Opens the log when the server starts and closes it when it stops."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._edge: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._edge(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._open()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._stack.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _open(self) -> None:
        gc.freeze()  # as `weft start` does: what stands at the start is not looked through again
        gc.set_threshold(50_000, 20, 100)
        sys.setswitchinterval(0.0005)
        clock, metrics = SystemClock(), Metrics()
        log = _log(os.environ["PEER_LOG"], clock)
        await self._stack.enter_async_context(log)
        parts = IngestParts.build(IngestSettings(host_source=False), log=log, clock=clock, metrics=metrics)
        settings = ApiSettings(rate_limit_enabled=False, access_log="failures")
        self._edge = Edge(
            FastAPI(),
            settings=settings,
            clock=clock,
            authenticator=Doorman(),
            rate_limits=RateLimits(settings=settings, clock=clock),
            metrics=metrics,
            hot_routes=hot_routes(parts),
        )


def _log(place: str, clock: SystemClock) -> Log:
    if place == "discard":
        return DiscardLog()
    url = place if "://" in place else f"sqlite://{place}"
    return load_adapter("log", url)(url, settings=LogSettings(), clock=clock)


if __name__ == "__main__":
    uvicorn.run(
        App(),
        port=int(sys.argv[1]),
        http=Connection,
        ws=FramingProtocol,
        loop="uvloop",
        lifespan="on",
        proxy_headers=False,
        log_level="error",
        access_log=False,
    )
