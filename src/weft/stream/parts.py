"""What the stream room needs at run time, put together once by the composition root."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Self, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from weft.api.metrics import Metrics
from weft.auth.witness import Witness, nobody
from weft.core.clock import Clock
from weft.core.verdict import Check
from weft.db.database import Database
from weft.log.port import Log
from weft.store.port import EventStore
from weft.stream.catalogue import Catalogue
from weft.stream.checks import stream_checks
from weft.stream.runner import StreamRunner
from weft.stream.settings import StreamSettings
from weft.stream.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamParts:
    """Collaborators of the routes, at `app.state.stream`. `runner` is a worker the process has to run."""

    log: Log
    store: EventStore
    database: Database
    catalogue: Catalogue
    clock: Clock
    settings: StreamSettings
    tally: Tally
    runner: StreamRunner
    backtests: asyncio.Semaphore

    @classmethod
    def of(
        cls,
        *,
        log: Log,
        store: EventStore,
        database: Database,
        clock: Clock,
        settings: StreamSettings,
        metrics: Metrics,
        witness: Witness = nobody,
    ) -> Self:
        """The parts over a log, a store and a database."""
        catalogue = Catalogue(database, log, clock, limit=settings.query_limit, witness=witness)
        tally = Tally(metrics)
        return cls(
            log=log,
            store=store,
            database=database,
            catalogue=catalogue,
            clock=clock,
            settings=settings,
            tally=tally,
            runner=StreamRunner(log=log, database=database, catalogue=catalogue, clock=clock, settings=settings, tally=tally),
            backtests=asyncio.Semaphore(settings.backtests),
        )

    def own_checks(self) -> dict[str, Check]:
        """The checks of this room, for the register."""
        return stream_checks(self.tally, self.clock, self.settings)


def stream_parts(connection: HTTPConnection) -> StreamParts:
    """The parts of the application that serves this request."""
    return cast("StreamParts", connection.app.state.stream)


Parts = Annotated[StreamParts, Depends(stream_parts)]
"""For a route's signature."""
