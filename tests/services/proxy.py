"""A TCP proxy that cuts, slows or swallows what passes between a client and a server."""

import asyncio
import contextlib
import threading
from enum import Enum, auto
from typing import Final, Self

CHUNK_BYTES: Final = 65_536


class Line(Enum):
    """What the line does with bytes."""

    FINE = auto()
    DEAD = auto()
    """Connections are refused or dropped."""
    BLACK_HOLE = auto()
    """Connections are accepted, bytes go nowhere, nothing is closed: a firewall that drops packets."""


class TcpProxy:
    """A port of its own in front of a server's. Runs in a thread, so a blocked test cannot block it."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._line = Line.FINE
        self._bytes_per_s: float | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._healed = asyncio.Event()
        self._healed.set()
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *exc: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._call(self._set(Line.DEAD))

    def black_hole(self) -> None:
        """Keep every connection open and let nothing through."""
        self._call(self._set(Line.BLACK_HOLE))

    def slow(self, bytes_per_s: float) -> None:
        """Let each direction of each connection through at this rate."""
        self._bytes_per_s = bytes_per_s

    def heal(self) -> None:
        """Let everything through again."""
        self._bytes_per_s = None
        self._call(self._set(Line.FINE))

    def _call(self, work: "asyncio.coroutines.Coroutine[object, object, None]") -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(2):  # a transport is closed in the turn of the loop after it was aborted
            await asyncio.sleep(0)

    async def _set(self, line: Line) -> None:
        self._line = line
        if line is Line.BLACK_HOLE:
            self._healed.clear()
        else:
            self._healed.set()
        if line is Line.DEAD:
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._line is Line.DEAD:
            return
        await self._healed.wait()
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers.add(server_writer)
        try:
            there = asyncio.ensure_future(self._pump(reader, server_writer))
            back = asyncio.ensure_future(self._pump(server_reader, writer))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in (there, back):
                    pump.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self._writers.discard(server_writer)
            server_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._healed.wait()
                if self._bytes_per_s is not None:
                    await asyncio.sleep(len(chunk) / self._bytes_per_s)
                writer.write(chunk)
                await writer.drain()
