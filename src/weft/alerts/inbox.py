"""Inbox: what was read from the log and not worked on yet, bounded in bytes, so that one transaction can take many batches."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final, Self

from weft.core.batch import LogBatch
from weft.core.position import Positions
from weft.log.port import Log

MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_EVENTS: Final = 2_000


class Inbox:
    """Follows topics from given positions on, and sets `came` when something is there.

    Opened by `async with`; a failure of the log comes out of `take`.
    """

    def __init__(self, log: Log, group: str, topics: Sequence[str], start: Positions, came: asyncio.Event) -> None:
        self._log = log
        self._group = group
        self._topics = topics
        self._start = start
        self._ready: deque[LogBatch] = deque()
        self._bytes = 0
        self._came = came
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._room.set()
        if self._topics:
            self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and reading goes on."""
        return not self._ready and (self._task is None or not self._task.done())

    def take(self) -> list[LogBatch]:
        """What waits, up to a few thousand events. Raises what reading failed with."""
        taken: list[LogBatch] = []
        events = 0
        while self._ready and events < _MOST_EVENTS:
            batch = self._ready.popleft()
            self._bytes -= batch.size_bytes
            events += batch.count
            taken.append(batch)
        if not taken and self._task is not None and self._task.done():
            self._task.result()
        self._room.set()
        return taken

    async def _read(self) -> None:
        try:
            async with aclosing(self._log.follow(self._group, self._topics, start=self._start)) as batches:
                async for batch in batches:
                    self._ready.append(batch)
                    self._bytes += batch.size_bytes
                    self._came.set()
                    while self._bytes > MOST_BYTES:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._came.set()
