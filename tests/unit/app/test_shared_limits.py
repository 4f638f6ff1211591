"""Shared rate limits: one count for all processes, and nobody gains a fresh window by the cache going away or coming back."""

from collections.abc import Sequence

import pytest

from weft.api.rate_limit import MemoryCounters, Window
from weft.app.shared_limits import SharedCounters
from weft.cache.memory import MemoryCache
from weft.cache.port import Window as CacheWindow
from weft.cache.settings import CacheSettings
from weft.core.errors import Unavailable
from weft.testing.clock import ManualClock


class Server(MemoryCache):
    """A cache that several share, and that can go away."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("memory://", settings=CacheSettings(), clock=clock)
        self.is_away = False

    async def hit(self, keys: Sequence[str], window_s: float) -> Sequence[CacheWindow]:
        if self.is_away:
            raise Unavailable("gone")
        return await super().hit(keys, window_s)


def process(server: MemoryCache, clock: ManualClock) -> SharedCounters:
    return SharedCounters(server, local=MemoryCounters(clock, 100), clock=clock)


async def count(counters: SharedCounters) -> int:
    return (await counters.hit(["a"]))[0].count


def shown(window: Window) -> tuple[int, float]:
    return window.reset, window.ends_s


async def test_all_processes_count_in_one_window(clock: ManualClock) -> None:
    server = Server(clock)
    one, two = process(server, clock), process(server, clock)
    first = (await one.hit(["a"]))[0]
    clock.advance(7)
    second = (await two.hit(["a"]))[0]
    assert [first.count, second.count, await count(one)] == [1, 2, 3]
    assert shown(first) == shown(second)


@pytest.mark.parametrize("pause_s", [59.5, 60, 61, 3600])
async def test_a_window_that_ended_begins_anew(clock: ManualClock, pause_s: float) -> None:
    server = Server(clock)
    one, two = process(server, clock), process(server, clock)
    for _ in range(5):
        await count(one)
    clock.advance(pause_s)
    expected = 6 if pause_s < 60 else 1
    assert [await count(two), await count(one)] == [expected, expected + 1]


async def test_where_the_cache_is_away_each_goes_on_from_what_it_knew(clock: ManualClock) -> None:
    server = Server(clock)
    one, two = process(server, clock), process(server, clock)
    before = (await one.hit(["a"]))[0]
    assert await count(two) == 2
    server.is_away = True
    during = (await one.hit(["a"]))[0]
    assert during.count == 2
    assert shown(during) == shown(before)
    assert [await count(two), await count(two), await count(one)] == [3, 4, 3]


async def test_a_cache_that_comes_back_empty_gives_nobody_a_fresh_window(clock: ManualClock) -> None:
    server = Server(clock)
    one = process(server, clock)
    for _ in range(50):
        await count(one)
    clock.advance(10)
    one._cache = Server(clock)
    assert await count(one) == 51
    assert await count(one) == 52
    clock.advance(50)
    assert await count(one) == 3, "the old window is over, the new one has run since the cache came back"


async def test_what_was_counted_while_the_cache_was_away_is_not_forgiven(clock: ManualClock) -> None:
    server = Server(clock)
    one = process(server, clock)
    server.is_away = True
    for _ in range(50):
        await count(one)
    server.is_away = False
    clock.advance(10)
    assert [await count(one), await count(one)] == [51, 52]


async def test_the_end_of_a_window_elsewhere_is_not_taken_for_a_loss(clock: ManualClock) -> None:
    server = Server(clock)
    one, two = process(server, clock), process(server, clock)
    for _ in range(50):
        await count(one)
    one._local._windows["a"].ends_s += 0.4  # the answer took 0.4 s, so this process believes the window to end later
    clock.advance(60)
    assert await count(two) == 1
    assert await count(one) == 2
