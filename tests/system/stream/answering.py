"""A process that answers the queries of a folder until it is killed. Run by the tests beside it."""

import asyncio
import sys
from pathlib import Path

from weft.api.metrics import Metrics
from weft.core.clock import SystemClock
from weft.db.database import Database
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.catalogue import Catalogue
from weft.stream.runner import StreamRunner
from weft.stream.settings import StreamSettings
from weft.stream.tally import Tally


async def main(folder: Path) -> None:
    clock = SystemClock()
    database = Database(f"sqlite:///{folder / 'weft.db'}")
    async with SqliteLog(f"sqlite://{folder / 'log'}", settings=LogSettings(), clock=clock) as log:
        runner = StreamRunner(
            log=log,
            database=database,
            catalogue=Catalogue(database, log, clock),
            clock=clock,
            settings=StreamSettings(built_in_queries=False, save_interval_s=0.1),
            tally=Tally(Metrics()),
        )
        await runner.run(lambda: print("ready", flush=True))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
