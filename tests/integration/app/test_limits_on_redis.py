"""Rate limits shared through a real Redis: exact while it is there; without it nobody waits and no door opens."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.services.fixtures import run_server
from tests.services.install import REDIS
from tests.services.proxy import TcpProxy
from tests.services.redis import RedisServer
from weft.api.rate_limit import MemoryCounters, RateLimits
from weft.api.settings import ApiSettings, RateLimit
from weft.app.shared_limits import SharedCounters
from weft.cache.circuit import Circuit
from weft.cache.redis import RedisCache
from weft.cache.settings import CacheSettings
from weft.core.clock import SystemClock
from weft.core.errors import Busy

LIMIT = 40
BURST = 10
PASS = LIMIT + BURST
CLIENT = "192.0.2.7"
WAIT_S = 20.0
CLOCK = SystemClock()


class Process:
    """The rate limits of one process."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        settings = ApiSettings(
            rate_limits={"events": RateLimit(requests_per_minute=LIMIT, per=("ip",))}, rate_limit_burst_size=BURST
        )
        counters = SharedCounters(circuit, local=MemoryCounters(CLOCK, 1000), clock=CLOCK)
        self._limits = RateLimits(settings=settings, clock=CLOCK, counters=counters)

    async def ask(self, client: str = CLIENT) -> bool:
        """One request; whether it passed. Whatever else is raised fails the test: it would have been a 500."""
        try:
            headers = dict(await self._limits.charge("events", client, None))
        except Busy:
            return False
        else:
            assert headers[b"x-ratelimit-limit"] == b"40"
            return True

    async def until_shared(self) -> None:
        """The circuit looks again when somebody asks."""
        async with asyncio.timeout(WAIT_S):
            while self.circuit._away is not None:
                await self.ask("192.0.2.99")
                await asyncio.sleep(0.01)


@asynccontextmanager
async def process(url: str, prefix: str, *, timeout_s: float = 1.0) -> AsyncIterator[Process]:
    settings = CacheSettings(prefix=prefix, timeout_s=timeout_s, retry_s=0.1)
    async with Circuit(RedisCache(url, settings=settings, clock=CLOCK), settings=settings, clock=CLOCK) as circuit:
        yield Process(circuit)


@asynccontextmanager
async def two(url: str, *, timeout_s: float = 1.0) -> AsyncIterator[tuple[Process, Process]]:
    prefix = f"test-{secrets.token_hex(6)}:"
    async with process(url, prefix, timeout_s=timeout_s) as one, process(url, prefix, timeout_s=timeout_s) as other:
        yield one, other


@pytest.fixture
def own_server(tmp_path: Path) -> Generator[RedisServer]:
    yield from run_server(RedisServer(tmp_path / "redis"), REDIS)  # pyright: ignore[reportReturnType]


@pytest.mark.contract("SF-14")
async def test_two_processes_let_through_exactly_what_one_would(redis_server: RedisServer) -> None:
    async with two(redis_server.url, timeout_s=10) as (one, other):
        passed = await asyncio.gather(*(each.ask() for each in (one, other) for _ in range(2 * PASS)))
    assert passed.count(True) == PASS


async def test_other_clients_are_counted_for_themselves(redis_server: RedisServer) -> None:
    async with two(redis_server.url, timeout_s=10) as (one, other):
        passed = await asyncio.gather(
            *(each.ask(f"192.0.2.{host}") for each in (one, other) for host in range(3) for _ in range(PASS))
        )
    assert passed.count(True) == 3 * PASS


async def under_load(one: Process, other: Process, trouble: Callable[[], object]) -> dict[Process, int]:
    """Both processes busy before, during and after the trouble; how much each let through of one client that never stops."""
    passed = {one: 0, other: 0}
    stop = asyncio.Event()

    async def drive(each: Process) -> None:
        while not stop.is_set():
            passed[each] += await each.ask()
            await asyncio.sleep(0)

    drivers = [asyncio.create_task(drive(each)) for each in (one, other) for _ in range(4)]
    await asyncio.sleep(0.1)
    await asyncio.to_thread(trouble)
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*drivers)
    return passed


@pytest.mark.contract("SF-6", "SF-17")
async def test_a_redis_killed_under_load_costs_no_request_and_opens_no_door(own_server: RedisServer) -> None:
    async with two(own_server.url, timeout_s=10) as (one, other):
        before = [await each.ask() for _ in range(5) for each in (one, other)]
        passed = await under_load(one, other, own_server.kill)
        assert all(before)
        assert sum(passed.values()) + len(before) <= 2 * PASS, "at worst each process counts by itself"
        assert not await one.ask()
        await asyncio.to_thread(own_server.start)
        await one.until_shared()
        await other.until_shared()
        assert [await one.ask(), await other.ask()] == [False, False]
        fresh = await asyncio.gather(*(each.ask("192.0.2.8") for each in (one, other) for _ in range(PASS)))
        assert fresh.count(True) == PASS, "and count together again"


async def test_a_frozen_redis_slows_the_first_request_and_no_other(own_server: RedisServer) -> None:
    async with two(own_server.url, timeout_s=0.3) as (one, other):
        await one.ask()
        await other.ask()
        own_server.freeze()
        try:
            assert await one.ask()
            began_s = time.monotonic()
            for _ in range(200):
                await one.ask("192.0.2.8")
            assert time.monotonic() - began_s < 15, "had each waited for Redis, it would have been 60 s"
        finally:
            own_server.thaw()
        await one.until_shared()
        fresh = await asyncio.gather(*(each.ask("192.0.2.9") for each in (one, other) for _ in range(PASS)))
        assert PASS <= fresh.count(True) <= 2 * PASS


async def test_a_swallowed_connection_slows_the_first_requests_and_no_other(redis_server: RedisServer) -> None:
    with TcpProxy(redis_server.port) as proxy:
        async with two(f"redis://127.0.0.1:{proxy.port}/0", timeout_s=0.3) as (one, other):
            assert [await one.ask(), await other.ask()] == [True, True]
            proxy.black_hole()
            assert all(await asyncio.gather(*(one.ask(f"192.0.2.{host}") for host in range(50))))
            began_s = time.monotonic()
            for _ in range(200):
                await one.ask("192.0.2.8")
            assert time.monotonic() - began_s < 15, "had each waited for Redis, it would have been 60 s"
            proxy.heal()
            await one.until_shared()
            await other.until_shared()
            fresh = await asyncio.gather(*(each.ask("192.0.2.98") for each in (one, other) for _ in range(2 * PASS)))
            assert PASS <= fresh.count(True) <= 2 * PASS


async def test_a_redis_that_lost_everything_gives_nobody_who_is_known_a_fresh_window(own_server: RedisServer) -> None:
    from redis.asyncio import Redis

    async with two(own_server.url, timeout_s=10) as (one, other), Redis.from_url(own_server.url) as redis:
        while await one.ask():
            pass
        assert not await other.ask()
        await redis.flushall()
        assert [await one.ask(), await other.ask()] == [False, False]


async def test_a_start_without_redis_counts_alone_until_it_comes(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    if not REDIS.is_there():
        pytest.skip(REDIS.advice)
    async with two(server.url) as (one, other):
        passed = await asyncio.gather(*(each.ask() for each in (one, other) for _ in range(2 * PASS)))
        assert passed.count(True) == 2 * PASS
        await asyncio.to_thread(server.start)
        try:
            await one.until_shared()
            assert not await one.ask()
        finally:
            await asyncio.to_thread(server.stop)
