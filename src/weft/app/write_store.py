"""From the log into the store: who follows, who commits, and where poison goes."""

from typing import Final

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.errors import Conflict
from weft.core.position import Positions, TopicPartition
from weft.log.dead_letter import set_aside
from weft.log.port import Log
from weft.store.port import EventStore
from weft.store.writer import StoreWriter

GROUP: Final = "store"


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

    start = None if log.reach == "network" else _of_the_log(await store.flushed())
    return StoreWriter(store, log.follow(GROUP, ["*"], start=start), commit=commit, dead_letter=dead_letter)


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
