"""The cache on Redis keeps every promise of the port, and says when the server is away, slow, full or not ours."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.services.fixtures import run_server
from tests.services.install import REDIS
from tests.services.proxy import TcpProxy
from tests.services.redis import RedisServer
from weft.cache.redis import RedisCache
from weft.cache.settings import CacheSettings
from weft.core.clock import SystemClock
from weft.core.errors import Invalid, Unavailable
from weft.testing.cache_suite import LONG_S, CacheSuite, read


@dataclass
class RedisGround:
    """A prefix of its own on a server."""

    url: str
    prefix: str = field(default_factory=lambda: f"test-{secrets.token_hex(6)}:")

    def open(self, *, timeout_s: float = 5.0, heartbeat_s: float = 5.0, max_connections: int = 10) -> RedisCache:
        settings = CacheSettings(
            prefix=self.prefix, timeout_s=timeout_s, heartbeat_s=heartbeat_s, max_connections=max_connections
        )
        return RedisCache(self.url, settings=settings, clock=SystemClock())

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds + 0.02)


@pytest.fixture
def ground(redis_server: RedisServer) -> RedisGround:
    return RedisGround(redis_server.url)


class TestRedisCache(CacheSuite):
    @pytest.fixture
    def ground(self, redis_server: RedisServer) -> RedisGround:
        return RedisGround(redis_server.url)


@pytest.fixture
def proxy(redis_server: RedisServer) -> Generator[TcpProxy]:
    with TcpProxy(redis_server.port) as proxy:
        yield proxy


def through(proxy: TcpProxy) -> RedisGround:
    return RedisGround(f"redis://127.0.0.1:{proxy.port}/0")


async def test_other_prefixes_share_nothing(redis_server: RedisServer) -> None:
    one, two = RedisGround(redis_server.url), RedisGround(redis_server.url)
    async with one.open() as first, two.open() as second:
        await first.hit(["a"], LONG_S)
        await first.put({"a": b"1"}, LONG_S)
        assert (await second.hit(["a"], LONG_S))[0].hits == 1
        async with second.subscribe("news") as messages:
            await first.publish("news", b"theirs")
            await second.publish("news", b"ours")
            assert await read(messages, 1) == [b"ours"]


async def test_nothing_is_left_in_the_server_without_an_end(redis_server: RedisServer, ground: RedisGround) -> None:
    from redis.asyncio import Redis

    async with ground.open() as cache, Redis.from_url(redis_server.url) as redis:
        await cache.hit(["a", "b"], LONG_S)
        await cache.put({"c": b"1"}, LONG_S)
        keys = [key async for key in redis.scan_iter(match=f"{ground.prefix}*")]
        assert len(keys) == 3
        assert all([0 < await redis.ttl(key) <= LONG_S for key in keys])


async def test_a_server_that_is_away_is_told_at_once_and_used_when_it_is_back(proxy: TcpProxy) -> None:
    async with through(proxy).open() as cache:
        proxy.cut()
        for ask in (cache.hit(["a"], 1), cache.put({"a": b""}, 1), cache.get_many(["a"]), cache.publish("news", b"")):
            with pytest.raises(Unavailable, match="Redis"):
                await ask
        with pytest.raises(Unavailable, match="Redis"):
            async with cache.subscribe("news"):
                pass
        proxy.heal()
        assert (await cache.hit(["a"], LONG_S))[0].hits == 1


async def test_a_connection_that_died_while_nobody_looked_costs_nobody_an_answer(proxy: TcpProxy) -> None:
    async with through(proxy).open() as cache:
        await asyncio.gather(*(cache.put({"a": b"1"}, LONG_S) for _ in range(5)))
        proxy.cut()
        proxy.heal()
        await asyncio.sleep(0.05)
        assert [value for (value,) in [await cache.get_many(["a"]) for _ in range(10)]] == [b"1"] * 10


async def test_a_black_hole_costs_no_more_than_the_time_allowed(proxy: TcpProxy) -> None:
    async with through(proxy).open(timeout_s=0.2) as cache:
        await cache.hit(["a"], LONG_S)
        proxy.black_hole()
        began_s = time.monotonic()
        calls = [cache.hit(["a"], LONG_S) for _ in range(50)]
        outcomes = await asyncio.gather(*calls, cache.put({"a": b""}, 1), cache.get_many(["a"]), return_exceptions=True)
        assert time.monotonic() - began_s < 5.0, "one after the other they would have taken 10 s"
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        proxy.heal()
        assert (await cache.hit(["b"], LONG_S))[0].hits == 1


async def next_message(messages: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(10):
        return await anext(messages)


async def test_a_subscriber_is_told_that_its_line_broke(proxy: TcpProxy) -> None:
    async with through(proxy).open() as cache, cache.subscribe("news") as messages:
        reading = asyncio.create_task(next_message(messages))
        await asyncio.sleep(0)
        proxy.cut()
        with pytest.raises(Unavailable, match="Redis"):
            await reading


async def test_a_subscriber_is_told_that_its_line_is_dead(proxy: TcpProxy) -> None:
    async with through(proxy).open(timeout_s=0.2, heartbeat_s=0.05) as cache, cache.subscribe("news") as messages:
        reading = asyncio.create_task(next_message(messages))
        proxy.black_hole()
        with pytest.raises(Unavailable, match="Redis"):
            await reading


async def test_a_quiet_line_stays_open(ground: RedisGround) -> None:
    async with ground.open(heartbeat_s=0.02) as cache, cache.subscribe("news") as messages:
        reading = asyncio.create_task(next_message(messages))
        await asyncio.sleep(0.3)
        await cache.publish("news", b"at last")
        assert await reading == b"at last"


async def test_subscribers_and_questions_share_the_connections_allowed(ground: RedisGround) -> None:
    async with ground.open(max_connections=2, timeout_s=0.5) as cache, cache.subscribe("news") as messages:
        await asyncio.gather(*(cache.put({"a": b"1"}, LONG_S) for _ in range(50)))
        async with cache.subscribe("more"):
            with pytest.raises(Unavailable):
                await cache.get_many(["a"])
        await cache.publish("news", b"1")
        assert await read(messages, 1) == [b"1"]


@pytest.fixture
def own_server(tmp_path: Path) -> Generator[RedisServer]:
    yield from run_server(RedisServer(tmp_path / "redis"), REDIS)  # pyright: ignore[reportReturnType]


async def test_a_server_that_refuses_to_write_is_unavailable_and_not_a_crash(own_server: RedisServer) -> None:
    from redis.asyncio import Redis

    ground = RedisGround(own_server.url)
    async with ground.open() as cache, Redis.from_url(own_server.url) as redis:
        await cache.hit(["a"], LONG_S)
        await redis.config_set("maxmemory", "1")
        with pytest.raises(Unavailable, match="maxmemory"):
            await cache.put({"a": b"1"}, LONG_S)
        with pytest.raises(Unavailable, match="maxmemory"):
            await cache.hit(["a"], LONG_S)
        await redis.config_set("maxmemory", "0")
        await redis.config_set("requirepass", "hunter2")
    async with RedisGround(own_server.url).open() as stranger:
        with pytest.raises(Unavailable, match="Authentication"):
            await stranger.hit(["a"], LONG_S)
    wrong = own_server.url.replace("//", "//:not-it-at-all@")
    async with RedisGround(wrong).open() as stranger:
        with pytest.raises(Unavailable) as refused:
            await stranger.hit(["a"], LONG_S)
        assert "not-it-at-all" not in refused.value.message
    async with RedisGround(own_server.url.replace("//", "//:hunter2@"), ground.prefix).open() as known:
        assert (await known.hit(["a"], LONG_S))[0].hits == 2


async def test_a_restart_is_survived_and_so_is_what_the_server_kept(own_server: RedisServer) -> None:
    async with RedisGround(own_server.url).open() as cache:
        await cache.hit(["a"], LONG_S)
        await asyncio.to_thread(own_server.stop)
        await asyncio.to_thread(own_server.start)
        assert (await cache.hit(["a"], LONG_S))[0].hits == 2


@pytest.mark.parametrize("url", ["redis://host:port/0", "redis://host/0?socket_timeout=soon", "redis://u:hunter2@host:port"])
def test_an_address_that_cannot_be_read_is_refused_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        RedisCache(url, settings=CacheSettings(), clock=SystemClock())
    assert refused.value.field == "cache.url"
    assert "hunter2" not in refused.value.message
