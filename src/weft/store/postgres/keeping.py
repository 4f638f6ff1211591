"""Keeping the tables: months made ahead, months dropped when they are past retention, and erasures."""

from dataclasses import dataclass
from typing import Final

import structlog

from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Busy
from weft.store.postgres.connect import Link
from weft.store.postgres.months import AFTER, Months, end_of, month_at, name_of
from weft.store.postgres.questions import Parameters
from weft.store.postgres.schema import lock_key, quoted
from weft.store.postgres.take import KEY_SQL
from weft.store.postgres.timescale import chunks_sql
from weft.store.settings import StoreSettings

logger = structlog.get_logger(__name__)

_LOCK_TIMEOUT_MS: Final = 3_000
_RETIRE_EVERY_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Book:
    """Where removed events are counted, and whether their bytes have to be gone from the files too."""

    column: str
    leaves_no_bytes: bool


_ERASED: Final = _Book("erased", leaves_no_bytes=True)
_RETIRED: Final = _Book("retired", leaves_no_bytes=False)


class Keeping:
    """Looks after the tables of one schema."""

    def __init__(self, schema: str, months: Months, settings: StoreSettings, clock: Clock) -> None:
        self._schema = schema
        self._name = quoted(schema)
        self._months = months
        self._settings = settings
        self._clock = clock
        self._retired_s: float | None = None

    async def make_ahead(self, link: Link) -> None:
        """Make the partitions of this month and the next ones."""
        now = month_at(self._clock.now_us())
        ahead = self._settings.postgres.months_ahead
        await self._months.ensure(link, range(now, min(now + ahead, AFTER) + 1))

    async def tidy(self, link: Link) -> None:
        """Make partitions ahead of time, finish erasures, and now and then remove what is past retention."""
        await self.make_ahead(link)
        await self.rewrite(link)
        if self._settings.retention_s is None and not self._settings.retention_by_topic_s:
            return
        now_s = self._clock.steady_s()
        if self._retired_s is None or now_s - self._retired_s >= _RETIRE_EVERY_S:
            await self.retire(link)
            self._retired_s = now_s

    async def retire(self, link: Link) -> None:
        """Remove what is past retention: whole months by dropping them, the rest event by event."""
        topics = [topic for (topic,) in await link.rows(f"SELECT DISTINCT topic FROM {self._name}.event_positions ORDER BY 1")]
        cutoffs = {topic: self._settings.cutoff_us(topic, self._clock.now_us()) for topic in topics}
        oldest_kept = min((-(10**18) if cutoff is None else cutoff for cutoff in cutoffs.values()), default=None)
        for table, end_us in await self._parts(link):
            if oldest_kept is not None and end_us is not None and end_us <= oldest_kept:
                await self._drop(link, table)
        old = 'topic = $1::text AND "timestamp" < $2::timestamptz'
        for topic, cutoff in cutoffs.items():
            there = f"SELECT EXISTS (SELECT 1 FROM {self._name}.events WHERE {old})"
            if cutoff is not None and await link.value(there, topic, cutoff):
                await self._remove(link, _RETIRED, old, [topic, cutoff])

    async def erase(self, link: Link, erasure: Erasure) -> int:
        """Remove matching events, and their bytes from the tables' files."""
        parameters = Parameters()
        parts = [
            f"{column} = {parameters.text(value)}"
            for column, value in (("source", erasure.source), ("subject", erasure.subject), ("user_id", erasure.user_id))
            if value is not None
        ]
        if erasure.start_us is not None:
            parts.append(f'"timestamp" >= {parameters.add(erasure.start_us, "timestamptz")}')
        if erasure.end_us is not None:
            parts.append(f'"timestamp" < {parameters.add(erasure.end_us, "timestamptz")}')
        count = await self._remove(link, _ERASED, " AND ".join(parts), parameters.values)
        await self.rewrite(link)
        return count

    async def rewrite(self, link: Link) -> None:
        """Write the tables anew that still hold the bytes of erased events. What fails now is done when tidying up."""
        for (table,) in await link.rows(f"SELECT name FROM {self._name}.event_rewrites ORDER BY 1"):
            if await link.value("SELECT to_regclass($1)", table) is not None:
                await link.run(f"VACUUM (FULL) {table}")
            await link.run(f"DELETE FROM {self._name}.event_rewrites WHERE name = $1", table)

    async def _remove(self, link: Link, book: "_Book", where: str, values: list[object]) -> int:
        """Delete events, their ids, and book them, in one transaction."""
        name = self._name
        tables = "SELECT DISTINCT tableoid::regclass::text FROM gone"
        rewrites = f"INSERT INTO {name}.event_rewrites {tables} ON CONFLICT DO NOTHING"
        also = f" rewrites AS ({rewrites})," if book.leaves_no_bytes else ""
        async with link.transaction():
            await link.run("SET LOCAL search_path = pg_catalog")  # so that names of tables are written with their schema
            await link.run(f'SELECT 1 FROM {name}.event_positions ORDER BY topic, "partition" FOR UPDATE')
            return await link.value(
                f'WITH gone AS (DELETE FROM {name}.events WHERE {where} RETURNING tableoid, topic, "partition", source, id),'
                f" keys AS (DELETE FROM {name}.event_ids WHERE key IN (SELECT {KEY_SQL} FROM gone)),"
                f' counts AS (SELECT topic, "partition", count(*) AS number FROM gone GROUP BY 1, 2),{also}'
                f" booked AS (UPDATE {name}.event_positions AS p SET {book.column} = p.{book.column} + counts.number"
                ' FROM counts WHERE p.topic = counts.topic AND p."partition" = counts."partition")'
                " SELECT coalesce(sum(number), 0)::bigint FROM counts",
                *values,
            )

    async def _parts(self, link: Link) -> list[tuple[str, int | None]]:
        """The months, or chunks, as SQL, and when they end."""
        if self._months.is_hypertable:
            return [(table, end_us) for table, end_us in await link.rows(chunks_sql(), self._schema)]
        return [(f"{self._name}.{quoted(name_of(month))}", end_of(month)) for month in await self._months.there(link)]

    async def _drop(self, link: Link, table: str) -> None:
        """Drop a month whose events are all past retention. Where somebody holds it locked for long, the next round does it."""
        try:
            async with link.transaction():
                await link.run(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
                await link.run("SELECT pg_advisory_xact_lock($1)", lock_key(self._schema, "partitions"))
                if table not in {there for there, _ in await self._parts(link)}:
                    return
                await link.run(f'SELECT 1 FROM {self._name}.event_positions ORDER BY topic, "partition" FOR UPDATE')
                await link.run(
                    f"UPDATE {self._name}.event_positions AS p SET retired = p.retired + counts.number FROM"
                    f' (SELECT topic, "partition", count(*) AS number FROM {table} GROUP BY 1, 2) AS counts'
                    ' WHERE p.topic = counts.topic AND p."partition" = counts."partition"'
                )
                await link.run(f"DELETE FROM {self._name}.event_ids WHERE key IN (SELECT {KEY_SQL} FROM {table})")
                await link.run(f"DROP TABLE {table}")
        except Busy as held:
            logger.info("store_month_kept", table=table, reason=held.message)
        else:
            logger.info("store_month_dropped", table=table)
        self._months.forget()
