"""Announcing: transitions become events in the topic `alerts`, each once, whatever died between commit and append."""

from typing import Final

import msgspec
import numpy as np
from sqlalchemy import delete, func, select, tuple_

from weft.alerts.identity import TOPIC
from weft.alerts.record import SOURCE
from weft.alerts.tables import AnnouncementRow
from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.repeat import repeat_keys
from weft.db.database import Database
from weft.log.port import Log

_AT_ONCE: Final = 200


class _Source(msgspec.Struct):
    source: str = SOURCE


_SOURCE: Final = msgspec.json.Decoder(_Source)


class Announcer:
    """Empties the table of announcements into the log. What is said twice has the same id both times."""

    def __init__(self, database: Database, log: Log, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._clock = clock

    async def tell(self) -> int:
        """Append everything that waits; returns how much that was. Raises Unavailable, Busy; then it goes on waiting."""
        told = 0
        while (count := await self._tell_some()) == _AT_ONCE:
            told += count
        return told + count

    async def waiting(self) -> tuple[int, int | None]:
        """How many wait, and since when the oldest does."""
        asked = select(func.count(), func.min(AnnouncementRow.made_at_us)).select_from(AnnouncementRow)
        async with self._database.reading() as session:
            count, oldest_us = (await session.execute(asked)).one()
            return int(count), oldest_us

    async def _tell_some(self) -> int:
        oldest = (AnnouncementRow.made_at_us, AnnouncementRow.fingerprint, AnnouncementRow.number)
        async with self._database.reading() as session:
            rows = (await session.scalars(select(AnnouncementRow).order_by(*oldest).limit(_AT_ONCE))).all()
        if not rows:
            return 0
        sources = [_SOURCE.decode(row.row).source for row in rows]
        ids = [row.event_id for row in rows]
        await self._log.append(
            Batch(
                topic=TOPIC,
                rows=",".join(row.row for row in rows).encode(),
                ids=ids,
                times_us=np.array([row.made_at_us for row in rows], dtype=np.int64),
                received_at_us=self._clock.now_us(),
                repeat_keys=repeat_keys(sources, ids),
            )
        )
        done = tuple_(AnnouncementRow.fingerprint, AnnouncementRow.number).in_([(row.fingerprint, row.number) for row in rows])
        async with self._database.writing() as session:
            await session.execute(delete(AnnouncementRow).where(done), execution_options={"synchronize_session": False})
        return len(rows)
