"""Database: units of work on one database, and its errors in our own words."""

import asyncio
import errno
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from weft.core.errors import Conflict, Invalid, StorageFull, Unavailable, WeftError
from weft.db.engine import open_engine, read_url
from weft.db.settings import DbSettings

_PATIENCE_S: Final = 600.0
_DISK_FULL: Final = "53100"
_UNFIT_VALUE: Final = "22"
"""What PostgreSQL's codes begin with where a value does not fit its column: too long, too large, or with a NUL in it."""


class Database:
    """One database, opened lazily. Everything done inside one `writing()` block happens, or none of it."""

    def __init__(self, url: str, *, settings: DbSettings | None = None) -> None:
        self._url = read_url(url)
        self._settings = settings or DbSettings()
        self._engine = open_engine(self._url, self._settings)
        self._turn = asyncio.Lock() if self.kind == "sqlite" else None
        self._inside: ContextVar[asyncio.Task[object] | None] = ContextVar("inside", default=None)

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine, for migrations and tools."""
        return self._engine

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._url.get_backend_name()

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for a server."""
        return Path(self._url.database or "") if self.kind == "sqlite" else None

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession, None]:
        """A unit of work that only reads. Never inside another one. Raises Unavailable where the database is away."""
        self._check_outside()
        async with self._session(writing=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession, None]:
        """A unit of work, committed at its end and rolled back on any error.

        Raises Conflict where a unique value is taken, StorageFull where the disk is, Unavailable where the database is away
        or somebody else holds the write lock for too long. Never inside another one.
        """
        self._check_outside()
        async with self._in_turn(), self._session(writing=True) as session:
            yield session
            await session.commit()

    def _check_outside(self) -> None:
        """A task has one unit of work at a time. On SQLite an inner one waits for a writer that waits for the outer one to end;
        with a pool it waits for a connection that the outer ones hold."""
        if self._inside.get() is asyncio.current_task():
            raise RuntimeError("a unit of work was begun inside another one of the same task; end that first")

    @asynccontextmanager
    async def _in_turn(self) -> AsyncGenerator[None, None]:
        """One writer of this process after the other, in the order in which they came. SQLite would let them try again and
        again, and whoever is unlucky wait for ever."""
        if self._turn is None:
            yield
            return
        try:
            async with asyncio.timeout(self._settings.busy_timeout_s):
                await self._turn.acquire()
        except TimeoutError as late:
            raise Unavailable("the sqlite database does not answer: others of this process write to it") from late
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def _session(self, *, writing: bool) -> AsyncGenerator[AsyncSession, None]:
        engine = self._engine.execution_options(weft_write=writing)
        outside = self._inside.get()
        self._inside.set(asyncio.current_task())
        try:
            async with AsyncSession(engine, expire_on_commit=False, autobegin=True) as session:
                yield session
        except Exception as failure:
            told = self.own_word(failure)
            if told is failure:
                raise
            raise told from failure
        finally:
            self._inside.set(outside)

    def own_word(self, failure: Exception) -> Exception:
        """What went wrong in our own words, or the error itself where it is not the database's."""
        # While it connects, asyncpg raises its own errors and the socket's; afterwards SQLAlchemy wraps them.
        if isinstance(failure, TimeoutError):
            return Unavailable(f"the {self.kind} database did not answer in time")
        if isinstance(failure, OSError) or type(failure).__module__.startswith("asyncpg."):
            return Unavailable(f"the {self.kind} database cannot be reached: {failure}")
        if isinstance(failure, exc.IntegrityError) and ("unique" in str(failure.orig).lower()):
            return Conflict("the database already holds this")
        if isinstance(failure, exc.TimeoutError):
            return Unavailable(f"the {self.kind} database does not answer: no free connection")
        if isinstance(failure, exc.DBAPIError):
            return self._refusal(failure)
        return failure

    def _refusal(self, failure: exc.DBAPIError) -> WeftError:
        origin = failure.orig
        code = str(getattr(origin, "sqlstate", None) or "")
        why = (str(getattr(origin, "__cause__", None) or origin).splitlines() or [type(origin).__name__])[0][:200]
        if code == _DISK_FULL or "disk is full" in why or getattr(failure, "errno", None) == errno.ENOSPC:
            return StorageFull("the disk of the database is full; free some space", retry_after_s=30)
        if code.startswith(_UNFIT_VALUE):
            return Invalid(f"the {self.kind} database cannot take one of the values: {why}")
        return Unavailable(f"the {self.kind} database does not answer: {why}")

    @asynccontextmanager
    async def patient_engine(self) -> AsyncGenerator[AsyncEngine, None]:
        """An engine for work that may wait long for another process which is doing the same."""
        if self.kind == "sqlite":
            yield self._engine
            return
        engine = open_engine(self._url, self._settings.model_copy(update={"answer_timeout_s": _PATIENCE_S}))
        try:
            yield engine
        finally:
            await engine.dispose()

    async def probe(self) -> None:
        """Ask the database one question. Raises Unavailable."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give every connection back."""
        await self._engine.dispose()
