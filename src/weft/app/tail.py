"""Filling the tail of a store that another process owns: what stands in the log and not yet in that owner's files."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, cast

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.store.port import EventStore

GROUP: Final = "tail"
"""Never commits, so it holds nothing back from being trimmed."""


class StoreTail:
    """The worker that keeps a reader of the store as fresh as its owner."""

    name = "store-tail"

    def __init__(self, log: Log, store: EventStore) -> None:
        self._log = log
        self._store = store

    async def run(self, started: Callable[[], None]) -> None:
        """Hand over batches as they are appended, until cancelled."""
        await catch_up(self._log, self._store)
        started()
        start = await self._store.flushed()
        follower = cast("AsyncGenerator[LogBatch]", self._log.follow(GROUP, ["*"], start=start))
        async with aclosing(follower):
            async for batch in follower:
                await _hand_over(self._store, batch)


async def catch_up(log: Log, store: EventStore) -> None:
    """Hand over everything that stands in the log at this moment."""
    flushed = await store.flushed()
    for state in (await log.state()).partitions:
        place = TopicPartition(state.topic, state.partition)
        offset = max(flushed.get(place, 0), state.start_offset)
        while offset < state.end_offset:
            try:
                batches = await log.read(place, offset)
            except Corrupt as damage:
                offset = int(damage.details["next_offset"])
                continue
            if not batches:
                break
            for batch in batches:
                await _hand_over(store, batch)
            offset = batches[-1].next_offset


async def _hand_over(store: EventStore, batch: LogBatch) -> None:
    try:
        await store.write([batch])
    except Corrupt:
        return  # the owner sets it aside as a dead letter; a reader only steps over it
