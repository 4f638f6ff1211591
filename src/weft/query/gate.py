"""The gate: how many questions may be worked on at once and for how long, so that they never starve ingest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from weft.core.errors import Busy, TimedOut
from weft.query.settings import QuerySettings

T = TypeVar("T")


class Gate:
    """Lets `max_concurrent` questions through, lets `max_waiting` more wait, refuses the rest."""

    def __init__(self, settings: QuerySettings) -> None:
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._max_concurrent = settings.max_concurrent
        self._max_waiting = settings.max_waiting
        self._timeout_s = settings.timeout_s
        self._waiting = 0

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question. Waiting for a place counts into the time limit.

        Raises Busy when too many wait already, TimedOut when the time is over; the question is cancelled then.
        """
        if self._waiting >= self._max_waiting and self._slots.locked():
            raise Busy(
                f"{self._max_concurrent} questions are being answered and {self._waiting} wait; ask again in a moment",
                retry_after_s=1,
                waiting=self._waiting,
            )
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._enter()
                try:
                    return await question()
                finally:
                    self._slots.release()
        except TimeoutError as late:
            raise TimedOut(
                f"no answer within {self._timeout_s:g} s; ask for a shorter time range or fewer groups",
                timeout_s=self._timeout_s,
            ) from late

    async def _enter(self) -> None:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
