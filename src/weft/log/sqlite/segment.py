"""Segment: one SQLite file of a partition, holding batches of all its topics, so that one flush covers them all.

A batch's row id is its place: the topic's number in the upper bits, its first offset in the lower 46. SQLite keeps the rows of
one topic together and in order, and no second index is written.
"""

import os
from pathlib import Path
from shutil import copyfile
from typing import Final, cast

import apsw

from weft.core.errors import Unavailable, Unsupported
from weft.log.frame import Frame
from weft.log.topic_end import TopicEnd

OFFSET_BITS: Final = 46
NUMBERS: Final = 1 << (62 - OFFSET_BITS)
FORMAT: Final = 1
_APPLICATION: Final = 0x57656674
_OLDEST_SQLITE: Final = (3, 51, 3)
_COPY: Final = ".new"
_COPY_FLAGS: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
BUSY_MS: Final = 10_000

_SCHEMA: Final = """
CREATE TABLE owner (epoch INTEGER NOT NULL);
CREATE TABLE topic (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, start_offset INTEGER NOT NULL,
    events_total INTEGER NOT NULL, repeats_total INTEGER NOT NULL, max_time_us INTEGER, appended_at_us INTEGER
);
CREATE TABLE erased (place INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
CREATE TABLE batch (
    place INTEGER PRIMARY KEY, events INTEGER NOT NULL, flags INTEGER NOT NULL,
    min_time_us INTEGER NOT NULL, max_time_us INTEGER NOT NULL, max_time_before_us INTEGER, max_time_after_us INTEGER,
    events_before INTEGER NOT NULL,
    received_first_us INTEGER NOT NULL, received_last_us INTEGER NOT NULL, crc INTEGER NOT NULL, keys BLOB, body BLOB NOT NULL
);
"""
_INSERT: Final = "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


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
    connection.set_busy_timeout(BUSY_MS)
    connection.wal_autocheckpoint(0)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def create(path: Path, epoch: int, ends: dict[str, TopicEnd]) -> apsw.Connection:
    """A new segment that begins where the topics stand, durable with its folder entry when this returns."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA synchronous=FULL")
        with connection:
            connection.execute(f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={FORMAT}; {_SCHEMA}")
            connection.execute("INSERT INTO owner VALUES (?)", (epoch,))
            for name, end in ends.items():
                insert_topic(connection, name, end)
        _use_wal(connection, path)
        connection.wal_autocheckpoint(0)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        sync_folder(path.parent)
    except BaseException:
        connection.close(True)
        raise
    return connection


def _use_wal(connection: apsw.Connection, path: Path) -> None:
    if connection.execute("PRAGMA journal_mode=WAL").get != "wal":
        raise Unavailable(f"the file system of {path} cannot hold a SQLite write-ahead log; use a local disk")


def insert_topic(connection: apsw.Connection, name: str, end: TopicEnd) -> None:
    """Say where a topic stood when the segment, or the topic, began."""
    if end.number >= NUMBERS:
        raise Unsupported(f"a partition of the log holds at most {NUMBERS} topics; '{name}' would be one more")
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
    return cast("int", connection.execute("SELECT epoch FROM owner").get)


def insert_erased(connection: apsw.Connection, number: int, first_offset: int, next_offset: int) -> None:
    """Say that a range of offsets was erased on purpose."""
    connection.execute("INSERT INTO erased VALUES (?, ?)", (place_of(number, first_offset), next_offset))


def create_copy(path: Path) -> apsw.Connection:
    """A new file beside a sealed segment with all but its batches, to become its replacement."""
    copied = path.with_name(f"{path.name}{_COPY}")
    for suffix in ("", "-journal"):
        Path(f"{copied}{suffix}").unlink(missing_ok=True)
    connection = apsw.Connection(str(copied), flags=_COPY_FLAGS)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={FORMAT}; {_SCHEMA}")
        connection.execute(f"ATTACH 'file:{quoted(path)}?mode=ro&immutable=1' AS old")
        for table in ("owner", "topic", "erased"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM old.{table}")
        connection.execute("DETACH old")
    except BaseException:
        connection.close(True)
        raise
    return connection


def copy_beside(path: Path) -> Path:
    """A copy of a segment file, byte by byte, to become its replacement."""
    copied = path.with_name(f"{path.name}{_COPY}")
    copyfile(path, copied)
    return copied


def replace_segment(path: Path) -> None:
    """Put the copy in the segment's place, durably; who reads the old file finds it out by its inode."""
    copied = path.with_name(f"{path.name}{_COPY}")
    descriptor = os.open(copied, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    copied.replace(path)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    sync_folder(path.parent)


def quoted(path: Path) -> str:
    """The path inside a SQLite address."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23").replace("'", "%27")
