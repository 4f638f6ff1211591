"""Connections to PostgreSQL. The only file that knows asyncpg; what goes wrong leaves it as one of Weft's errors."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from weft.core.errors import Busy, Invalid, NotAllowed, StorageFull, TimedOut, Unavailable, Unsupported, WeftError
from weft.store.settings import StoreSettings

SCHEMES: Final = ("postgresql", "postgres", "postgresql+asyncpg")
OLDEST_VERSION: Final = 14

_NO_SPACE: Final = "No space left on device"
_RETRY_AFTER_S: Final = 2
"""A server that was restarted is back sooner than the five seconds that are usual elsewhere."""
_POSTGRES_EPOCH_US: Final = 946_684_800_000_000
_DAY_US: Final = 86_400_000_000


class Unwritable(Exception):
    """The server refuses a value as such. Trying again cannot help; the caller finds out which event it was."""


class NoPartition(Exception):
    """A row found no partition: another process has dropped it, or has not made it yet."""


class OutOfRange(Unwritable):
    """A number is beyond what its type can hold."""


class Again(Exception):
    """Two transactions got in each other's way; doing it again will work."""


class Link:
    """One connection inside a transaction or outside of one."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, sql: str, *values: Any) -> None:
        """Run a statement; without values it may be several."""
        await self._connection.execute(sql, *values)

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a question. Times are microseconds."""
        return [tuple(row) for row in await self._connection.fetch(sql, *values)]

    async def value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(sql, *values)

    async def stream(self, sql: str, *values: Any, size: int) -> AsyncGenerator[list[tuple[Any, ...]], None]:
        """All rows of a question, some at a time, as they were when it began."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            cursor = await self._connection.cursor(sql, *values)
            while rows := await cursor.fetch(size):
                yield [tuple(row) for row in rows]

    async def copy(self, schema: str, table: str, columns: Sequence[str], pieces: Iterable[bytes | memoryview]) -> None:
        """Fill a table from rows in PostgreSQL's binary format."""

        async def source() -> AsyncGenerator[bytes | memoryview, None]:
            for piece in pieces:
                yield piece

        await self._connection.copy_to_table(table, source=source(), columns=list(columns), schema_name=schema, format="binary")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """All or nothing."""
        async with self._connection.transaction():
            yield


class Server:
    """A PostgreSQL database, reached through a pool of connections. Opened and closed by `async with`."""

    def __init__(self, url: str, settings: StoreSettings, *, size: int, timeout_s: float, name: str) -> None:
        self._dsn = dsn_of(url)
        self.place = place_of(url)
        self._settings = settings.postgres
        self._size = size
        self._timeout_s = timeout_s
        self._name = name
        self._pool: Any = None
        self._is_open = False

    async def open(self) -> None:
        """Connect. Raises Unavailable where nobody answers, NotAllowed where we are not let in."""
        self._pool = asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._size,
            timeout=self._settings.connect_timeout_s,
            command_timeout=self._timeout_s * 1.1 + 1,  # the server stops it before that, if it can be heard
            statement_cache_size=self._settings.statement_cache_size,
            server_settings={
                "application_name": self._name,
                "jit": "off",  # compiling a plan over many partitions takes longer than most answers
                "plan_cache_mode": "force_custom_plan",  # so that partitions are chosen by the values of a question
                "statement_timeout": str(int(self._timeout_s * 1000)),
                "TimeZone": "UTC",
            },
            init=_make_ready,
            reset=_leave_as_it_is,
        )
        try:
            await self._pool
            async with self.link() as link:
                version = int(await link.value("SELECT current_setting('server_version_num')")) // 10_000
        except BaseException:
            self._pool.terminate()
            raise
        self._is_open = True
        if version < OLDEST_VERSION:
            raise Unsupported(f"PostgreSQL {version} is too old; the store needs {OLDEST_VERSION} or later")

    async def close(self) -> None:
        """Let go of every connection; those in use are ended after a few seconds."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self._pool.terminate()

    @asynccontextmanager
    async def link(self) -> AsyncGenerator[Link]:
        """A connection for a while. What PostgreSQL refuses is raised as one of Weft's errors."""
        with self._translated():
            connection = await self._acquire()
        try:
            with self._translated():
                try:
                    yield Link(connection)
                except BaseException as failed:
                    if not isinstance(failed, _FINE_AFTERWARDS):
                        connection.terminate()  # it may hang in the middle of something, or hang for ever
                    raise
        finally:
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self._pool.release(connection, timeout=self._settings.connect_timeout_s)

    async def _acquire(self) -> Any:
        timeout_s = self._settings.connect_timeout_s
        try:
            return await self._pool.acquire(timeout=timeout_s)
        except TimeoutError as none:
            raise Unavailable(f"no connection to PostgreSQL at {self.place} within {timeout_s:g} s") from none

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (WeftError, asyncio.CancelledError):
            raise
        except asyncpg.PostgresError as refused:
            raise _of_server(refused, self.place, was_let_in=self._is_open) from refused
        except TimeoutError as slow:
            raise TimedOut(f"PostgreSQL at {self.place} did not answer in time; whether it did the work is unknown") from slow
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as away:
            raise Unavailable(
                f"PostgreSQL at {self.place} cannot be reached: {_sentence(away)}", retry_after_s=_RETRY_AFTER_S
            ) from away


_FINE_AFTERWARDS: Final = (asyncpg.PostgresError, WeftError)
"""After these the connection is as good as before: the server itself has spoken, or we."""


def dsn_of(url: str) -> str:
    """The address as the driver wants it. Raises Invalid for another scheme or one without a database."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.path.strip("/"):
        raise Invalid(
            f"'{place_of(url)}' is not an address of this store; write postgresql://user:password@host:5432/database",
            field="store.url",
        )
    return urlunsplit(parts._replace(scheme="postgresql"))


def place_of(url: str) -> str:
    """The address without user and password, fit to be shown."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


async def _make_ready(connection: Any) -> None:
    """Times as whole microseconds in both directions: exact, and no object for each."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=_from_time,
        decoder=_to_time,
    )
    await connection.set_type_codec(
        "interval",
        schema="pg_catalog",
        format="tuple",
        encoder=_from_span,
        decoder=_to_span,
    )


def _from_time(time_us: int) -> tuple[int]:
    return (time_us - _POSTGRES_EPOCH_US,)


def _to_time(parts: tuple[int]) -> int:
    return parts[0] + _POSTGRES_EPOCH_US


def _from_span(span_us: int) -> tuple[int, int, int]:
    return 0, 0, span_us


def _to_span(parts: tuple[int, int, int]) -> int:
    return parts[1] * _DAY_US + parts[2]


async def _leave_as_it_is(connection: Any) -> None:
    """Our connections carry no state over, so there is nothing to undo between two uses."""


_BY_CODE: Final[dict[str, Callable[[str], Exception]]] = {
    "57014": lambda place: TimedOut(f"PostgreSQL at {place} took too long over a statement and stopped it"),
    "55P03": lambda place: Busy(f"PostgreSQL at {place} holds something locked for another transaction"),
    "40P01": lambda place: Again(),
    "40001": lambda place: Again(),
    "23514": lambda place: NoPartition(),
    "22003": lambda place: OutOfRange(),
    "25006": lambda place: Unavailable(f"PostgreSQL at {place} is read-only at the moment"),
    "42P01": lambda place: Unavailable(
        f"PostgreSQL at {place} has no tables for events yet; a process that plays storage makes them"
    ),
}


def _of_server(refused: Any, place: str, *, was_let_in: bool) -> Exception:
    code: str = refused.sqlstate or ""
    text = _sentence(refused)
    if code in _BY_CODE:
        return _BY_CODE[code](place)
    if code == "53100" or _NO_SPACE in text:  # the latter from a server that ended over its write-ahead log
        return StorageFull(f"the disk of PostgreSQL at {place} is full: {text}; what was acknowledged stays in the log")
    if code.startswith("22") or code in {"54000", "54001"}:
        return Unwritable(text)
    if not was_let_in and (code.startswith("28") or code in {"3D000", "42501"}):
        return NotAllowed(f"PostgreSQL at {place} refuses: {text}")
    return Unavailable(f"PostgreSQL at {place} refuses: {text}", retry_after_s=_RETRY_AFTER_S)


def _sentence(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
