"""One process from its first line to its last: workers up, doors open, drained on a signal, everything closed in order.

A worker that fails takes the process with it, because a process that plays a role only in part would answer as if all were
well. The first SIGINT or SIGTERM drains; the second ends at once, which is safe: what was acknowledged is on disk.
"""

import asyncio
import logging
import math
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn

from weft.api.uvicorn_protocol import Connection, FramingProtocol
from weft.app.settings import Settings
from weft.core.errors import Conflict, Invalid, Unsupported, WeftError
from weft.core.worker import Worker

logger = logging.getLogger(__name__)

BACKLOG: Final = 2048
FRAME_MARGIN_BYTES: Final = 4096
"""So much beyond its limit a frame may be for the kit, not the protocol, to refuse it with a sentence."""
HARD_EXIT: Final = 130

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class WorkerFailed(WeftError):
    """A worker ended though nobody asked it to; the process cannot go on."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, and with a word for "the doors are open"."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.opened.set()


class Stop:
    """Says when the process is to end: `wait` returns at the first signal (or `set`), a second signal ends it hard, after
    `last_words`."""

    def __init__(self, last_words: Callable[[], None] = lambda: None) -> None:
        self._asked = asyncio.Event()
        self._signalled = False
        self._last_words = last_words

    def set(self) -> None:
        """Ask for the end."""
        self._asked.set()

    def is_set(self) -> bool:
        """Whether somebody asked for the end."""
        return self._asked.is_set()

    async def wait(self) -> None:
        """Until somebody asks for the end."""
        await self._asked.wait()

    @contextmanager
    def listening(self) -> Generator[None]:
        """Take SIGINT and SIGTERM for as long as the block runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._received)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _received(self) -> None:
        if self._signalled:
            self._last_words()
            os._exit(HARD_EXIT)
        self._signalled = True
        self._asked.set()


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to an address; it listens once a server runs on it. Other processes of this user may bind a shared one
    too, and the kernel deals connections out among those that listen.

    Raises Conflict where the port is taken, Invalid where the address is not ours, Unsupported where ports cannot be shared.
    """
    if shared and not hasattr(socket, "SO_REUSEPORT"):
        raise Unsupported("this system does not let processes share a port; run one process for each port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as unknown:
        raise Invalid(f"'{host}' is not an address this machine can listen on: {unknown}", field="app.host") from unknown
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as refused:
        listener.close()
        raise _bind_error(host, port, refused) from refused
    listener.setblocking(False)
    return listener


def url_of(host: str, port: int) -> str:
    """The address of a listener as this machine reaches it."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _bind_error(host: str, port: int, refused: BaseException | None) -> WeftError:
    if isinstance(refused, PermissionError):
        return Conflict(f"port {port} needs more rights than this user has; choose one above 1023 with --port")
    if "in use" in str(refused):
        return Conflict(f"port {port} on {host} is taken by another program; stop it or choose another with --port")
    return Invalid(f"cannot listen on {host} port {port}: {refused}", field="app.host")


@asynccontextmanager
async def serving(app: Asgi, listener: socket.socket, settings: Settings) -> AsyncGenerator[None]:
    """The application served on a socket while the block runs; then no new connections, and requests in flight finish."""
    server = _Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws=FramingProtocol,
            ws_max_size=settings.api.websocket_max_frame_bytes + FRAME_MARGIN_BYTES,
            lifespan="off",
            backlog=BACKLOG,
            timeout_graceful_shutdown=math.ceil(settings.app.drain_timeout_s),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the edge knows which proxies to trust; uvicorn would trust every local client
            ws_per_message_deflate=False,
        )
    )
    host, port = listener.getsockname()[:2]
    task = asyncio.create_task(server.serve([listener]), name="server")
    await _first(task, server.opened)
    if task.done():
        raise _bind_error(host, port, task.exception())
    try:
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def running(workers: Sequence[Worker], failed: Callable[[WorkerFailed], None]) -> AsyncGenerator[None]:
    """The workers, all started, while the block runs; stopped in reverse order after it.

    `failed` is called once for a worker that ends by itself, while the block still runs.
    Raises WorkerFailed where one ends before it has started.
    """
    async with AsyncExitStack() as stack:
        for worker in workers:
            stack.push_async_callback(_stopped, await _started(worker, failed))
        yield


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _started(worker: Worker, failed: Callable[[WorkerFailed], None]) -> asyncio.Task[None]:
    ready = asyncio.Event()
    task = asyncio.create_task(worker.run(ready.set), name=worker.name)
    await _first(task, ready)
    if task.done():
        raise _failure(worker.name, task)
    task.add_done_callback(lambda done: None if done.cancelled() else failed(_failure(worker.name, done)))
    return task


async def _first(task: asyncio.Task[None], event: asyncio.Event) -> None:
    """Until the event is set or the task is over."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _failure(name: str, task: asyncio.Task[None]) -> WorkerFailed:
    cause = None if task.cancelled() else task.exception()
    why = f"{cause}" if isinstance(cause, WeftError) else f"{type(cause).__name__}: {cause}" if cause else "it ended by itself"
    if cause is not None and not isinstance(cause, WeftError):
        logger.error("worker_failed", exc_info=cause, extra={"worker": name})
    failure = WorkerFailed(f"the worker '{name}' cannot go on: {why}")
    failure.__cause__ = cause
    return failure
