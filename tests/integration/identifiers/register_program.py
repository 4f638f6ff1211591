"""A process that registers: opens the database it is given and runs the registrar until it is killed."""

import asyncio
import json
import sys

from weft.core.clock import SystemClock
from weft.db.database import Database
from weft.identifiers.parts import IdentifierParts
from weft.identifiers.settings import IdentifiersSettings


async def main(url: str, settings: str) -> None:
    database = Database(url)
    parts = IdentifierParts.of(database, settings=IdentifiersSettings.model_validate(json.loads(settings)), clock=SystemClock())
    await parts.registrar.run(lambda: print("started", flush=True))


asyncio.run(main(*sys.argv[1:]))
