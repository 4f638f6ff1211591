"""Three databases asked the same questions over the same rows: a DuckDB file, SQLite, PostgreSQL."""

import re
import sqlite3
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from bench.peers.databases import postgresql

COLUMNS = (
    "id, type, source, subject, time_us, received_us, severity, user_id, session_id, correlation_id, tags, data, metadata,"
    " partition_no, offset_no"
)
_SELECT = (
    "SELECT id, type, source, subject, epoch_us(time), epoch_us(received_at), severity, user_id, session_id, correlation_id,"
    ' to_json(tags)::VARCHAR, data, metadata, "partition", "offset" FROM read_parquet(\'{files}\', hive_partitioning = false)'
    " ORDER BY time"
)
_TABLE = (
    "CREATE TABLE events (id {text}, type {text}, source {text}, subject {text}, time_us BIGINT, received_us BIGINT,"
    " severity {text}, user_id {text}, session_id {text}, correlation_id {text}, tags {text}, data {json}, metadata {text},"
    " partition_no INT, offset_no BIGINT)"
)
_INDEXES = (
    "CREATE UNIQUE INDEX by_id ON events (id)",
    "CREATE INDEX by_time ON events (time_us)",
    "CREATE INDEX by_type ON events (type, time_us)",
)


class Peer(ABC):
    """A database with the events of some Parquet files."""

    name: str
    hour = "time_us / 3600000000"
    minute = "time_us / 60000000"
    duration: str
    p95: str

    @abstractmethod
    def load(self, files: str) -> None:
        """Take all rows of a glob of Parquet files."""

    @abstractmethod
    def ask(self, sql: str) -> float:
        """Run a question to its last row; returns milliseconds."""

    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes on disk."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""


class DuckDBFile(Peer):
    """A DuckDB database file, in time order, without indexes (its zone maps prune by time)."""

    name = "DuckDB file"
    hour = "time_us // 3600000000"
    minute = "time_us // 60000000"
    duration = "TRY_CAST(json_extract(data, '$.duration_ms')::VARCHAR AS DOUBLE)"
    p95 = "quantile_cont({}, 0.95)"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "peer.duckdb"
        self._connection = duckdb.connect(str(self._path))

    def load(self, files: str) -> None:
        names = _SELECT.format(files=files)
        self._connection.execute(f"CREATE TABLE events AS SELECT * FROM ({names}) AS t ({COLUMNS})")
        self._connection.execute("CHECKPOINT")

    def ask(self, sql: str) -> float:
        started = time.perf_counter()
        self._connection.execute(sql).fetchall()
        return (time.perf_counter() - started) * 1000

    def size_bytes(self) -> int:
        return self._path.stat().st_size

    def close(self) -> None:
        self._connection.close()


class Sqlite(Peer):
    """SQLite with the indexes its users would make. It has no percentile: it is asked for the largest value."""

    name = "SQLite"
    duration = "json_extract(data, '$.duration_ms')"
    p95 = "max({})"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "peer.sqlite"
        self._connection = sqlite3.connect(self._path)

    def load(self, files: str) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(_TABLE.format(text="TEXT", json="TEXT"))
        rows = duckdb.connect().execute(_SELECT.format(files=files))
        while some := rows.fetchmany(50_000):
            self._connection.executemany(f"INSERT INTO events VALUES ({', '.join('?' * 15)})", some)
        self._connection.commit()
        for index in (*_INDEXES, "ANALYZE"):
            self._connection.execute(index)
        self._connection.commit()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def ask(self, sql: str) -> float:
        started = time.perf_counter()
        self._connection.execute(sql).fetchall()
        return (time.perf_counter() - started) * 1000

    def size_bytes(self) -> int:
        return self._path.stat().st_size

    def close(self) -> None:
        self._connection.close()


class Postgres(Peer):
    """PostgreSQL with its defaults on a private port, with indexes, analysed."""

    name = "PostgreSQL"
    duration = "(data->>'duration_ms')::float8"
    p95 = "percentile_cont(0.95) WITHIN GROUP (ORDER BY {})"

    def __init__(self) -> None:
        why = postgresql.missing()
        if why is not None:
            raise FileNotFoundError(why)
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-bench-pg-")))
        self._stack.enter_context(postgresql.running(self._folder))
        self._port = str(urlsplit((self._folder / "url").read_text()).port)

    def load(self, files: str) -> None:
        table = self._folder / "events.csv"
        duckdb.sql(f"COPY ({_SELECT.format(files=files)}) TO '{table}' (FORMAT csv, HEADER false)")
        copy = f"\\copy events FROM '{table}' CSV"
        self._psql(_TABLE.format(text="TEXT", json="JSONB"), copy, *_INDEXES, "VACUUM ANALYZE events")
        table.unlink()

    def ask(self, sql: str) -> float:
        told = self._psql("\\timing on", sql)
        return float(re.findall(r"Time: ([0-9.]+) ms", told)[-1])

    def size_bytes(self) -> int:
        return int(self._psql("SELECT pg_total_relation_size('events')").strip())

    def close(self) -> None:
        self._stack.close()

    def _psql(self, *commands: str) -> str:
        listed = [part for command in commands for part in ("-c", command)]
        target = ["-h", "127.0.0.1", "-p", self._port, "-U", "app", "-d", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(["psql", *target, *listed], check=True, capture_output=True, text=True)
        return done.stdout
