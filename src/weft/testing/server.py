"""A real server on a free port inside a test's event loop."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn

from weft.api.uvicorn_protocol import Connection, FramingProtocol

DRAIN_S = 5.0
"""How long requests may still run when a test is over, before they are cancelled."""


@asynccontextmanager
async def serving(app: Any) -> AsyncGenerator[str]:
    """Serve an ASGI application on 127.0.0.1 and yield its address as `127.0.0.1:<port>`."""
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=Connection,
        ws=FramingProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_per_message_deflate=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    if server.should_exit:
        raise RuntimeError("the application did not start; its log says why")
    await server.on_tick(0)  # makes the Date header
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await _stop(server)
        listener.close()


async def _stop(server: uvicorn.Server) -> None:
    """What uvicorn's own shutdown does, without its pauses of a tenth of a second: there are many tests."""
    state = server.server_state
    for accepting in server.servers:
        accepting.close()
    for connection in list(state.connections):
        connection.shutdown()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.001)
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    await server.lifespan.shutdown()
