"""RootSigner: once a UTC day is over, signs where the chain ended."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from sqlalchemy import insert, select

from weft.audit.entry import Root
from weft.audit.key import SigningKey
from weft.audit.tables import EntryRow, HeadRow, RootRow
from weft.core.clock import Clock
from weft.core.errors import Conflict, WeftError
from weft.core.times import DAY_US, SECOND_US, to_datetime
from weft.db.database import Database

logger = structlog.get_logger(__name__)

_LONGEST_WAIT_S: Final = 600.0
"""A clock that is set while we wait is noticed within this time."""


class RootSigner:
    """A worker that signs the day before today, if nobody has.

    A day on which no Weft ran has no root of its own; the next one covers its entries too, as each covers everything before.
    """

    def __init__(self, database: Database, key: SigningKey, *, clock: Clock) -> None:
        self._database = database
        self._key = key
        self._clock = clock

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict."""
        return "audit-signer"

    async def run(self, started: Callable[[], None]) -> None:
        """Sign until cancelled. A database that is away only makes it wait."""
        started()
        while True:
            try:
                await self.look()
            except WeftError as failure:
                logger.warning("audit_root_delayed", reason=failure.message)
            left_s = (DAY_US - self._clock.now_us() % DAY_US) / SECOND_US
            await asyncio.sleep(min(left_s, _LONGEST_WAIT_S))

    async def look(self) -> Root | None:
        """Sign yesterday, where the ledger is that old and has no root yet. The log line is a copy outside of the database."""
        now_us = self._clock.now_us()
        today_us = now_us - now_us % DAY_US
        day = to_datetime(now_us - DAY_US).date().isoformat()
        async with self._database.reading() as session:
            known = await session.scalar(select(RootRow.day).where(RootRow.day == day))
            began_us = await session.scalar(select(EntryRow.at_us).where(EntryRow.number == 1))
            head = (await session.execute(select(HeadRow.number, HeadRow.hash))).one_or_none()
        if known is not None or head is None or began_us is None or began_us >= today_us:
            return None
        root = self._key.sign(Root(day=day, number=head[0], hash=head[1], signed_at_us=now_us, key_id=""))
        fields = msgspec.structs.asdict(root)
        try:
            async with self._database.writing() as session:
                await session.execute(insert(RootRow).values(**fields))
        except Conflict:  # another process was faster
            return None
        logger.info("audit_root_signed", **fields)
        return root
