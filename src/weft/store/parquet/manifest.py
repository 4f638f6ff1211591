"""The manifest: which files make up the store, and how far in the log they reach. SQLite; every change is one transaction."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from weft.core.errors import Corrupt, StorageFull, Unavailable, Unsupported
from weft.core.position import TopicPartition
from weft.store.parquet.layout import UNKNOWN, StoredFile, Tally
from weft.store.parquet.ledger import Account, Ledger

FILE_NAME: Final = "manifest.db"
VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS file (
    file_id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, rows INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, min_us INTEGER NOT NULL, max_us INTEGER NOT NULL, types BLOB NOT NULL, sources BLOB NOT NULL,
    partitions BLOB NOT NULL, id_spans BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS directory (file_id INTEGER PRIMARY KEY, pages BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS id_run (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, rows INTEGER NOT NULL, size_bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS account (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, stored INTEGER NOT NULL,
    repeats INTEGER NOT NULL, expired INTEGER NOT NULL, ticks INTEGER NOT NULL, skipped INTEGER NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0, retired INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bound (log_identity TEXT NOT NULL) STRICT;
"""
_FILE_COLUMNS: Final = "file_id, path, topic, rows, size_bytes, min_us, max_us, types, sources, partitions, id_spans"
_BLOBS: Final = {"types": "tally", "sources": "sources", "partitions": "partitions", "id_spans": "id_spans"}
"""Columns that hold JSON, and the attributes of a file they hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """One file of the index of client-given ids."""

    run_id: int
    path: str
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the manifest says at one moment."""

    files: dict[int, StoredFile]
    runs: dict[int, RunFile]
    ledger: Ledger


class Manifest:
    """One connection to the manifest. Calls from several threads take turns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._lock = threading.RLock()
        self._seen: int | None = None
        with _named(self._path):
            self._connection = apsw.Connection(str(self._path))
            self._connection.set_busy_timeout(10_000)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "wal_autocheckpoint=1000"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._check_version()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @property
    def has_news(self) -> bool:
        """Whether another connection has changed the manifest since the last `read`."""
        with self._lock, _named(self._path):
            return self._data_version() != self._seen

    def read(self, known: Content | None = None) -> Content:
        """Everything, from one moment. What `known` holds already is not read again: a file's row never changes."""
        old_files: dict[int, StoredFile] = known.files if known else {}
        old_runs: dict[int, RunFile] = known.runs if known else {}
        with self._lock, _named(self._path), self._transaction("DEFERRED"):
            self._seen = self._data_version()
            newest = max(old_files, default=0)
            fresh = [_to_file(row) for row in self._rows(f"SELECT {_FILE_COLUMNS} FROM file WHERE file_id > ?", newest)]
            known_files = {**old_files, **{file.file_id: file for file in fresh}}
            files = {row[0]: known_files[row[0]] for row in self._rows("SELECT file_id FROM file")}
            rows = self._rows("SELECT run_id, path, rows, size_bytes FROM id_run")
            runs = {row[0]: old_runs.get(row[0]) or _to_run(row) for row in rows}
            return Content(files=files, runs=runs, ledger=self._read_ledger())

    def commit(
        self,
        *,
        ledger: Ledger | None = None,
        add: Sequence[StoredFile] = (),
        remove: Sequence[StoredFile] = (),
        add_runs: Sequence[RunFile] = (),
        remove_runs: Sequence[RunFile] = (),
        erased: dict[TopicPartition, int] | None = None,
        retired: dict[TopicPartition, int] | None = None,
    ) -> tuple[list[StoredFile], list[RunFile]]:
        """One change, all or nothing and durable; returns the added files and runs with their ids."""
        with self._lock, _named(self._path), self._transaction("IMMEDIATE"):
            for place, account in (ledger or {}).items():
                self._put_account(place, account)
            for column, counts in (("erased", erased), ("retired", retired)):
                for place, count in (counts or {}).items():
                    self._connection.execute(
                        f"UPDATE account SET {column} = {column} + ? WHERE topic = ? AND partition = ?", (count, *place)
                    )
            for table in ("file", "directory"):
                self._connection.executemany(f"DELETE FROM {table} WHERE file_id = ?", [(file.file_id,) for file in remove])
            self._connection.executemany("DELETE FROM id_run WHERE run_id = ?", [(run.run_id,) for run in remove_runs])
            return [self._add_file(file) for file in add], [self._add_run(run) for run in add_runs]

    def bind(self, log_identity: str) -> str:
        """Remember of which log the positions are, unless it is known; returns the one that is remembered."""
        with self._lock, _named(self._path), self._transaction("IMMEDIATE"):
            self._connection.execute("INSERT INTO bound SELECT ? WHERE NOT EXISTS (SELECT 1 FROM bound)", (log_identity,))
            ((known,),) = self._rows("SELECT log_identity FROM bound")
            return str(known)

    def find_directory(self, file_id: int) -> bytes | None:
        """The directory of a file's pages, or None where the file is not in the manifest any more."""
        with self._lock, _named(self._path):
            rows = self._rows("SELECT pages FROM directory WHERE file_id = ?", file_id)
            return rows[0][0] if rows else None

    def checkpoint(self) -> None:
        """Leave nothing of removed rows behind in the write-ahead log, as far as other readers allow."""
        with self._lock, _named(self._path):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self._path.parent.glob(f"{FILE_NAME}*"))

    def _check_version(self) -> None:
        with self._transaction("IMMEDIATE"):
            (version,) = self._connection.execute("PRAGMA user_version").fetchone() or (0,)
            if version > VERSION:
                raise Unsupported(f"{self._path} has version {version}, this program reads up to {VERSION}; use a newer Weft")
            if version < VERSION:
                self._connection.execute(_SCHEMA)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _rows(self, sql: str, *values: int) -> list[tuple[Any, ...]]:
        cursor: Any = self._connection.execute(sql, values)
        return cursor.fetchall()

    def _data_version(self) -> int:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone() or (0,)
        return version

    def _read_ledger(self) -> Ledger:
        rows = self._connection.execute(
            "SELECT topic, partition, position, stored, repeats, expired, ticks, skipped, erased, retired FROM account"
        )
        return {TopicPartition(topic, partition): Account(*counts) for topic, partition, *counts in rows}

    def _put_account(self, place: TopicPartition, account: Account) -> None:
        counts = (account.position, account.stored, account.repeats, account.expired, account.ticks, account.skipped)
        self._connection.execute(
            "INSERT INTO account (topic, partition, position, stored, repeats, expired, ticks, skipped)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (topic, partition) DO UPDATE SET position = excluded.position,"
            " stored = excluded.stored, repeats = excluded.repeats, expired = excluded.expired, ticks = excluded.ticks,"
            " skipped = excluded.skipped",
            (*place, *counts),
        )

    def _add_file(self, file: StoredFile) -> StoredFile:
        values = [getattr(file, name) for name in _FILE_COLUMNS.split(", ")[1:] if name not in _BLOBS]
        blobs = [msgspec.json.encode(getattr(file, attribute)) for attribute in _BLOBS.values()]
        self._connection.execute(
            f"INSERT INTO file ({_FILE_COLUMNS.removeprefix('file_id, ')}) VALUES ({', '.join('?' * 10)})", (*values, *blobs)
        )
        file_id = self._connection.last_insert_rowid()
        if file.directory is not None:
            self._connection.execute("INSERT INTO directory (file_id, pages) VALUES (?, ?)", (file_id, file.directory))
        return replace(file, file_id=file_id, directory=None)

    def _add_run(self, run: RunFile) -> RunFile:
        self._connection.execute(
            "INSERT INTO id_run (path, rows, size_bytes) VALUES (?, ?, ?)", (run.path, run.rows, run.size_bytes)
        )
        return replace(run, run_id=self._connection.last_insert_rowid())

    @contextmanager
    def _transaction(self, kind: str) -> Generator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _to_file(row: Sequence[Any]) -> StoredFile:
    types, sources, partitions, spans = row[7:]
    return StoredFile(
        **dict(zip(_FILE_COLUMNS.split(", ")[:7], row, strict=False)),
        tally=_to_tally(msgspec.json.decode(types, type=dict[str, dict[str, int] | int])),
        sources=msgspec.json.decode(sources, type=frozenset[str] | None),
        partitions=msgspec.json.decode(partitions, type=dict[int, int]),
        id_spans=msgspec.json.decode(spans, type=tuple[tuple[int, int], ...]),
    )


def _to_tally(types: dict[str, dict[str, int] | int]) -> Tally:
    """A tally; files were once counted by type alone."""
    return {name: counts if isinstance(counts, dict) else {UNKNOWN: counts} for name, counts in types.items()}


def _to_run(row: Sequence[Any]) -> RunFile:
    return RunFile(run_id=row[0], path=row[1], rows=row[2], size_bytes=row[3])


@contextmanager
def _named(path: Path) -> Generator[None]:
    try:
        yield
    except apsw.FullError as full:
        raise StorageFull(f"the disk of {path} is full; free some space, nothing that was acknowledged is lost") from full
    except (apsw.NotADBError, apsw.CorruptError) as damaged:
        raise Corrupt(
            f"{path} is damaged: {damaged}; restore it from a copy or start with an empty store", path=str(path)
        ) from damaged
    except apsw.Error as failed:
        raise Unavailable(f"{path} cannot be used: {failed}") from failed
