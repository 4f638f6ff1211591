"""The engine behind a database address, with the promises each kind of database needs set on every connection."""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import URL, Dialect, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from weft.core.errors import Invalid, Unsupported
from weft.db.settings import DbSettings
from weft.db.sqlite_connection import SqliteConnection

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SQLITE_CONNECTIONS: Final = 5
_WAL_IS_SAFE: Final = (3, 51, 3)


def read_url(text: str) -> URL:
    """The address with its asynchronous driver filled in. Raises Invalid, never showing a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as unreadable:
        raise Invalid(
            "the database address cannot be read; it looks like sqlite:////abs/path/weft.db "
            "or postgresql://user:password@host/name",
            field="db.url",
        ) from unreadable
    backend, _, driver = url.drivername.partition("+")
    known = _DRIVERS.get(backend)
    if known is None or (driver and known != f"{'postgresql' if backend == 'postgres' else backend}+{driver}"):
        raise Invalid(f"no database is called '{url.drivername}'; known are sqlite:// and postgresql://", field="db.url")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise Invalid("an SQLite address names a file: sqlite:////abs/path/weft.db", field="db.url")
    return url.set(drivername=known) if backend == "sqlite" else _read_options(url.set(drivername=known))


def _read_options(url: URL) -> URL:
    """The options of a PostgreSQL address; `sslmode`, as other programs write it, is the driver's `ssl`."""
    unknown = sorted(set(url.query) - {"ssl", "sslmode"})
    if unknown:
        raise Invalid(f"a PostgreSQL address has no option '{unknown[0]}' here; known is sslmode", field="db.url")
    mode = url.query.get("ssl", url.query.get("sslmode"))
    if mode is not None and mode not in _SSL_MODES:
        raise Invalid(f"sslmode is one of {', '.join(_SSL_MODES)}", field="db.url")
    return url.set(query={}) if mode is None else url.set(query={"ssl": mode})


def open_engine(url: URL, settings: DbSettings) -> AsyncEngine:
    """An engine with the pool and the promises of its kind. Raises Unsupported where the driver is not installed."""
    options: dict[str, Any] = {"pool_timeout": settings.busy_timeout_s, "echo": settings.echo}
    if url.get_backend_name() == "sqlite":
        options |= {
            "pool_size": min(settings.pool_size, _SQLITE_CONNECTIONS),
            "max_overflow": 0,
            "connect_args": {"timeout": settings.busy_timeout_s, "async_creator_fn": SqliteConnection},
        }
    else:
        options |= {
            "pool_size": settings.pool_size,
            "max_overflow": settings.max_overflow,
            "connect_args": {
                "timeout": settings.connect_timeout_s,
                "command_timeout": settings.answer_timeout_s,
                "server_settings": {"application_name": "weft"},
            },
        }
    try:
        engine = create_async_engine(url, **options)
    except ModuleNotFoundError as missing:
        raise Unsupported(
            f"a {url.get_backend_name()} database needs the package '{missing.name}', which is not installed; "
            "run: pip install 'weft[postgres]'"
        ) from missing
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "reset", _end_sqlite)
    else:
        event.listen(engine.sync_engine, "checkout", _prove_alive(engine.sync_engine.dialect))
    return engine


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """WAL where this SQLite has the WAL-reset fix, a rollback journal where it could damage the file.

    Python is often linked against a system SQLite older than 3.51.3. The log and the store bring their own; accounts are
    few and small, so here the slower journal is the right price.
    """
    return "wal" if version >= _WAL_IS_SAFE else "truncate"


def _prove_alive(dialect: Dialect) -> Callable[[Any, object, object], None]:
    """A connection that a restart left behind is replaced before anybody notices, and all of its age with it.

    SQLAlchemy's own ping takes a connection that is silent for one that is fine otherwise, so each of a pool would have to be
    waited for.
    """

    def prove(connection: Any, _record: object, _proxy: object) -> None:
        try:
            dialect.do_ping(connection)
        except Exception as dead:
            raise InvalidatePoolError from dead

    return prove


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver starts no transactions of its own; `begin` below does
    wanted = journal_mode()
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0] != wanted:
            cursor.execute(f"PRAGMA journal_mode={wanted}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _end_sqlite(connection: Any, _record: object, _state: object) -> None:
    """A COMMIT that found the file busy leaves its transaction open, and SQLAlchemy takes it for ended: back in the pool the
    connection would keep everybody else from writing."""
    if connection.driver_connection.in_transaction:
        connection.rollback()


def _begin_sqlite(connection: Any) -> None:
    # A write transaction takes its lock at once: one that began as a reader could not be told to wait.
    writing = connection.get_execution_options().get("weft_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
