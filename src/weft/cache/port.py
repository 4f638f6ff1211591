"""The port of the cache. Each promise here has a test in `weft.testing.cache_suite`, run on every adapter.

A cache may lose everything at any moment (a restart, a full memory). Whoever asks it has to be right without it, only
slower or less strict. Keys are short texts, of counters and of values each for themselves; what is kept ends by itself.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, NamedTuple


class Window(NamedTuple):
    """A window of a counter as it stands after a hit."""

    hits: int
    left_s: float
    """Seconds until it ends, by the cache's own clock."""
    ends_at_us: int
    """When it ends. The same for every hit of one window, whichever process asks."""


class Cache(AbstractAsyncContextManager["Cache"], ABC):
    """Counters, values and channels that every process on the same address shares. Opened and closed by `async with`.

    Opening asks nothing of a server: one that is away is told by the first question. Every method but `subscribe` answers or
    raises Unavailable within `CacheSettings.timeout_s`; cancelling one leaves the cache usable.
    """

    reach: Literal["process", "host", "network"]
    """From how far away other processes share what is kept here."""

    @abstractmethod
    async def hit(self, keys: Sequence[str], window_s: float) -> Sequence[Window]:
        """Count one on each key and return their windows in the same order.

        A window begins with the first hit of its key and ends `window_s` seconds later, however many hits follow; the next hit
        begins a new one. No two hits, of whatever processes, get the same count in one window. All keys are counted, or
        none where it raises Unavailable, except after a lost answer, when they may have been.
        """

    @abstractmethod
    async def put(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        """Keep each value under its key for `ttl_s` seconds from now, in the place of an earlier one; all at once or none."""

    @abstractmethod
    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """The values of the keys in the same order; None where there is none or its time is over."""

    @abstractmethod
    async def publish(self, channel: str, message: bytes) -> None:
        """Hand a message to everybody who is subscribed to the channel at this moment. It is kept for nobody else."""

    @abstractmethod
    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Every message published on the channel while the block runs, in the order of each publisher.

        Entering raises Unavailable where there is no server. Iterating raises Unavailable as soon as a message may have been
        missed: the line broke, the server was silent for longer than `CacheSettings.heartbeat_s` and an answer's time, or the
        reader was too slow for a bounded queue. Nothing is ever missed in silence.
        """
