"""The store's part of the verdict tells trouble before anything is lost."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from weft.core.errors import StorageFull
from weft.core.verdict import Level
from weft.store.checks import checks, unaccounted
from weft.store.parquet import ParquetStore
from weft.store.parquet.disk import Disk
from weft.store.query import TopicCount
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import make_log_batch


class FullDisk(Disk):
    def write(self, path, fill) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


async def test_a_store_that_is_well_is_fine(tmp_path: Path) -> None:
    settings = StoreSettings()
    async with ParquetStore(f"parquet://{tmp_path}", settings=settings, clock=ManualClock()) as store:
        await store.write([make_log_batch(5)])
        await store.flush()
        findings = [await check() for check in checks(store, settings=settings).values()]
        assert {finding.level for finding in findings} == {Level.FINE}
        assert {finding.code for finding in findings} == {"store.flush_time", "store.tail", "store.conservation"}


async def test_a_store_that_cannot_flush_asks_to_act_and_says_why(tmp_path: Path) -> None:
    settings = StoreSettings(tail_max_bytes=1000)
    async with ParquetStore(f"parquet://{tmp_path}", settings=settings, clock=ManualClock(), disk=FullDisk()) as store:
        await store.write([make_log_batch(10)])
        with pytest.raises(StorageFull):
            await store.flush()
        found = checks(store, settings=settings)
        flush, tail = await found["store.flush_time"](), await found["store.tail"]()
        assert (flush.level, tail.level) == (Level.ACT, Level.ACT)
        assert "no space left" in flush.why


async def test_an_offset_in_no_count_is_told() -> None:
    count = TopicCount(topic="events", partition=0, position=5, flushed_position=5, stored_total=4, repeats_total=1)
    assert unaccounted(count) == 0
    assert unaccounted(replace(count, position=6)) == 1
