"""Groups: how far each has come, and which offsets are damaged. One small file that every process of the log may write."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Final, cast

import apsw

from weft.core.position import Positions, TopicPartition
from weft.log.port import Damage

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS position (
    grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (grp, topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damage (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (topic, partition, first_offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS made (identity TEXT NOT NULL);
"""
_MADE: Final = "INSERT INTO made SELECT ? WHERE NOT EXISTS (SELECT 1 FROM made)"
_COMMIT: Final = """
INSERT INTO position VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)
"""


class Groups:
    """Positions and damages. Every change is flushed. Safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(10_000)
        self._connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        self._connection.execute(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close(True)

    def identity(self) -> str:
        """The name this log was given when it was made."""
        with self._lock:
            self._connection.execute(_MADE, (secrets.token_hex(16),))
            ((identity,),) = cast("Iterable[tuple[str]]", self._connection.execute("SELECT identity FROM made"))
        return f"sqlite:{identity}"

    def commit(self, group: str, positions: Positions) -> None:
        """Move a group forward, never back."""
        rows = [(group, at.topic, at.partition, offset) for at, offset in positions.items()]
        with self._lock, self._connection:
            self._connection.executemany(_COMMIT, rows)

    def positions(self, group: str) -> dict[TopicPartition, int]:
        """Where one group stands."""
        return self.all_positions().get(group, {})

    def all_positions(self) -> dict[str, dict[TopicPartition, int]]:
        """Where every group stands."""
        with self._lock:
            rows = list(self._connection.execute("SELECT grp, topic, partition, next_offset FROM position"))
        positions: dict[str, dict[TopicPartition, int]] = {}
        for group, topic, partition, offset in cast("Iterable[tuple[str, str, int, int]]", rows):
            positions.setdefault(group, {})[TopicPartition(topic, partition)] = offset
        return positions

    def floors(self, partition: int) -> dict[str, int]:
        """For each topic of a partition the furthest that any group has consumed."""
        with self._lock:
            rows = list(
                self._connection.execute(
                    "SELECT topic, max(next_offset) FROM position WHERE partition = ? GROUP BY topic", (partition,)
                )
            )
        return dict(cast("Iterable[tuple[str, int]]", rows))

    def add_damage(self, damage: Damage) -> None:
        """Write a damaged range down, once."""
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO damage VALUES (?, ?, ?, ?, ?)",
                (damage.topic, damage.partition, damage.first_offset, damage.next_offset, damage.reason),
            )

    def damages(self) -> list[Damage]:
        """Every damaged range that was met."""
        with self._lock:
            rows = list(self._connection.execute("SELECT topic, partition, first_offset, next_offset, reason FROM damage"))
        return [Damage(*row) for row in cast("Iterable[tuple[str, int, int, int, str]]", rows)]
