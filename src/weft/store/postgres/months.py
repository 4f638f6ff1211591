"""Monthly partitions of `events`: their names and bounds, made ahead of time and on demand.

There is no default partition: rows that lie in one have to be searched and moved whenever a month is split off, under a lock
that stops everybody. Instead every time has a partition that can be named beforehand: a month from 2000 to 2099, everything
older in `events_before_2000`, everything later in `events_from_2100`. So there can never be more than 1,202.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from weft.core.times import from_datetime, to_datetime
from weft.store.postgres.connect import Link
from weft.store.postgres.schema import has_table, lock_key, quoted

FIRST_MONTH: Final = (2000 - 1970) * 12
LAST_MONTH: Final = (2100 - 1970) * 12
BEFORE: Final = FIRST_MONTH - 1
"""Stands for everything before the first month."""
AFTER: Final = LAST_MONTH
"""Stands for everything from the last month on."""

Month = int
"""Months since January 1970."""


def months_of(times_us: npt.NDArray[np.int64]) -> list[Month]:
    """The partitions that hold these times."""
    months = times_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return np.unique(np.clip(months, BEFORE, AFTER)).tolist()


def month_at(time_us: int) -> Month:
    """The partition that holds a time."""
    moment = to_datetime(time_us)
    return min(max((moment.year - 1970) * 12 + moment.month - 1, BEFORE), AFTER)


def name_of(month: Month) -> str:
    """The table of a month."""
    if month == BEFORE:
        return "events_before_2000"
    if month == AFTER:
        return "events_from_2100"
    return f"events_{1970 + month // 12:04}_{month % 12 + 1:02}"


def month_of(name: str) -> Month | None:
    """The month of a table; None where it is no partition of ours."""
    if name == name_of(BEFORE):
        return BEFORE
    if name == name_of(AFTER):
        return AFTER
    year, _, month = name.removeprefix("events_").partition("_")
    if len(name) == len("events_2026_01") and year.isdigit() and month.isdigit() and 1 <= int(month) <= 12:
        return (int(year) - 1970) * 12 + int(month) - 1
    return None


def end_of(month: Month) -> int | None:
    """Microseconds of the end of a partition; None where it has none."""
    return None if month == AFTER else _start_of(month + 1)


def _start_of(month: Month) -> int:
    return from_datetime(datetime(1970 + month // 12, month % 12 + 1, 1, tzinfo=UTC))


def _bound(month: Month) -> str:
    if month == BEFORE:
        return "MINVALUE"
    if month > AFTER:
        return "MAXVALUE"
    return f"'{1970 + month // 12:04}-{month % 12 + 1:02}-01 00:00:00+00'"


class Months:
    """The partitions that are known to exist, and making the others."""

    def __init__(self, schema: str) -> None:
        self.is_hypertable = False
        """A hypertable makes its chunks itself."""
        self._schema = schema
        self._known: set[Month] = set()
        self._making = asyncio.Lock()

    def forget(self) -> None:
        """Look again what there is: another process may have dropped one."""
        self._known = set()

    async def ensure(self, link: Link, months: Iterable[Month]) -> None:
        """Make the partitions that are missing."""
        wanted = set(months)
        if wanted <= self._known or self.is_hypertable:
            return
        async with self._making:
            self._known = set(await self.there(link))
            for month in sorted(wanted - self._known):
                await self._make(link, month)
                self._known.add(month)

    async def there(self, link: Link) -> list[Month]:
        """The partitions there are, in order."""
        names = await link.rows(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)",
            f"{quoted(self._schema)}.events",
        )
        months = (month_of(name) for (name,) in names)
        return sorted(month for month in months if month is not None)

    async def _make(self, link: Link, month: Month) -> None:
        """Made apart and then attached: that locks out nobody who reads or writes other months."""
        table = f"{quoted(self._schema)}.{quoted(name_of(month))}"
        events = f"{quoted(self._schema)}.events"
        async with link.transaction():
            await link.run("SELECT pg_advisory_xact_lock($1)", lock_key(self._schema, "partitions"))
            if await has_table(link, self._schema, name_of(month)):
                return
            await link.run(f"CREATE TABLE {table} (LIKE {events} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            await link.run(
                f"ALTER TABLE {events} ATTACH PARTITION {table} FOR VALUES FROM ({_bound(month)}) TO ({_bound(month + 1)})"
            )
