"""The store writer brings everything from the log to the store, and commits only what survives a crash."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, StorageFull
from weft.core.position import Positions, TopicPartition
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.store.writer import StoreWriter
from weft.testing.clock import ManualClock
from weft.testing.factories import make_log_batch

PLACE = TopicPartition("events", 0)


class Log:
    """What the writer sees of a log: batches in order, then silence; commits; dead letters."""

    def __init__(self, *batches: LogBatch) -> None:
        self.batches = batches
        self.committed: list[dict[TopicPartition, int]] = []
        self.dead: list[tuple[int, int, str]] = []
        self.closed = False
        self.ends = True

    async def follow(self) -> AsyncIterator[LogBatch]:
        try:
            for batch in self.batches:
                yield batch
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            self.closed = True

    async def commit(self, positions: Positions) -> None:
        self.committed.append(dict(positions))

    async def dead_letter(self, batch: LogBatch, attempts: int, reason: str) -> None:
        self.dead.append((batch.first_offset, attempts, reason))


def writer(store: ParquetStore, log: Log) -> StoreWriter:
    return StoreWriter(store, log.follow(), commit=log.commit, dead_letter=log.dead_letter)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ParquetStore]:
    async with ParquetStore(f"parquet://{tmp_path}", settings=StoreSettings(), clock=ManualClock()) as opened:
        yield opened


async def test_everything_the_log_has_is_stored(store: ParquetStore) -> None:
    log = Log(*(make_log_batch(3, first_offset=3 * n) for n in range(50)))
    started = asyncio.Event()
    await writer(store, log).run(started.set)
    assert (await store.state()).events == 150
    assert started.is_set()
    assert log.closed


async def test_only_flushed_positions_are_committed(store: ParquetStore) -> None:
    log = Log(make_log_batch(3))
    await writer(store, log).run(lambda: None)
    assert log.committed == [] or log.committed[-1].get(PLACE, 0) == 0
    await store.flush()
    more = Log(make_log_batch(3))
    await writer(store, more).run(lambda: None)
    assert more.committed == [{PLACE: 3}]


async def test_an_unreadable_batch_is_set_aside_and_the_partition_moves_on(store: ParquetStore) -> None:
    broken = replace(make_log_batch(2, first_offset=3), rows=b"{nothing}")
    last = replace(make_log_batch(4, first_offset=8), rows=b"")
    log = Log(make_log_batch(3), broken, make_log_batch(3, first_offset=5), last)
    await writer(store, log).run(lambda: None)
    assert [(offset, attempts) for offset, attempts, _ in log.dead] == [(3, 1), (8, 1)]
    (topic,) = (await store.state()).topics
    assert (topic.position, topic.stored_total, topic.skipped_total) == (12, 6, 6)


async def test_what_was_handed_over_is_counted_and_what_was_set_aside_is_not(store: ParquetStore) -> None:
    broken = replace(make_log_batch(2, first_offset=3), rows=b"{nothing}")
    handing = writer(store, Log(make_log_batch(3), broken, make_log_batch(4, first_offset=5)))
    await handing.run(lambda: None)
    assert handing.events_total == 7


async def test_a_full_store_is_tried_again_with_the_same_batches(tmp_path: Path) -> None:
    class FullAtFirst(ParquetStore):
        refusals = 2

        async def write(self, batches) -> None:
            if self.refusals:
                self.refusals -= 1
                raise StorageFull("full", retry_after_s=0)
            await super().write(batches)

    async with FullAtFirst(f"parquet://{tmp_path}", settings=StoreSettings(), clock=ManualClock()) as store:
        log = Log(make_log_batch(3))
        await writer(store, log).run(lambda: None)
        assert (await store.state()).events == 3
        assert log.dead == []


async def test_damage_inside_the_store_stops_the_writer_instead_of_blaming_a_batch(tmp_path: Path) -> None:
    class Damaged(ParquetStore):
        async def write(self, batches) -> None:
            raise Corrupt("a file of the store cannot be read", path="x")

    async with Damaged(f"parquet://{tmp_path}", settings=StoreSettings(), clock=ManualClock()) as store:
        log = Log(make_log_batch(3))
        with pytest.raises(Corrupt):
            await writer(store, log).run(lambda: None)
        assert log.dead == []
        assert log.closed


async def test_a_cancelled_writer_leaves_the_log_closed(store: ParquetStore) -> None:
    log = Log(make_log_batch(3))
    log.ends = False
    started = asyncio.Event()
    task = asyncio.create_task(writer(store, log).run(started.set))
    await started.wait()
    async with asyncio.timeout(10):
        while not (await store.state()).events:
            pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.closed
