"""The cache in memory keeps every promise of the port that a single process can."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from weft.cache.memory import QUEUE, MemoryCache
from weft.cache.settings import CacheSettings
from weft.core.errors import Unavailable
from weft.testing.cache_suite import CacheSuite, Lack, read
from weft.testing.clock import ManualClock
from weft.testing.waivers import WAIVERS


@dataclass
class MemoryGround:
    """A clock; every cache opened here is another one."""

    clock: ManualClock = field(default_factory=ManualClock)

    def open(self, *, max_entries: int = 1000) -> MemoryCache:
        return MemoryCache("memory://", settings=CacheSettings(max_entries=max_entries), clock=self.clock)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestMemoryCache(CacheSuite):
    lacks: ClassVar[frozenset[Lack]] = frozenset(map(Lack, WAIVERS["cache/memory"]))

    @pytest.fixture
    def ground(self) -> MemoryGround:
        return MemoryGround()

    async def test_what_is_kept_stays_bounded_and_the_oldest_goes_first(self, ground: MemoryGround) -> None:
        async with ground.open(max_entries=100) as cache:
            for number in range(500):
                await cache.put({f"{number}": b"x"}, 60)
                await cache.hit([f"{number}"], 60)
            assert list(await cache.get_many(["399", "400", "499"])) == [None, b"x", b"x"]
            assert [window.hits for window in await cache.hit(["499", "500", "400"], 60)] == [2, 1, 1]

    async def test_a_subscriber_that_is_too_slow_is_told(self, ground: MemoryGround) -> None:
        async with ground.open() as cache, cache.subscribe("news") as messages:
            for _ in range(QUEUE + 1):
                await cache.publish("news", b"x")
            with pytest.raises(Unavailable, match="waited for one subscriber"):
                await read(messages, 1)

    async def test_a_subscriber_is_told_when_the_cache_closes(self, ground: MemoryGround) -> None:
        async with ground.open() as cache:
            subscription = cache.subscribe("news")
            messages = await subscription.__aenter__()
        with pytest.raises(Unavailable, match="closed"):
            await read(messages, 1)
        await subscription.__aexit__(None, None, None)

    async def test_the_clock_that_is_set_back_ends_no_window_early_or_late(self, ground: MemoryGround) -> None:
        async with ground.open() as cache:
            await cache.hit(["a"], 60)
            ground.clock.jump(-3600)
            assert (await cache.hit(["a"], 60))[0].left_s == 60
            ground.clock.advance(60)
            assert (await cache.hit(["a"], 60))[0].hits == 1
