"""The cache on Redis (5 or newer) or what speaks its protocol: one server, which all processes share."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Final, cast

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from weft.cache.port import Cache, Window
from weft.cache.settings import CacheSettings
from weft.core.clock import Clock
from weft.core.errors import Invalid, Unavailable

# A window is a hash of its hits and its end, so that all who ask hear the same end. Time is the server's.
_HIT: Final = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local windows = {}
for number, key in ipairs(KEYS) do
  local ends_ms = tonumber(redis.call('HGET', key, 'ends_ms'))
  if not ends_ms or ends_ms <= now_ms then
    ends_ms = now_ms + ARGV[1]
    redis.call('DEL', key)
    redis.call('HSET', key, 'ends_ms', ends_ms)
    redis.call('PEXPIREAT', key, ends_ms)
  end
  windows[number] = {redis.call('HINCRBY', key, 'hits', 1), ends_ms - now_ms, ends_ms}
end
return windows
"""
_GROUP: Final = 256
"""Requests counted by one question at most."""


class RedisCache(Cache):
    """Counters, values and channels in a Redis that every process on the same address and prefix shares.

    What waits while a question is on its way is asked together by the next one, so a busy door costs the server few questions.
    """

    reach = "network"

    def __init__(self, url: str, *, settings: CacheSettings, clock: Clock) -> None:
        self._settings = settings
        try:
            # Retries and health checks of the library are off: a failure is told at once, and never mended in silence.
            self._pool = cast("Any", BlockingConnectionPool).from_url(
                url,
                max_connections=settings.max_connections,
                timeout=settings.timeout_s,
                socket_connect_timeout=settings.timeout_s,
                socket_timeout=None,
                health_check_interval=0,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except (ValueError, TypeError) as unreadable:
            raise Invalid(
                "the cache address cannot be read; it looks like redis://user:password@host:6379/0", field="cache.url"
            ) from unreadable
        self._redis = cast("Any", Redis(connection_pool=self._pool))
        self._script = self._redis.register_script(_HIT)
        self._waiting: list[_Hit] = []
        self._counting: asyncio.Task[None] | None = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait([self._counting])
        with _own_words():
            await self._pool.disconnect()

    async def hit(self, keys: Sequence[str], window_s: float) -> Sequence[Window]:
        """See `Cache`."""
        if not keys:
            return []
        hit = _Hit(self._names("hits", keys), max(1, round(window_s * 1000)))
        self._waiting.append(hit)
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count(), name="cache-hits")
        try:
            async with asyncio.timeout(self._settings.timeout_s):  # not `_in_time`: this is on the path of every request
                answer = await hit.answered
        except TimeoutError as late:
            raise self._late() from late
        if isinstance(answer, Unavailable):
            raise Unavailable(answer.message)
        return answer

    async def put(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """See `Cache`."""
        async with self._in_time(), self._redis.pipeline(transaction=True) as pipeline:
            for name, value in zip(self._names("value", list(values)), values.values(), strict=True):
                pipeline.set(name, value, px=max(1, round(ttl_s * 1000)))
            await pipeline.execute()

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See `Cache`."""
        if not keys:
            return []
        async with self._in_time():
            return cast("list[bytes | None]", await self._redis.mget(self._names("value", keys)))

    async def publish(self, channel: str, message: bytes) -> None:
        """See `Cache`."""
        async with self._in_time():
            await self._redis.publish(self._settings.prefix + channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `Cache`."""
        async with self._in_time():
            connection = cast("Connection", await self._pool.get_connection())
        try:
            async with self._in_time():
                await connection.send_command("SUBSCRIBE", self._settings.prefix + channel)
                await connection.read_response()
            yield _Line(connection, self._settings)
        finally:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    def _names(self, kind: str, keys: Sequence[str]) -> list[str]:
        return [f"{self._settings.prefix}{kind}:{key}" for key in keys]

    async def _count(self) -> None:
        """Ask for what waits, again and again until nothing does."""
        while group := self._next_group():
            try:
                async with self._in_time():
                    keys = [key for hit in group for key in hit.keys]
                    rows = cast("list[list[int]]", await self._script(keys=keys, args=[group[0].window_ms]))
            except Unavailable as away:
                for hit in group:
                    hit.answer(away)
                continue
            windows = iter([Window(hits, left_ms / 1000, ends_ms * 1000) for hits, left_ms, ends_ms in rows])
            for hit in group:
                hit.answer([next(windows) for _ in hit.keys])

    def _next_group(self) -> "list[_Hit]":
        """What waits for windows of the same length, as much as one question takes; the rest goes on waiting."""
        group: list[_Hit] = []
        others: list[_Hit] = []
        for hit in self._waiting:
            if hit.answered.done():
                continue  # it waits no longer
            belongs = not group or (hit.window_ms == group[0].window_ms and len(group) < _GROUP)
            (group if belongs else others).append(hit)
        self._waiting = others
        return group

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        """No longer than the time an answer may take, and every failure in our own words."""
        with _own_words():
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    yield
            except TimeoutError as late:
                raise self._late() from late

    def _late(self) -> Unavailable:
        return Unavailable(f"Redis did not answer within {self._settings.timeout_s:g} s")


class _Hit:
    """One caller's keys, and where the answer goes."""

    def __init__(self, keys: list[str], window_ms: int) -> None:
        self.keys = keys
        self.window_ms = window_ms
        self.answered: asyncio.Future[list[Window] | Unavailable] = asyncio.get_running_loop().create_future()

    def answer(self, answer: list[Window] | Unavailable) -> None:
        """Tell the caller, if it still waits."""
        if not self.answered.done():
            self.answered.set_result(answer)


class _Line(AsyncIterator[bytes]):
    """A connection on which messages come. Silence is broken by a ping, so that a dead line is noticed."""

    def __init__(self, connection: Connection, settings: CacheSettings) -> None:
        self._connection = connection
        self._settings = settings

    async def __anext__(self) -> bytes:
        with _own_words():
            while True:
                reply = await self._read(self._settings.heartbeat_s)
                if reply is None:
                    async with asyncio.timeout(self._settings.timeout_s):
                        await self._connection.send_command("PING")
                    reply = await self._read(self._settings.timeout_s)
                if reply is None:
                    raise Unavailable("the line to Redis is silent")
                if reply[0] == b"message":
                    return cast("bytes", reply[2])

    async def _read(self, timeout_s: float) -> list[Any] | None:
        return cast("list[Any] | None", await self._connection.read_response(timeout=timeout_s))


@contextmanager
def _own_words() -> Generator[None]:
    try:
        yield
    except (RedisError, OSError) as failure:
        why = str(failure).splitlines()[0][:200] if str(failure) else type(failure).__name__
        raise Unavailable(f"Redis cannot be asked: {why}") from failure
