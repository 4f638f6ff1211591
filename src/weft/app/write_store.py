"""From the log into the store: who follows, who commits, and where poison goes."""

from typing import Final

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.position import Positions
from weft.log.dead_letter import set_aside
from weft.log.port import Log
from weft.store.port import EventStore
from weft.store.writer import StoreWriter

GROUP: Final = "store"


def write_store(log: Log, store: EventStore, start: Positions, clock: Clock) -> StoreWriter:
    """The worker that fills a store from every topic of the log, from what the store has flushed on."""

    async def commit(positions: Positions) -> None:
        await log.commit(GROUP, positions)

    async def dead_letter(batch: LogBatch, attempts: int, reason: str) -> None:
        await set_aside(log, batch, attempts=attempts, reason=reason, clock=clock)

    return StoreWriter(store, log.follow(GROUP, ["*"], start=start), commit=commit, dead_letter=dead_letter)
