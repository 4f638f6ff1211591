"""A process that changes something and writes it down, again and again, until it is killed."""

import asyncio

from sqlalchemy import insert

from tests.integration.audit.conftest import deed
from weft.audit.ledger import Ledger
from weft.core.clock import SystemClock
from weft.db.database import Database
from weft.db.tables import LeaseRow


def write_until_killed(url: str, name: str, done: str) -> None:
    """What the forked process does. What it has committed is a line in the file `done`."""
    asyncio.run(_write(url, name, done))


async def _write(url: str, name: str, done: str) -> None:
    database = Database(url)
    ledger = Ledger(database, SystemClock())
    number = 0
    with open(done, "a", buffering=1) as acknowledged:  # noqa: ASYNC230, PTH123 - a line at a time, straight to the system
        while True:
            number += 1
            row = f"{name}-{number}"
            async with database.writing() as session:
                await session.execute(insert(LeaseRow).values(name=row, holder="", epoch=1, renewals=0))
                await ledger.record(session, deed(row))
            acknowledged.write(f"{row}\n")
