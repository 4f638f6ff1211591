"""What the query room needs at run time, put together once by the composition root."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Self, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from weft.core.clock import Clock
from weft.core.verdict import Check, CheckRegister
from weft.log.port import Log
from weft.query.checks import checks
from weft.query.dead import DeadIndex
from weft.query.erase import Eraser
from weft.query.feed import Feeds
from weft.query.gate import Gate
from weft.query.live.views import Views
from weft.query.live_metrics import LiveMetrics
from weft.query.realtime import RealtimeMetrics
from weft.query.settings import QuerySettings
from weft.store.port import EventStore


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParts:
    """Collaborators of the routes, at `app.state.query`. `feeds` and `views` are workers the process has to run."""

    log: Log
    store: EventStore
    checks: CheckRegister
    clock: Clock
    settings: QuerySettings
    gate: Gate
    realtime: RealtimeMetrics
    live_metrics: LiveMetrics
    feeds: Feeds
    views: Views
    eraser: Eraser
    dead: DeadIndex
    replaying: asyncio.Lock

    @classmethod
    def of(cls, *, log: Log, store: EventStore, checks: CheckRegister, clock: Clock, settings: QuerySettings) -> Self:
        """The parts over a log, a store and the process's checks."""
        gate = Gate(settings)
        realtime = RealtimeMetrics(store, gate, clock, settings)
        feeds = Feeds(log, clock, settings)
        return cls(
            log=log,
            store=store,
            checks=checks,
            clock=clock,
            settings=settings,
            gate=gate,
            realtime=realtime,
            live_metrics=LiveMetrics(realtime, settings),
            feeds=feeds,
            views=Views(feeds, realtime, settings),
            eraser=Eraser(log, store, clock, settings),
            dead=DeadIndex(log),
            replaying=asyncio.Lock(),
        )

    def drain(self) -> None:
        """End every feed, with the place to go on from, before a server waits for its connections to finish."""
        self.views.close()
        self.feeds.close()

    def own_checks(self) -> dict[str, Check]:
        """The checks of this room, for the register."""
        return checks(self.log, self.store, self.clock, self.settings, self.dead)


def query_parts(connection: HTTPConnection) -> QueryParts:
    """The parts of the application that serves this request or WebSocket."""
    return cast("QueryParts", connection.app.state.query)


Parts = Annotated[QueryParts, Depends(query_parts)]
"""For a route's signature."""
