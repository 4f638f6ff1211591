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


async def write_store(log: Log, store: EventStore, clock: Clock) -> StoreWriter:
    """The worker that fills a store from every topic of the log.

    It begins where the store's last flush ended. On a log that machines share it begins where the group stands instead, which
    is never further, and shares the group's partitions with the other processes that play storage.
    """

    async def commit(positions: Positions) -> None:
        await log.commit(GROUP, positions)

    async def dead_letter(batch: LogBatch, attempts: int, reason: str) -> None:
        await set_aside(log, batch, attempts=attempts, reason=reason, clock=clock)

    start = None if log.reach == "network" else await store.flushed()
    return StoreWriter(store, log.follow(GROUP, ["*"], start=start), commit=commit, dead_letter=dead_letter)
