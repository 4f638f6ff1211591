"""A store and a log that do not belong together: without a word said, new events would be taken for stored ones."""

import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from weft.app.write_store import GROUP, check_belonging, follow_for
from weft.core.batch import LogBatch
from weft.core.errors import Conflict, Unavailable
from weft.core.position import Positions, TopicPartition
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch


def log_at(folder: Path, clock: ManualClock) -> SqliteLog:
    settings = LogSettings(segment_bytes=65_536, reserve_bytes=0, min_free_bytes=0)
    return SqliteLog(f"sqlite://{folder}", settings=settings, clock=clock)


def store_at(folder: Path, clock: ManualClock) -> ParquetStore:
    return ParquetStore(f"parquet://{folder}", settings=StoreSettings(), clock=clock)


async def fill(log: SqliteLog, store: ParquetStore, events: int) -> None:
    appended = await log.append(make_batch(events))
    await store.write(await log.read(TopicPartition("events", appended.partition), appended.first_offset or 0))
    await store.flush()


async def test_a_store_goes_on_with_the_log_it_was_filled_from(tmp_path: Path, clock: ManualClock) -> None:
    for _ in range(2):
        async with log_at(tmp_path / "log", clock) as log, store_at(tmp_path / "store", clock) as store:
            await check_belonging(log, store)
            await fill(log, store, 5)


async def test_a_store_refuses_another_log(tmp_path: Path, clock: ManualClock) -> None:
    async with log_at(tmp_path / "log", clock) as log, store_at(tmp_path / "store", clock) as store:
        await check_belonging(log, store)
        await fill(log, store, 5)
    async with log_at(tmp_path / "other", clock) as other, store_at(tmp_path / "store", clock) as store:
        with pytest.raises(Conflict, match="filled from another log"):
            await check_belonging(other, store)


async def test_a_store_refuses_an_older_copy_of_its_log(tmp_path: Path, clock: ManualClock) -> None:
    async with log_at(tmp_path / "log", clock) as log, store_at(tmp_path / "store", clock) as store:
        await check_belonging(log, store)
        await fill(log, store, 5)
    shutil.copytree(tmp_path / "log", tmp_path / "backup")
    async with log_at(tmp_path / "log", clock) as log, store_at(tmp_path / "store", clock) as store:
        await fill(log, store, 5)
    async with log_at(tmp_path / "backup", clock) as older, store_at(tmp_path / "store", clock) as store:
        with pytest.raises(Conflict, match="older than the store"):
            await check_belonging(older, store)


async def test_an_empty_store_may_be_filled_again_from_a_log_of_this_machine(tmp_path: Path, clock: ManualClock) -> None:
    async with log_at(tmp_path / "log", clock) as log, store_at(tmp_path / "store", clock) as store:
        await check_belonging(log, store)
        await fill(log, store, 5)
        await log.commit(GROUP, await store.flushed())
    async with log_at(tmp_path / "log", clock) as log, store_at(tmp_path / "new", clock) as store:
        await check_belonging(log, store)


class AwayNowAndThen(SqliteLog):
    """A log whose followers lose it after each batch."""

    async def follow(
        self, group: str, topics: Sequence[str], *, start: Positions | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        async for batch in super().follow(group, topics, start=start):
            yield batch
            raise Unavailable("the broker is away", retry_after_s=0)


async def test_a_log_that_goes_away_is_followed_anew_from_what_the_store_has(tmp_path: Path, clock: ManualClock) -> None:
    settings = LogSettings(segment_bytes=65_536, reserve_bytes=0, min_free_bytes=0)
    async with (
        AwayNowAndThen(f"sqlite://{tmp_path / 'log'}", settings=settings, clock=clock) as log,
        store_at(tmp_path / "store", clock) as store,
    ):
        for _ in range(3):
            await log.append(make_batch(5))
        offsets: list[int] = []
        async with aclosing(follow_for(store, log)) as batches:
            async for batch in batches:
                offsets.append(batch.first_offset)
                await store.write([batch])
                await store.flush()
                if len(offsets) == 3:
                    break

        assert offsets == [0, 5, 10]
