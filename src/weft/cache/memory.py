"""The cache inside one process: what stands in for a server where there is only this process to share with."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Generic, TypeVar

from weft.cache.port import Cache, Window
from weft.cache.settings import CacheSettings
from weft.core.clock import Clock
from weft.core.errors import Unavailable
from weft.core.times import SECOND_US

QUEUE: Final = 10_000
"""Messages that may wait for one subscriber."""

Entry = TypeVar("Entry")


class MemoryCache(Cache):
    """Counters, values and channels in this process, ended by its own clock. Nobody else shares it."""

    reach = "process"

    def __init__(self, url: str, *, settings: CacheSettings, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._windows: _Ending[_Count] = _Ending(settings.max_entries)
        self._values: _Ending[bytes] = _Ending(settings.max_entries)
        self._queues: dict[str, set[_Queue]] = {}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for queue in [queue for queues in self._queues.values() for queue in queues]:
            queue.fail("the cache was closed")

    async def hit(self, keys: Sequence[str], window_s: float) -> Sequence[Window]:
        """See `Cache`."""
        now_s = self._clock.steady_s()
        windows: list[Window] = []
        for key in keys:
            found = self._windows.find(key, now_s)
            if found is None:
                found = _Count(self._clock.now_us() + int(window_s * SECOND_US)), now_s + window_s
                self._windows.keep(key, *found, now_s)
            count, ends_s = found
            count.hits += 1
            windows.append(Window(count.hits, ends_s - now_s, count.ends_at_us))
        return windows

    async def put(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """See `Cache`."""
        now_s = self._clock.steady_s()
        for key, value in values.items():
            self._values.keep(key, value, now_s + ttl_s, now_s)

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See `Cache`."""
        now_s = self._clock.steady_s()
        found = [self._values.find(key, now_s) for key in keys]
        return [None if entry is None else entry[0] for entry in found]

    async def publish(self, channel: str, message: bytes) -> None:
        """See `Cache`."""
        for queue in self._queues.get(channel, ()):
            queue.add(message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `Cache`."""
        queue = _Queue()
        queues = self._queues.setdefault(channel, set())
        queues.add(queue)
        try:
            yield queue
        finally:
            queues.discard(queue)
            if not queues:
                self._queues.pop(channel, None)


class _Count:
    __slots__ = ("ends_at_us", "hits")

    def __init__(self, ends_at_us: int) -> None:
        self.ends_at_us = ends_at_us
        self.hits = 0


class _Ending(Generic[Entry]):
    """Entries that end by themselves, at most so many; the oldest make room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[str, tuple[Entry, float]] = {}  # in the order they came

    def find(self, key: str, now_s: float) -> tuple[Entry, float] | None:
        """An entry and when it ends."""
        found = self._entries.get(key)
        return found if found is not None and now_s < found[1] else None

    def keep(self, key: str, entry: Entry, ends_s: float, now_s: float) -> None:
        """Keep an entry until it ends."""
        self._entries.pop(key, None)
        while self._entries:
            oldest = next(iter(self._entries))
            if len(self._entries) < self._most and now_s < self._entries[oldest][1]:
                break
            del self._entries[oldest]
        self._entries[key] = entry, ends_s


class _Queue(AsyncIterator[bytes]):
    """What one subscriber has still to read."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._failure: str | None = None
        self._changed = asyncio.Event()

    def add(self, message: bytes) -> None:
        """Hand over a message."""
        if len(self._messages) >= QUEUE:
            self.fail(f"more than {QUEUE} messages waited for one subscriber")
        self._messages.append(message)
        self._changed.set()

    def fail(self, why: str) -> None:
        """Nothing that comes from here on is complete."""
        self._failure = why
        self._changed.set()

    async def __anext__(self) -> bytes:
        while True:
            if self._failure is not None:
                raise Unavailable(self._failure)
            if self._messages:
                return self._messages.popleft()
            self._changed.clear()
            await self._changed.wait()
