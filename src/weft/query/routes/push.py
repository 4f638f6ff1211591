"""Talking with the client of a WebSocket: pushing to it while listening whether it is still there."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from weft.api.websocket import Socket


async def push_until_gone(socket: Socket, push: Coroutine[Any, Any, None]) -> None:
    """Run `push` until it ends or the client is gone. What the client sends is read and, pings apart, ignored."""
    await until_either_ends(push, _listen(socket))


async def until_either_ends(push: Coroutine[Any, Any, None], listen: Coroutine[Any, Any, None]) -> None:
    """Run both until one ends, then end the other. Raises what ended it."""
    pushing = asyncio.create_task(push)
    listening = asyncio.create_task(listen)
    try:
        done, _ = await asyncio.wait({pushing, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pushing, listening):
            task.cancel()
        await asyncio.gather(pushing, listening, return_exceptions=True)
    for task in done:
        task.result()


async def _listen(socket: Socket) -> None:
    async for _ in socket:
        pass
