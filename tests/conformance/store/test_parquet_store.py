"""The embedded store keeps the promises of the port, whether what is asked for is still in memory or already in files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.store_suite import OpenStore, StoreSuite


class TestParquetStore(StoreSuite):
    """Closing flushes."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        def open_it() -> ParquetStore:
            return ParquetStore(f"parquet://{tmp_path}", settings=StoreSettings(), clock=ManualClock())

        return open_it


class FlushingStore(ParquetStore):
    """Flushes and merges after every write, so that every question goes to files."""

    async def write(self, batches) -> None:
        for batch in batches:
            try:
                await super().write([batch])
            finally:
                await self.flush()
        await self.tidy()


class TestParquetStoreWithEverythingInFiles(StoreSuite):
    """The same promises without a tail."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        settings = StoreSettings(compact_files=2, grace_s=0)
        return lambda: FlushingStore(f"parquet://{tmp_path}", settings=settings, clock=ManualClock())


class TestParquetReader(StoreSuite):
    """A reader beside the owner gives the same answers; changes go through the owner."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        @asynccontextmanager
        async def open_it() -> AsyncIterator[ReaderBesideOwner]:
            settings = StoreSettings(grace_s=0)
            url = f"parquet://{tmp_path}"
            async with (
                ParquetStore(url, settings=settings, clock=ManualClock()) as owner,
                ReaderBesideOwner(url, settings=settings, clock=ManualClock(), write=False) as reader,
            ):
                reader.owner = owner
                yield reader

        return open_it


class ReaderBesideOwner(ParquetStore):
    """Everything written goes to both, as the log would bring it to both; erasing is the owner's."""

    owner: ParquetStore

    async def write(self, batches) -> None:
        try:
            await super().write(batches)
        finally:
            await self.owner.write(batches)

    async def erase(self, erasure) -> int:
        return await self.owner.erase(erasure)
