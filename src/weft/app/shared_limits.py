"""Rate limits that all processes share: counted in the cache, and where it is away in this process alone."""

import math
from collections.abc import Sequence

from weft.api.rate_limit import WINDOW_S, MemoryCounters, Window
from weft.cache.port import Cache
from weft.cache.port import Window as CacheWindow
from weft.core.clock import Clock
from weft.core.errors import Unavailable
from weft.core.times import SECOND_US


class SharedCounters:
    """Implements `weft.api.rate_limit.Counters`.

    What was counted together is remembered here too. So a cache that goes away gives nobody a fresh window in a process that
    knows the old one, and one that comes back empty neither.
    """

    def __init__(self, cache: Cache, *, local: MemoryCounters, clock: Clock) -> None:
        self._cache = cache
        self._local = local
        self._clock = clock

    async def hit(self, keys: Sequence[str]) -> Sequence[Window]:
        """See `weft.api.rate_limit.Counters`."""
        try:
            counted = await self._cache.hit([f"limit:{key}" for key in keys], WINDOW_S)
        except Unavailable:
            return await self._local.hit(keys)
        return [self._local.follow(key, self._shown(window)) for key, window in zip(keys, counted, strict=True)]

    def _shown(self, window: CacheWindow) -> Window:
        ends_s = self._clock.steady_s() + window.left_s
        return Window(ends_s, math.ceil(window.ends_at_us / SECOND_US), window.hits, window.ends_at_us)
