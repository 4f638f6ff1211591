"""Revocations: what is revoked here is forgotten here at once, and everywhere else as soon as the cache has passed the word on.

The database is the truth: a revocation is committed there before anybody is told, and no process trusts its memory for longer
than `auth.cache_s`. The word only makes it sooner. Where it may have been missed, everything remembered is forgotten.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from weft.auth.remembered import Remembered
from weft.cache.port import Cache
from weft.core.clock import Clock
from weft.core.errors import Unavailable

logger = logging.getLogger(__name__)

CHANNEL: Final = "revocations"
PAUSE_S: Final = 1.0
"""How long after the line broke it is tried again."""
_WORTH_TELLING_S: Final = 30.0
"""After the longest `auth.cache_s` nobody remembers what an untold revocation was about."""
_MOST_UNTOLD: Final = 10_000
_WARN_EVERY_S: Final = 60.0


class Revocations:
    """Tells and hears what was revoked. A worker that listens; telling works without it."""

    name = "revocations"

    def __init__(self, cache: Cache, *, remembered: Remembered, clock: Clock) -> None:
        self._cache = cache
        self._remembered = remembered
        self._clock = clock
        self._untold: dict[bytes, float] = {}
        self._again = asyncio.Event()
        self._warned_at_s: dict[str, float] = {}
        self.deaf: str | None = "it has not begun to listen"
        """Why no word of other processes comes now; None where it does."""

    @property
    def is_shared(self) -> bool:
        """Whether there is anybody else to hear from."""
        return self._cache.reach != "process"

    async def of_user(self, user_id: str) -> None:
        """An account was changed: whatever stands for it must be asked again."""
        await self._tell(f"user {user_id}")

    async def of_session(self, session_id: str) -> None:
        """A session ended."""
        await self._tell(f"session {session_id}")

    async def of_key(self, key_id: str) -> None:
        """An API key was revoked."""
        await self._tell(f"key {key_id}")

    async def run(self, started: Callable[[], None]) -> None:
        """Listen until cancelled, and tell again what did not get through. A cache that is away only delays the word."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_telling())
            while True:
                try:
                    await self._listen(started)
                except Unavailable as away:
                    self.deaf = away.message
                    self._warn("revocations_not_heard", away)
                started()
                await asyncio.sleep(PAUSE_S)

    async def _listen(self, started: Callable[[], None]) -> None:
        try:
            async with self._cache.subscribe(CHANNEL) as messages:
                self._remembered.forget_all()
                self.deaf = None
                started()
                async for message in messages:
                    self._heed(message.decode(errors="replace"))
        finally:
            self.deaf = self.deaf or "the line was closed"

    async def _tell(self, text: str) -> None:
        self._heed(text)
        message = text.encode()
        self._untold[message] = self._clock.steady_s()  # until it is told, also where whoever revokes is cancelled meanwhile
        while len(self._untold) > _MOST_UNTOLD:
            del self._untold[next(iter(self._untold))]
        is_told = False
        try:
            await self._cache.publish(CHANNEL, message)
            is_told = True
        except Unavailable as away:
            self._warn("revocation_not_told", away)
        finally:
            if is_told:
                self._untold.pop(message, None)
            else:
                self._again.set()

    async def _keep_telling(self) -> None:
        while True:
            await self._again.wait()
            await asyncio.sleep(PAUSE_S)
            self._again.clear()
            try:
                await self._tell_again()
            except Unavailable:
                self._again.set()

    async def _tell_again(self) -> None:
        """Word that did not get through and still matters to somebody."""
        worth_s = self._clock.steady_s() - _WORTH_TELLING_S
        for message, since_s in list(self._untold.items()):
            if since_s >= worth_s:
                await self._cache.publish(CHANNEL, message)
            self._untold.pop(message, None)

    def _heed(self, text: str) -> None:
        kind, _, subject = text.partition(" ")
        if kind == "user":
            self._remembered.forget_user(subject)
        elif kind == "session":
            self._remembered.forget_session(subject)
        elif kind == "key":
            self._remembered.forget_key(subject)
        else:  # a newer Weft knows a kind of its own
            self._remembered.forget_all()

    def _warn(self, what: str, away: Unavailable) -> None:
        now_s = self._clock.steady_s()
        if now_s - self._warned_at_s.get(what, -_WARN_EVERY_S) >= _WARN_EVERY_S:
            self._warned_at_s[what] = now_s
            logger.warning(what, extra={"why": away.message, "until_then": "the database is asked after auth.cache_s"})
