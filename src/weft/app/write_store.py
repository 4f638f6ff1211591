"""From the log into the store: who follows, who commits, and where poison goes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.errors import Conflict, Unavailable
from weft.core.position import Positions, TopicPartition
from weft.log.dead_letter import set_aside
from weft.log.port import Log
from weft.store.port import EventStore
from weft.store.writer import StoreWriter

logger = structlog.get_logger(__name__)

GROUP: Final = "store"
_LONGEST_PAUSE_S: Final = 1.0


async def write_store(log: Log, store: EventStore, clock: Clock) -> StoreWriter:
    """The worker that fills a store from every topic of the log.

    It begins where the store's last flush ended. On a log that machines share it begins where the group stands instead, which
    is never further, and shares the group's partitions with the other processes that play storage.
    Raises Conflict where the store was filled from another log, or the log is not where the store left it.
    """
    await check_belonging(log, store)

    async def commit(positions: Positions) -> None:
        await log.commit(GROUP, _of_the_log(positions))

    async def dead_letter(batch: LogBatch, attempts: int, reason: str) -> None:
        await set_aside(log, batch, attempts=attempts, reason=reason, clock=clock)

    return StoreWriter(store, follow_for(store, log), commit=commit, dead_letter=dead_letter)


async def follow_for(store: EventStore, log: Log) -> AsyncGenerator[LogBatch, None]:
    """What a store has not taken yet, endlessly. Where the log goes away it is followed anew, from what is flushed by then."""
    while True:
        start = None if log.reach == "network" else _of_the_log(await store.flushed())
        try:
            async with aclosing(log.follow(GROUP, ["*"], start=start)) as batches:
                async for batch in batches:
                    yield batch
        except Unavailable as away:
            logger.warning("store_follow_delayed", reason=away.message)
            await asyncio.sleep(min(away.retry_after_s, _LONGEST_PAUSE_S))
        else:
            return


async def check_belonging(log: Log, store: EventStore) -> None:
    """Bind the store to the log. Raises Conflict where their positions do not fit: events would be missing, and nobody told."""
    await store.bind(await log.identity())
    held = await store.flushed()
    for state in (await log.state()).partitions:
        place = TopicPartition(state.topic, state.partition)
        position, group = held.get(place, 0), state.positions.get(GROUP, 0)
        if position > state.end_offset:
            raise Conflict(
                f"the store has taken {_name(place)} up to offset {position}, but the log ends at {state.end_offset}: the log "
                "is older than the store; restore both from the same backup, or choose an empty store and let the log fill it",
                topic=place.topic,
                partition=place.partition,
            )
        if log.reach == "network" and group > max(position, state.start_offset):
            raise Conflict(
                f"the log says that the store has taken {_name(place)} up to offset {group}, but this one is at {position} and "
                "would miss what lies between; go back to the store that has it, or carry its events over (weft store copy)",
                topic=place.topic,
                partition=place.partition,
            )


def _of_the_log(positions: Positions) -> Positions:
    """Without the partitions below 0: they hold what was carried over from another log."""
    return {place: offset for place, offset in positions.items() if place.partition >= 0}


def _name(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"
