"""Waiting for what nobody announces."""

import asyncio
from collections.abc import Callable

from weft.testing.log_ground import WAIT_S


async def until(condition: Callable[[], bool]) -> None:
    """Return once something is so; fails after a long while."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.01)
