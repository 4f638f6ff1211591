"""Rate limits: so many requests in a window of 60 s that begins with a key's first request.

`Remaining` counts down to 0 from the limit, `Reset` is the window's end as Unix seconds, and `burst_size` further requests
pass with 0 remaining before the first 429.
"""

import math
from collections.abc import Sequence
from typing import Final, Protocol

from starlette.requests import HTTPConnection

from weft.api.exchange import exchange_of
from weft.api.settings import ApiSettings
from weft.core.clock import Clock
from weft.core.errors import Busy
from weft.core.principal import Principal
from weft.core.times import SECOND_US

WINDOW_S: Final = 60
_SAME_WINDOW_S: Final = 1.0
"""A window that ends sooner than this may be the one that just ended elsewhere."""
RateHeaders = tuple[tuple[bytes, bytes], ...]
NO_HEADERS: Final[RateHeaders] = ()


class Window:
    """One key's running window: when it ends (steady seconds and Unix seconds) and how many requests it has seen.

    `shared_as` tells windows apart that are counted elsewhere; it is None for our own.
    """

    __slots__ = ("count", "ends_s", "reset", "shared_as")

    def __init__(self, ends_s: float, reset: int, count: int = 0, shared_as: int | None = None) -> None:
        self.ends_s = ends_s
        self.reset = reset
        self.count = count
        self.shared_as = shared_as


class Counters(Protocol):
    """Where windows are counted. One process counts in memory; several share a cache behind the same method."""

    async def hit(self, keys: Sequence[str]) -> Sequence[Window]:
        """Count one request of each key, beginning a window where none runs, and return the windows in the same order."""
        ...


class MemoryCounters:
    """Windows of this process, at most `max_keys`. Over that the oldest window is forgotten, so its key starts afresh."""

    def __init__(self, clock: Clock, max_keys: int) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._windows: dict[str, Window] = {}  # in the order the windows began

    def __len__(self) -> int:
        return len(self._windows)

    async def hit(self, keys: Sequence[str]) -> Sequence[Window]:
        """See `Counters`."""
        now_s = self._clock.steady_s()
        windows: list[Window] = []
        for key in keys:
            window = self._windows.get(key)
            if window is None or now_s >= window.ends_s:
                window = self._begin(key, now_s)
            window.count += 1
            windows.append(window)
        return windows

    def follow(self, key: str, shared: Window) -> Window:
        """Remember a window that was counted elsewhere, to go on from it, and return the one to charge by.

        That is the shared one, unless one of ours still runs that has seen more: the place where windows are shared lost its
        own, or we counted while it was away.
        """
        now_s = self._clock.steady_s()
        own = self._windows.get(key)
        if own is not None and own.shared_as == shared.shared_as:
            own.count = max(own.count, shared.count)
        elif own is not None and own.count > shared.count and now_s + _SAME_WINDOW_S < own.ends_s:
            own.count += 1
            return own
        else:
            self._keep(key, Window(shared.ends_s, shared.reset, shared.count, shared.shared_as), now_s)
        return shared

    def _begin(self, key: str, now_s: float) -> Window:
        window = Window(now_s + WINDOW_S, math.ceil(self._clock.now_us() / SECOND_US) + WINDOW_S)
        self._keep(key, window, now_s)
        return window

    def _keep(self, key: str, window: Window, now_s: float) -> None:
        self._windows.pop(key, None)
        self._forget(now_s)
        self._windows[key] = window

    def _forget(self, now_s: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows))
            if len(self._windows) < self._max_keys and now_s < self._windows[oldest].ends_s:
                return
            del self._windows[oldest]


class RateLimits:
    """The named limits of the settings, charged per network address and per principal."""

    def __init__(self, *, settings: ApiSettings, clock: Clock, counters: Counters | None = None) -> None:
        self.enabled = settings.rate_limit_enabled
        """Whether anything is limited at all."""
        self._rules = settings.rate_limits
        self._burst_size = settings.rate_limit_burst_size
        self._clock = clock
        self._counters: Counters = counters or MemoryCounters(clock, settings.rate_limit_max_keys)

    async def charge(self, name: str, client_ip: str, principal: Principal | None) -> RateHeaders:
        """Count one request against the limit `name`; returns the headers to answer with. Raises Busy when it is used up.

        A signed-in client counts by address and by principal where the limit says so, and is shown the principal's count:
        that is the one it can act on. A principal with a limit of its own is counted against that alone.
        """
        rule = self._rules.get(name)
        if rule is None or not self.enabled:
            return NO_HEADERS
        limit = rule.requests_per_minute
        if principal is None or principal.kind == "anonymous":
            keys = [f"{name}:ip:{_network_of(client_ip)}"]
        elif principal.requests_per_minute is not None:
            limit = principal.requests_per_minute
            keys = [f"{name}:user:{principal.id}"]
        else:
            keys = [f"{name}:ip:{_network_of(client_ip)}"] if "ip" in rule.per else []
            if "user" in rule.per:
                keys.append(f"{name}:user:{principal.id}")
        if limit == 0:
            return NO_HEADERS
        count, window = 0, None
        for window in await self._counters.hit(keys):
            count = window.count
            if count > limit + self._burst_size:
                raise self._used_up(name, limit, window)
        if window is None:
            return NO_HEADERS
        return (
            (b"x-ratelimit-limit", b"%d" % limit),
            (b"x-ratelimit-remaining", b"%d" % max(0, limit - count)),
            (b"x-ratelimit-reset", b"%d" % window.reset),
        )

    def _used_up(self, name: str, limit: int, window: Window) -> Busy:
        wait_s = max(1, math.ceil(window.ends_s - self._clock.steady_s()))
        return Busy(
            f"Rate limit exceeded. Try again in {wait_s} seconds.",
            retry_after_s=wait_s,
            rate_limit=name,
            limit=limit,
            remaining=0,
            reset=window.reset,
        )


async def charge(connection: HTTPConnection, name: str, principal: Principal | None) -> None:
    """Count a framework route's request against the limit `name`; the edge puts the headers on the answer. Raises Busy.

    Meant for a dependency that has the principal already.
    """
    exchange = exchange_of(connection)
    if exchange.rate_limits is not None:
        exchange.headers.extend(await exchange.rate_limits.charge(name, exchange.client_ip, principal))


def _network_of(client_ip: str) -> str:
    """An IPv6 client owns a /64, so that is what is counted."""
    if ":" not in client_ip or "." in client_ip:
        return client_ip
    left, _, right = client_ip.partition("::")
    groups = left.split(":") if left else []
    if "::" in client_ip:
        tail = right.split(":") if right else []
        groups += ["0"] * (8 - len(groups) - len(tail)) + tail
    return ":".join(groups[:4]) + "::/64"
