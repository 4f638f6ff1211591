"""Pull: a place in a view read one update at a time, for feeds that are no `/ws/live`."""

import asyncio
from collections.abc import AsyncGenerator

from weft.query.live.seat import Place
from weft.query.live.update import PROGRESS, Update


async def pulled(place: Place, quiet_s: float) -> AsyncGenerator[Update | None]:
    """What there is to tell, endlessly; None after `quiet_s` seconds of silence. Raises why the view ended."""
    loop = asyncio.get_running_loop()
    due_s = loop.time() + quiet_s
    while True:
        update = await place.next()
        if update is None:
            try:
                async with asyncio.timeout_at(due_s):
                    await place.moved()
            except TimeoutError:
                update = None
            else:
                continue
        elif update is PROGRESS:
            await asyncio.sleep(0)
            if loop.time() < due_s:
                continue
            update = None
        yield update
        due_s = loop.time() + quiet_s
