"""Ledger: what a partition must know of itself whatever happens to its segments. Written by the owner, read by everybody."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, cast

import apsw

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS owner (epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS begun (segment INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS sealed (segment INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS trimmed (segment INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS topic (
    name TEXT PRIMARY KEY, start_offset INTEGER NOT NULL DEFAULT 0,
    events_trimmed INTEGER NOT NULL DEFAULT 0, events_erased INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_repeats (received_last_us INTEGER NOT NULL, digests BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Gone:
    """What of a topic is no longer readable."""

    start_offset: int = 0
    events_trimmed: int = 0
    events_erased: int = 0


class Ledger:
    """Small facts in one SQLite file, each change flushed. Safe for several threads."""

    def __init__(self, path: Path, *, write: bool) -> None:
        if write and not path.exists():
            _make(path)
        flags = apsw.SQLITE_OPEN_READWRITE if write else apsw.SQLITE_OPEN_READONLY
        self._lock = Lock()
        self._connection = apsw.Connection(str(path), flags=flags)
        try:
            self._connection.set_busy_timeout(10_000)
            if write:
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute(_SCHEMA)
        except BaseException:
            self._connection.close(True)
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close(True)

    def begin_epoch(self) -> int:
        """A new owner: its number is larger than that of every owner before."""
        with self._lock, self._connection:
            self._connection.execute("INSERT INTO owner VALUES ((SELECT coalesce(max(epoch), 0) + 1 FROM owner))")
            self._connection.execute("DELETE FROM owner WHERE epoch < (SELECT max(epoch) FROM owner)")
        return self._epoch()

    def _epoch(self) -> int:
        return cast("int | None", self._connection.execute("SELECT max(epoch) FROM owner").get) or 0

    def begin(self, segment: int) -> None:
        """The segment is there, durably; from now on its loss would be noticed."""
        with self._lock, self._connection:
            self._connection.execute("INSERT OR IGNORE INTO begun VALUES (?)", (segment,))
            self._connection.execute("DELETE FROM begun WHERE segment < (SELECT max(segment) FROM begun)")

    def last_begun(self) -> int:
        """The newest segment, whether its file is still there or not."""
        with self._lock:
            return cast("int | None", self._connection.execute("SELECT max(segment) FROM begun").get) or 0

    def sealed(self) -> set[int]:
        """The segments that nobody appends to and whose bytes are all in their own file."""
        with self._lock:
            return {cast("int", number) for (number,) in self._connection.execute("SELECT segment FROM sealed")}

    def seal(self, segment: int) -> None:
        """From now on the segment may be read without locks."""
        with self._lock:
            self._connection.execute("INSERT OR IGNORE INTO sealed VALUES (?)", (segment,))

    def last_trimmed(self) -> int:
        """Segments up to this number are gone, even where a crash left their file."""
        with self._lock:
            return cast("int | None", self._connection.execute("SELECT max(segment) FROM trimmed").get) or 0

    def gone(self) -> dict[str, Gone]:
        """For each topic what is no longer readable."""
        with self._lock:
            rows = self._connection.execute("SELECT name, start_offset, events_trimmed, events_erased FROM topic")
            counts = cast("Iterable[tuple[str, int, int, int]]", rows)
            return {name: Gone(*values) for name, *values in counts}

    def start_offset(self, topic: str) -> int:
        """The oldest offset of a topic that was not trimmed."""
        with self._lock:
            start = self._connection.execute("SELECT start_offset FROM topic WHERE name = ?", (topic,)).get
        return cast("int | None", start) or 0

    def kept_repeats(self) -> list[tuple[int, bytes]]:
        """What stays of repeated events' texts after trimming: newest receiving time, packed table."""
        with self._lock:
            rows = list(self._connection.execute("SELECT received_last_us, digests FROM kept_repeats"))
        return cast("list[tuple[int, bytes]]", rows)

    def keep_repeats(self, received_last_us: int, digests: bytes, oldest_us: int) -> None:
        """Keep what stays of a segment's events, and drop what is older than the horizon."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM kept_repeats WHERE received_last_us <= ?", (oldest_us,))
            self._connection.execute("INSERT INTO kept_repeats VALUES (?, ?)", (received_last_us, digests))

    def trim(self, segment: int, gone: Mapping[str, Gone]) -> None:
        """Before a segment is removed: from now on it does not count."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM trimmed")
            self._connection.execute("INSERT INTO trimmed VALUES (?)", (segment,))
            self._connection.execute("DELETE FROM sealed WHERE segment <= ?", (segment,))
            self._store(gone)

    def _store(self, gone: Mapping[str, Gone]) -> None:
        for name, counts in gone.items():
            self._connection.execute(
                "INSERT OR REPLACE INTO topic VALUES (?, ?, ?, ?)",
                (name, counts.start_offset, counts.events_trimmed, counts.events_erased),
            )


def _make(path: Path) -> None:
    """A new ledger. It appears whole: the file is what tells other processes that the partition is there."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    connection = apsw.Connection(str(draft))
    try:
        connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        connection.execute(_SCHEMA)
    finally:
        connection.close(True)
    draft.replace(path)
