"""Lease: of all processes on one database, one does a piece of work; where it dies, another one goes on.

Safe through fencing, not through time: every change of hands raises the epoch, and work is written down together with
`check`, in one transaction. A process that slept through its lease finds another epoch there, and nothing it did is kept.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.clock import Clock
from weft.core.errors import Conflict, Unavailable
from weft.db.database import Database
from weft.db.tables import LeaseRow

logger = logging.getLogger(__name__)

TTL_S: Final = 10.0
"""How long a lease may go unrenewed before another process takes it."""
_RENEWALS_IN_TTL: Final = 4
_NOBODY: Final = ""
_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
_PIDS_FILE: Final = Path("/proc/self/ns/pid")


class Lease:
    """The right to do the work of this name, once `acquire` has returned and until another process takes it."""

    def __init__(self, database: Database, name: str, *, clock: Clock, ttl_s: float = TTL_S) -> None:
        self.name = name
        self._database = database
        self._clock = clock
        self._ttl_s = ttl_s
        self._me = f"{_machine()}/{os.getpid()}/{uuid4().hex[:12]}"
        self._epoch: int | None = None
        self._seen: tuple[int, int] | None = None
        self._seen_at_s = 0.0

    @property
    def epoch(self) -> int | None:
        """The number of this tenure, larger than that of every one before; None while it is not ours."""
        return self._epoch

    async def acquire(self) -> int:
        """Wait until it is ours; returns the epoch. A database that is away only makes it wait longer."""
        while True:
            try:
                if await self.try_acquire():
                    return cast("int", self._epoch)
            except Unavailable as away:
                logger.warning("lease_delayed", extra={"lease": self.name, "why": away.message})
            await asyncio.sleep(self._ttl_s / _RENEWALS_IN_TTL)

    async def try_acquire(self) -> bool:
        """Take it where nobody has it, or its holder is gone or was not heard of for the whole time. Raises Unavailable."""
        try:
            async with self._database.writing() as session:
                row = await session.scalar(select(LeaseRow).where(LeaseRow.name == self.name).with_for_update())
                epoch = 1 if row is None else row.epoch + 1
                if row is None:
                    first = {"name": self.name, "holder": self._me, "epoch": epoch, "renewals": 0}
                    await session.execute(insert(LeaseRow).values(first))
                elif self._may_take(row):
                    row.holder, row.epoch, row.renewals = self._me, epoch, 0
                else:
                    return False
        except Conflict:  # another process made the first row at the same moment
            return False
        self._epoch = epoch
        return True

    async def renew(self) -> None:
        """Say that we are alive. Raises Conflict where another process has it, Unavailable."""
        async with self._database.writing() as session:
            await self.check(session)

    async def check(self, session: AsyncSession) -> None:
        """Inside a transaction that writes: nobody else has had it until this transaction ends. Raises Conflict.

        The row stays locked until then, so that a tenure cannot end between the check and the commit. It renews the lease too.
        """
        ours = (LeaseRow.name == self.name) & (LeaseRow.holder == self._me) & (LeaseRow.epoch == self._epoch)
        alive = update(LeaseRow).where(ours).values(renewals=LeaseRow.renewals + 1)
        result = cast("CursorResult[Any]", await session.execute(alive, execution_options={"synchronize_session": False}))
        if result.rowcount != 1:
            self._epoch = None
            raise Conflict(f"another process has taken over '{self.name}'", lease=self.name)

    async def release(self) -> None:
        """Give it back, so that nobody has to wait. Where it is no longer ours, or the database is away, nothing happens."""
        ours = (LeaseRow.name == self.name) & (LeaseRow.holder == self._me)
        self._epoch = None
        try:
            async with self._database.writing() as session:
                await session.execute(update(LeaseRow).where(ours).values(holder=_NOBODY))
        except Unavailable as away:
            logger.warning("lease_not_released", extra={"lease": self.name, "why": away.message})

    async def hold(self, work: Callable[[], Awaitable[None]]) -> None:
        """Acquire it, do the work while renewing it, release it. Returns when the work is done or the lease was lost: then the
        work is cancelled first. Whoever wants to go on calls it again."""
        await self.acquire()
        doing = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._keep_renewing())
        try:
            await asyncio.wait([doing, renewing], return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                logger.warning("lease_lost", extra={"lease": self.name})
        finally:
            for task in (doing, renewing):
                task.cancel()
            await asyncio.gather(doing, renewing, return_exceptions=True)
            await self.release()
        _pass_on(doing, self.name)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._ttl_s / _RENEWALS_IN_TTL)
            try:
                await self.renew()
            except Conflict:
                return
            except Unavailable as away:  # nobody else can take it meanwhile either
                logger.warning("lease_not_renewed", extra={"lease": self.name, "why": away.message})

    def _may_take(self, row: LeaseRow) -> bool:
        if row.holder in {_NOBODY, self._me} or _is_gone(row.holder):
            return True
        now_s, seen = self._clock.steady_s(), (row.epoch, row.renewals)
        if seen != self._seen:
            self._seen, self._seen_at_s = seen, now_s
        return now_s - self._seen_at_s >= self._ttl_s


def _pass_on(done: "asyncio.Future[None]", name: str) -> None:
    """What the work ended with; that it was fenced off is no failure."""
    if done.cancelled() or (failure := done.exception()) is None:
        return
    if isinstance(failure, Conflict) and failure.details.get("lease") == name:
        logger.warning("lease_lost", extra={"lease": name})
        return
    raise failure


def _machine() -> str:
    """What tells the process numbers of this machine, and of this container on it, from all others; empty where unknown."""
    try:
        return f"{_BOOT_FILE.read_text(encoding='ascii').strip()}:{_PIDS_FILE.readlink().name}"
    except OSError:
        return ""


def _is_gone(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer runs."""
    machine, pid, _ = holder.split("/")
    if not machine or machine != _machine():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it runs, as somebody else
        return False
    return False
