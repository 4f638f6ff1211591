"""The promises of the port `Cache`, one test each. An adapter's test subclasses `CacheSuite` and supplies `ground`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from enum import StrEnum
from typing import ClassVar, Protocol

import pytest

from weft.cache.port import Cache

WAIT_S = 20.0
"""Longer than anything here takes: a test that waits this long has found a hang."""
SHORT_S = 0.2
"""A time to live that a test can wait for."""
LONG_S = 60.0


class Lack(StrEnum):
    """What an adapter may declare that it cannot do."""

    SHARING = "sharing"


class CacheGround(Protocol):
    """Where the tests of one adapter take place: at first empty, and the same however often it is opened."""

    def open(self) -> Cache:
        """A cache on this ground, not entered yet."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Return when so much time is over for the cache."""
        ...


async def read(messages: AsyncIterator[bytes], count: int) -> list[bytes]:
    """The next messages of a subscription."""
    async with asyncio.timeout(WAIT_S):
        return [await anext(messages) for _ in range(count)]


class CacheSuite:
    """One test per promise. `lacks` names what the adapter declares it cannot do."""

    lacks: ClassVar[frozenset[Lack]] = frozenset()

    @pytest.fixture
    def ground(self) -> CacheGround:
        """Supplied by the adapter's test."""
        raise NotImplementedError

    @pytest.fixture
    async def cache(self, ground: CacheGround) -> AsyncGenerator[Cache, None]:
        """An open, empty cache."""
        async with ground.open() as cache:
            yield cache

    @pytest.fixture
    async def other(self, ground: CacheGround) -> AsyncGenerator[Cache, None]:
        """What another process opened on the same address."""
        if Lack.SHARING in self.lacks:
            pytest.skip("this cache declares that it cannot be shared")
        async with ground.open() as cache:
            yield cache

    # Counters

    async def test_hits_are_counted_from_one(self, cache: Cache) -> None:
        found = [(await cache.hit(["a"], LONG_S))[0].hits for _ in range(3)]
        assert found == [1, 2, 3]

    async def test_each_key_is_counted_for_itself_and_answered_in_order(self, cache: Cache) -> None:
        await cache.hit(["b"], LONG_S)
        assert [window.hits for window in await cache.hit(["a", "b", "c", "b"], LONG_S)] == [1, 2, 1, 3]
        assert list(await cache.hit([], LONG_S)) == []

    async def test_a_window_ends_where_it_said_however_many_hits_follow(self, ground: CacheGround, cache: Cache) -> None:
        (first,) = await cache.hit(["a"], LONG_S)
        await ground.pass_time(SHORT_S)
        (second,) = await cache.hit(["a"], LONG_S)
        assert second.ends_at_us == first.ends_at_us
        assert 0 < second.left_s <= LONG_S - SHORT_S
        assert LONG_S - SHORT_S < first.left_s <= LONG_S

    async def test_after_its_end_a_window_begins_anew(self, ground: CacheGround, cache: Cache) -> None:
        (first,) = await cache.hit(["a"], SHORT_S)
        await ground.pass_time(SHORT_S)
        (second,) = await cache.hit(["a"], SHORT_S)
        assert second.hits == 1
        assert second.ends_at_us > first.ends_at_us

    async def test_windows_of_different_lengths_are_counted_at_once(self, cache: Cache) -> None:
        found = await asyncio.gather(*(cache.hit([f"{number}"], 10.0 * (1 + number % 3)) for number in range(30)))
        assert [window.hits for (window,) in found] == [1] * 30
        assert all(10.0 * (number % 3) < window.left_s <= 10.0 * (1 + number % 3) for number, (window,) in enumerate(found))

    async def test_hits_at_once_never_get_the_same_count(self, cache: Cache) -> None:
        found = await asyncio.gather(*(cache.hit([f"{number}", "all"], LONG_S) for number in range(600)))
        assert sorted(windows[1].hits for windows in found) == list(range(1, 601))
        assert {windows[0].hits for windows in found} == {1}
        assert len({windows[1].ends_at_us for windows in found}) == 1

    async def test_processes_count_together(self, cache: Cache, other: Cache) -> None:
        found = await asyncio.gather(*(each.hit(["a"], LONG_S) for each in (cache, other) for _ in range(100)))
        assert sorted(window.hits for (window,) in found) == list(range(1, 201))
        assert len({window.ends_at_us for (window,) in found}) == 1

    # Values

    async def test_a_value_is_kept_as_it_was_put(self, cache: Cache) -> None:
        await cache.put({"a": b"\x00\xff\r\n", "b": b""}, LONG_S)
        assert list(await cache.get_many(["b", "missing", "a", "a"])) == [b"", None, b"\x00\xff\r\n", b"\x00\xff\r\n"]
        assert list(await cache.get_many([])) == []

    async def test_a_value_takes_the_place_of_an_earlier_one(self, cache: Cache) -> None:
        await cache.put({"a": b"1"}, LONG_S)
        await cache.put({"a": b"2"}, LONG_S)
        assert list(await cache.get_many(["a"])) == [b"2"]

    async def test_a_value_ends_with_its_time_and_not_before(self, ground: CacheGround, cache: Cache) -> None:
        await cache.put({"short": b"1", "renewed": b"1"}, SHORT_S)
        await cache.put({"long": b"1", "renewed": b"2"}, LONG_S)
        await ground.pass_time(SHORT_S)
        assert list(await cache.get_many(["short", "renewed", "long"])) == [None, b"2", b"1"]

    async def test_counters_and_values_do_not_mix(self, cache: Cache) -> None:
        await cache.put({"a": b"1"}, LONG_S)
        assert [window.hits for window in await cache.hit(["a", "b"], LONG_S)] == [1, 1]
        assert list(await cache.get_many(["a", "b"])) == [b"1", None]

    async def test_processes_see_each_others_values(self, cache: Cache, other: Cache) -> None:
        await cache.put({"a": b"1"}, LONG_S)
        assert list(await other.get_many(["a"])) == [b"1"]

    # Channels

    async def test_a_subscriber_gets_every_message_in_order(self, cache: Cache) -> None:
        sent = [b"%d" % number for number in range(100)]
        async with cache.subscribe("news") as messages:
            for message in sent:
                await cache.publish("news", message)
            assert await read(messages, 100) == sent

    async def test_what_is_published_before_or_elsewhere_does_not_come(self, cache: Cache) -> None:
        await cache.publish("news", b"before")
        async with cache.subscribe("news") as messages:
            await cache.publish("other", b"elsewhere")
            await cache.publish("news", b"now")
            assert await read(messages, 1) == [b"now"]

    async def test_all_subscribers_get_all_messages(self, cache: Cache) -> None:
        async with cache.subscribe("news") as one, cache.subscribe("news") as two:
            await cache.publish("news", b"1")
            await cache.publish("news", b"2")
            assert await read(one, 2) == await read(two, 2) == [b"1", b"2"]

    async def test_a_subscriber_waits_for_what_comes_later(self, cache: Cache) -> None:
        async with cache.subscribe("news") as messages:
            reading = asyncio.create_task(read(messages, 1))
            await asyncio.sleep(0)
            await cache.publish("news", b"late")
            assert await reading == [b"late"]

    async def test_a_subscription_that_was_left_leaves_nothing_behind(self, cache: Cache) -> None:
        for number in range(120):
            async with cache.subscribe("news") as messages:
                await cache.publish("news", b"%d" % number)
                assert await read(messages, 1) == [b"%d" % number]
        await cache.publish("news", b"nobody")

    async def test_processes_hear_each_other(self, cache: Cache, other: Cache) -> None:
        async with cache.subscribe("news") as messages:
            await other.publish("news", b"hello")
            assert await read(messages, 1) == [b"hello"]

    # Both

    async def test_a_call_that_was_cancelled_leaves_the_cache_usable(self, cache: Cache) -> None:
        async with cache.subscribe("news") as messages:
            for steps in range(20):
                calls: list[asyncio.Task[object]] = [
                    asyncio.create_task(cache.hit(["a"], LONG_S)),
                    asyncio.create_task(cache.put({"a": b"%d" % steps}, LONG_S)),
                    asyncio.create_task(cache.get_many(["a"])),
                    asyncio.create_task(read(messages, 1)),
                ]
                for _ in range(steps):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls)
            assert [window.hits for window in await cache.hit(["b", "b"], LONG_S)] == [1, 2]
            await cache.put({"c": b"1"}, LONG_S)
            assert list(await cache.get_many(["c"])) == [b"1"]

    async def test_calls_beyond_its_connections_wait_for_their_turn(self, cache: Cache) -> None:
        values = {f"{number}": b"%d" % number for number in range(200)}
        await asyncio.gather(*(cache.put({key: value}, LONG_S) for key, value in values.items()))
        found = await asyncio.gather(*(cache.get_many([key]) for key in values))
        assert [value for (value,) in found] == list(values.values())
