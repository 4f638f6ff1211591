"""Segment: one SQLite file of a partition, holding batches of all its topics, so that one flush covers them all.

A batch's row id is its place: the topic's number in the upper bits, its first offset in the lower 46. SQLite keeps the rows of
one topic together and in order, and no second index is written.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import apsw

from weft.core.errors import Corrupt, Unsupported
from weft.log.sqlite.frame import Frame, Header

OFFSET_BITS: Final = 46
_NUMBERS: Final = 1 << (62 - OFFSET_BITS)
_FORMAT: Final = 1
_APPLICATION: Final = 0x57656674
_OLDEST_SQLITE: Final = (3, 51, 3)
_BUSY_MS: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE owner (epoch INTEGER NOT NULL);
CREATE TABLE topic (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, start_offset INTEGER NOT NULL,
    events_total INTEGER NOT NULL, repeats_total INTEGER NOT NULL, max_time_us INTEGER, appended_at_us INTEGER
);
CREATE TABLE batch (
    place INTEGER PRIMARY KEY, count INTEGER NOT NULL, flags INTEGER NOT NULL,
    min_time_us INTEGER NOT NULL, max_time_us INTEGER NOT NULL, max_time_before_us INTEGER, max_time_after_us INTEGER, events_before INTEGER NOT NULL,
    received_first_us INTEGER NOT NULL, received_last_us INTEGER NOT NULL, crc INTEGER NOT NULL, keys BLOB, body BLOB NOT NULL
);
"""
_INSERT: Final = "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEADER_COLUMNS: Final = (
    "place, count, flags, min_time_us, max_time_us, max_time_before_us, max_time_after_us, "
    "events_before, received_first_us, received_last_us"
)


@dataclass(slots=True)
class TopicEnd:
    """Where a topic of a partition stands: its number, the next offset, and totals since the very beginning."""

    number: int
    next_offset: int = 0
    events_total: int = 0
    repeats_total: int = 0
    max_time_us: int | None = None
    appended_at_us: int | None = None

    def copy(self) -> "TopicEnd":
        """Another one that can be changed."""
        return replace(self)


def require_sqlite() -> None:
    """Refuse a SQLite library whose write-ahead log can lose commits."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _OLDEST_SQLITE:
        raise Unsupported(
            f"the SQLite library is {apsw.sqlite_lib_version()}; the log needs 3.51.3 or later (install a newer apsw)"
        )


def place_of(number: int, offset: int) -> int:
    """The row id of a batch."""
    return number << OFFSET_BITS | offset


def file_name(number: int) -> str:
    """The name of a segment file."""
    return f"{number:08d}.db"


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a new or renamed file is not, until its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_live(path: Path) -> apsw.Connection:
    """A read-write connection that leaves checkpoints to somebody else."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(_BUSY_MS)
    connection.wal_autocheckpoint(0)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def create(path: Path, epoch: int, ends: dict[str, TopicEnd]) -> apsw.Connection:
    """A new segment that begins where the topics stand, durable with its folder entry when this returns."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute("PRAGMA synchronous=FULL")
        with connection:
            connection.execute(f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_FORMAT}; {_SCHEMA}")
            connection.execute("INSERT INTO owner VALUES (?)", (epoch,))
            for name, end in ends.items():
                insert_topic(connection, name, end)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.wal_autocheckpoint(0)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        sync_folder(path.parent)
    except BaseException:
        connection.close(True)
        raise
    return connection


def insert_topic(connection: apsw.Connection, name: str, end: TopicEnd) -> None:
    """Say where a topic stood when the segment, or the topic, began."""
    if end.number >= _NUMBERS:
        raise Unsupported(f"a partition of the log holds at most {_NUMBERS} topics; '{name}' would be one more")
    connection.execute(
        "INSERT INTO topic VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            end.number,
            name,
            end.next_offset,
            end.events_total,
            end.repeats_total,
            end.max_time_us,
            end.appended_at_us,
        ),
    )


def set_repeats(connection: apsw.Connection, end: TopicEnd) -> None:
    """Count repeats of a topic."""
    connection.execute("UPDATE topic SET repeats_total = ? WHERE number = ?", (end.repeats_total, end.number))


def insert_frame(connection: apsw.Connection, number: int, frame: Frame) -> None:
    """Add one batch to the transaction."""
    header = frame.header
    connection.execute(_INSERT, (place_of(number, header.first_offset), *header[1:], frame.crc, frame.keys, frame.body))


def take_over(connection: apsw.Connection, epoch: int) -> None:
    """Fence: whoever still believes to own the segment finds another epoch and stops."""
    connection.execute("UPDATE owner SET epoch = ?", (epoch,))


def owner_epoch(connection: apsw.Connection) -> int:
    """The epoch of the segment's owner."""
    return int(_value(connection, "SELECT epoch FROM owner"))


class SegmentReader:
    """Reads one segment. Not for several threads at once."""

    def __init__(self, path: Path, *, sealed: bool) -> None:
        mode = "mode=ro&immutable=1" if sealed else "mode=ro"
        self.path = path
        self.sealed = sealed
        self.inode = path.stat().st_ino
        self._connection = apsw.Connection(f"file:{_uri(path)}?{mode}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            self._connection.set_busy_timeout(_BUSY_MS)
            version = int(_value(self._connection, "PRAGMA user_version"))
            if version != _FORMAT:
                raise Corrupt(f"the segment {path} has format {version}, this program reads {_FORMAT}", path=str(path))
        except BaseException:
            self._connection.close(True)
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close(True)

    def starts(self) -> dict[str, TopicEnd]:
        """Each topic as it stood when the segment, or the topic, began."""
        rows = self._connection.execute(
            "SELECT name, number, start_offset, events_total, repeats_total, max_time_us, appended_at_us FROM topic"
        )
        return {cast("str", name): TopicEnd(*cast("Any", values)) for name, *values in rows}

    def ends(self) -> dict[str, TopicEnd]:
        """Each topic as it stands after the segment's last batch."""
        ends = self.starts()
        with self._connection:
            for end in ends.values():
                self._advance(end)
        return ends

    def _advance(self, end: TopicEnd) -> None:
        last = self.last_header(end.number)
        if last is None:
            return
        end.next_offset = last.next_offset
        end.events_total = last.events_before + last.count
        end.max_time_us = last.max_time_after_us
        end.appended_at_us = last.received_last_us

    def last_header(self, number: int, below: int | None = None) -> Header | None:
        """The header of the topic's last batch, below an offset if one is given."""
        upper = place_of(number, below) if below is not None else place_of(number + 1, 0)
        row = self._connection.execute(
            f"SELECT {_HEADER_COLUMNS} FROM batch WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1",
            (place_of(number, 0), upper),
        ).fetchone()
        return None if row is None else _header(row)

    def headers(self, number: int | None = None) -> Iterator[tuple[int, Header]]:
        """Topic number and header of every batch, of one topic or of all, in order."""
        lower, upper = (0, 2**63 - 1) if number is None else (place_of(number, 0), place_of(number + 1, 0))
        rows = self._connection.execute(
            f"SELECT {_HEADER_COLUMNS} FROM batch WHERE place >= ? AND place < ? ORDER BY place", (lower, upper)
        )
        for row in rows:
            yield cast("int", row[0]) >> OFFSET_BITS, _header(row)

    def frames(self, number: int, offset: int, below: int | None) -> Iterator[Frame]:
        """The topic's frames from the one that holds `offset` on, those below `below`."""
        base = place_of(number, 0)
        upper = place_of(number, below) if below is not None else place_of(number + 1, 0)
        first = _value(
            self._connection, "SELECT max(place) FROM batch WHERE place >= ? AND place <= ?", (base, place_of(number, offset))
        )
        rows = self._connection.execute(
            f"SELECT {_HEADER_COLUMNS}, crc, keys, body FROM batch WHERE place >= ? AND place < ? ORDER BY place",
            (base if first is None else first, upper),
        )
        for row in rows:
            header = _header(row)
            if header.next_offset > offset:
                yield Frame(header, *cast("Any", row[10:]))

    def keys(self) -> Iterator[tuple[int, Header, bytes]]:
        """Topic number, header and repeat keys of every batch that has some."""
        for row in self._connection.execute(f"SELECT {_HEADER_COLUMNS}, keys FROM batch WHERE keys IS NOT NULL ORDER BY place"):
            yield cast("int", row[0]) >> OFFSET_BITS, _header(row), cast("bytes", row[10])


def _header(row: Sequence[Any]) -> Header:
    return Header(row[0] & ((1 << OFFSET_BITS) - 1), *row[1:10])


def _value(connection: apsw.Connection, sql: str, bindings: Sequence[int] = ()) -> Any:
    row = connection.execute(sql, bindings).fetchone()
    return None if row is None else row[0]


def _uri(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
