"""The circuit: a cache that is away is asked once in a while, by nobody who waits, and told about once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from weft.cache.checks import ANSWERS, checks
from weft.cache.circuit import Circuit
from weft.cache.memory import MemoryCache
from weft.cache.port import Window
from weft.cache.settings import CacheSettings
from weft.core.errors import Unavailable
from weft.core.verdict import Level
from weft.testing.clock import ManualClock

SETTINGS = CacheSettings(retry_s=1.0)


class FailingCache(MemoryCache):
    """A cache whose server can be taken away, or can forget what it is given."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("memory://", settings=SETTINGS, clock=clock)
        self.away: str | None = None
        self.forgets = False
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.away is not None:
            raise Unavailable(self.away)

    async def hit(self, keys: Sequence[str], window_s: float) -> Sequence[Window]:
        self._ask()
        return await super().hit(keys, window_s)

    async def put(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        self._ask()
        if not self.forgets:
            await super().put(values, ttl_s)


@pytest.fixture
def inner(clock: ManualClock) -> FailingCache:
    return FailingCache(clock)


@pytest.fixture
async def circuit(inner: FailingCache, clock: ManualClock) -> AsyncIterator[Circuit]:
    async with Circuit(inner, settings=SETTINGS, clock=clock) as circuit:
        yield circuit


async def refused(circuit: Circuit) -> str:
    with pytest.raises(Unavailable) as away:
        await circuit.hit(["a"], 60)
    return away.value.message


async def settle() -> None:
    """Let what runs in the background come to its end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_cache_that_is_well_is_just_asked(circuit: Circuit) -> None:
    assert (await circuit.hit(["a"], 60))[0].hits == 1
    await circuit.put({"a": b"1"}, 60)
    assert list(await circuit.get_many(["a"])) == [b"1"]
    async with circuit.subscribe("news") as messages:
        await circuit.publish("news", b"hello")
        assert await anext(messages) == b"hello"


async def test_after_a_failure_it_is_left_alone_for_a_moment(circuit: Circuit, inner: FailingCache) -> None:
    inner.away = "gone"
    assert await refused(circuit) == "gone"
    assert inner.asked == 1
    inner.away = None
    for _ in range(100):
        assert await refused(circuit) == "gone"
    await settle()
    assert inner.asked == 1


async def test_then_one_look_is_taken_in_the_background(circuit: Circuit, inner: FailingCache, clock: ManualClock) -> None:
    inner.away = "gone"
    await refused(circuit)
    clock.advance(1)
    for _ in range(100):
        await refused(circuit)
    await settle()
    assert inner.asked == 2
    await refused(circuit)
    await settle()
    assert inner.asked == 2, "the moment begins anew with each failed look"


async def test_it_is_used_again_once_a_look_found_it_well(circuit: Circuit, inner: FailingCache, clock: ManualClock) -> None:
    inner.away = "gone"
    await refused(circuit)
    inner.away = None
    clock.advance(1)
    await refused(circuit)
    await settle()
    assert (await circuit.hit(["a"], 60))[0].hits == 1


async def test_a_probe_really_looks(circuit: Circuit, inner: FailingCache) -> None:
    await circuit.probe()
    inner.away = "gone"
    with pytest.raises(Unavailable, match="gone"):
        await circuit.probe()
    inner.away = None
    await circuit.probe()
    assert (await circuit.hit(["a"], 60))[0].hits == 1


async def test_a_cache_that_keeps_nothing_is_not_well(circuit: Circuit, inner: FailingCache) -> None:
    inner.forgets = True
    with pytest.raises(Unavailable, match="does not keep"):
        await circuit.probe()


async def test_it_is_told_once_a_minute_at_most(
    circuit: Circuit, inner: FailingCache, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(59):
        inner.away = "gone"
        with pytest.raises(Unavailable):
            await circuit.probe()
        inner.away = None
        await circuit.probe()
        clock.advance(1)
    assert [record.message for record in caplog.records] == ["cache_away"]
    clock.advance(1)
    inner.away = "gone"
    await refused(circuit)
    assert [record.message for record in caplog.records] == ["cache_away"] * 2


async def test_the_verdict_says_what_is_less_than_it_should_be(circuit: Circuit, inner: FailingCache) -> None:
    check = checks(circuit)[ANSWERS]
    assert (await check()).level is Level.FINE
    inner.away = "the server is gone"
    finding = await check()
    assert finding.level is Level.LOOK
    assert "the server is gone" in finding.why
    assert "by itself" in finding.why
