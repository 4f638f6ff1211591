"""A log in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Log]:
    settings = LogSettings(segment_bytes=65_536, min_free_bytes=0, reserve_bytes=0)
    async with SqliteLog(f"sqlite://{tmp_path}/log", settings=settings, clock=clock) as log:
        yield log
