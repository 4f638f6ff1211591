"""Circuit: a cache that failed is left alone for a moment, so that one that is away costs time once, not at every question."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self, TypeVar

from weft.cache.port import Cache, Window
from weft.cache.settings import CacheSettings
from weft.core.clock import Clock
from weft.core.errors import Unavailable

logger = logging.getLogger(__name__)

_TOLD_EVERY_S: Final = 60.0
_PROBE_TTL_S: Final = 10.0

Answer = TypeVar("Answer")


class Circuit(Cache):
    """Passes questions on. After one failed, the next are refused at once, until a look at the cache finds it well.

    One look at a time, in the background, `CacheSettings.retry_s` after the last: no caller waits for it.
    """

    def __init__(self, cache: Cache, *, settings: CacheSettings, clock: Clock) -> None:
        self.reach = cache.reach
        self._cache = cache
        self._retry_s = settings.retry_s
        self._clock = clock
        self._away: str | None = None
        self._again_at_s = 0.0
        self._told_at_s: float | None = None
        self._looking: asyncio.Task[None] | None = None
        self._mark = secrets.token_hex(8)

    async def __aenter__(self) -> Self:
        await self._cache.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._cache.__aexit__(kind, error, trace)

    async def hit(self, keys: Sequence[str], window_s: float) -> Sequence[Window]:
        """See `Cache`."""
        self._check()
        return await self._told(self._cache.hit(keys, window_s))

    async def put(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """See `Cache`."""
        self._check()
        await self._told(self._cache.put(values, ttl_s))

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See `Cache`."""
        self._check()
        return await self._told(self._cache.get_many(keys))

    async def publish(self, channel: str, message: bytes) -> None:
        """See `Cache`."""
        self._check()
        await self._told(self._cache.publish(channel, message))

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """See `Cache`. A subscriber has a line of its own and waits for nobody, so it is never refused here."""
        return self._cache.subscribe(channel)

    async def probe(self) -> None:
        """Really look, whatever was found a moment ago: is what is written read back? Raises Unavailable."""
        await asyncio.shield(self._look_once())
        if self._away is not None:
            raise Unavailable(self._away)

    @property
    def is_away(self) -> bool:
        """Whether it is being left alone."""
        return self._away is not None

    def _check(self) -> None:
        if self._away is None:
            return
        if self._clock.steady_s() >= self._again_at_s:
            self._look_once()
        raise Unavailable(self._away)

    async def _told(self, answer: Awaitable[Answer]) -> Answer:
        try:
            return await answer
        except Unavailable as away:
            self._failed(away.message)
            raise

    def _look_once(self) -> "asyncio.Task[None]":
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="cache-look")
        return self._looking

    async def _look(self) -> None:
        key = f"probe:{self._mark}"
        said = secrets.token_bytes(8)
        try:
            await self._cache.put({key: said}, _PROBE_TTL_S)
            (heard,) = await self._cache.get_many([key])
        except Unavailable as away:
            self._failed(away.message)
            return
        if heard == said:
            self._is_back()
        else:
            self._failed("the cache does not keep what it is given")

    def _failed(self, why: str) -> None:
        now_s = self._clock.steady_s()
        self._again_at_s = now_s + self._retry_s
        was_well, self._away = self._away is None, why
        if was_well and (self._told_at_s is None or now_s - self._told_at_s >= _TOLD_EVERY_S):
            self._told_at_s = now_s
            logger.warning("cache_away", extra={"why": why, "until_it_is_back": "every process counts limits by itself"})

    def _is_back(self) -> None:
        if self._away is not None:
            self._away = None
            logger.info("cache_back")
