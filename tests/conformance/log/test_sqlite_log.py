"""The embedded log keeps every promise of the port."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock
from weft.testing.log_suite import LogSuite


@dataclass
class SqliteGround:
    """A folder."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    settings: LogSettings = field(default_factory=lambda: LogSettings(segment_bytes=65_536, reserve_bytes=0, min_free_bytes=0))

    def open(self, *, append: bool = True) -> Log:
        return SqliteLog(f"sqlite://{self.folder}", settings=self.settings, clock=self.clock, append=append)


class TestSqliteLog(LogSuite):
    @pytest.fixture
    def ground(self, tmp_path: Path) -> SqliteGround:
        return SqliteGround(tmp_path / "log")
