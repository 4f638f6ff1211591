"""A process that delivers: opens the database and the log it is given and runs the deliverer until it is killed."""

import asyncio
import sys

from weft.alerts.notify.parts import NotifyParts
from weft.alerts.notify.settings import NotifySettings
from weft.auth.secrets import Cipher
from weft.core.clock import SystemClock
from weft.db.database import Database
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog


async def main(url: str, log_url: str, key: str) -> None:
    clock, database = SystemClock(), Database(url)
    async with SqliteLog(log_url, settings=LogSettings(partitions=1), clock=clock) as log:
        parts = NotifyParts.of(
            database,
            log,
            cipher=Cipher([key.encode()]),
            settings=NotifySettings(send_timeout_s=10, group_interval_s=0, messages_per_minute=10_000),
            environment="development",
            clock=clock,
        )
        await parts.deliverer.run(lambda: print("started", flush=True))


asyncio.run(main(*sys.argv[1:]))
