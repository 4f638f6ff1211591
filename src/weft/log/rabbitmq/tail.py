"""Tails: readings that stay at the end of a stream and hear what other processes write."""

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Final

from weft.core.errors import TimedOut, Unavailable
from weft.log.rabbitmq.broker import Link, Message, Outcome, Publisher, StreamReader
from weft.log.rabbitmq.connection import Connection, endlessly
from weft.log.rabbitmq.cursor import Cursor
from weft.log.rabbitmq.entry import MARKER, Entry, encode
from weft.log.rabbitmq.ledger import Ledger

PREFETCH: Final = 16
"""Entries on their way to a reader; each holds at most about a mebibyte."""


class Marks:
    """Markers on their way through a stream."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Future[None]] = {}

    def new(self) -> tuple[str, asyncio.Future[None]]:
        """A word to write, and what is done once it comes back."""
        nonce = token_hex(8)
        seen = self._awaited[nonce] = asyncio.get_running_loop().create_future()
        return nonce, seen

    def came(self, nonce: str) -> None:
        """A word came back."""
        seen = self._awaited.pop(nonce, None)
        if seen is not None and not seen.done():
            seen.set_result(None)

    def forget(self, nonce: str) -> None:
        """Nobody waits for it any more."""
        self._awaited.pop(nonce, None)


def marker(nonce: str) -> bytes:
    """An entry that only comes back."""
    return encode(Entry(MARKER, -1, nonce))


class Tail:
    """Stays at the end of one partition."""

    def __init__(
        self, partition: int, stream: str, checkpoint: int, connection: Connection, heard: Callable[[int, int, Entry], None]
    ) -> None:
        self.partition = partition
        self.stream = stream
        self.cursor = Cursor(checkpoint)
        self.marks = Marks()
        self._connection = connection
        self._heard = heard
        self._task = asyncio.create_task(endlessly(connection, self._listen), name=f"rabbitmq-tail-{partition}")

    def stop(self) -> None:
        """Stop listening."""
        self._task.cancel()

    async def _listen(self, link: Link) -> None:
        async with link.stream(self.stream, self.cursor.position, prefetch=PREFETCH) as stream:
            while True:
                await self._step(stream)

    async def _step(self, stream: StreamReader) -> None:
        delivered = await stream.next()
        if delivered.position < self.cursor.position:
            return
        entry = self.cursor.take(delivered)
        if entry is None:
            return
        if entry.kind == MARKER:
            self.marks.came(entry.nonce)
        elif self.cursor.ends is not None:
            self._heard(self.partition, delivered.position, entry)


class LedgerTail:
    """Stays at the end of the ledger."""

    def __init__(self, ledger: Ledger, stream: str, connection: Connection, heard: Callable[[], None]) -> None:
        self.marks = Marks()
        self._ledger = ledger
        self._stream = stream
        self._position: int | str = "first"
        self._heard = heard
        self._task = asyncio.create_task(endlessly(connection, self._listen), name="rabbitmq-ledger")

    def stop(self) -> None:
        """Stop listening."""
        self._task.cancel()

    async def _listen(self, link: Link) -> None:
        async with link.stream(self._stream, self._position, prefetch=PREFETCH) as stream:
            while True:
                delivered = await stream.next()
                self._position = delivered.position + 1
                nonce = self._ledger.join(delivered.body)
                self._heard()
                if nonce:
                    self.marks.came(nonce)


async def write(publisher: Publisher, stream: str, body: bytes, doing: str) -> None:
    """Publish one message into a stream and wait until it is kept."""
    (outcome,) = await publisher.publish([Message(stream, body, mandatory=True)])
    if outcome is not Outcome.KEPT:
        raise Unavailable(f"RabbitMQ did not keep what was written to {stream} while {doing} ({outcome.name.lower()})")


async def comes_back(seen: "asyncio.Future[None]", link: Link, timeout_s: float, stream: str) -> None:
    """Wait until a marker was seen."""
    lost = asyncio.ensure_future(link.lost.wait())
    try:
        await asyncio.wait({seen, lost}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if seen.done() and not seen.cancelled():
            return
        if lost.done():
            raise Unavailable(f"the connection to RabbitMQ was lost: {link.reason}")
        raise TimedOut(f"the stream {stream} of RabbitMQ did not show in {timeout_s:g} s what was written to it")
    finally:
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
