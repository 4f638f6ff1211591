"""The deliverer: the worker that takes intents out of the outbox and sends them until they are delivered, refused or dead."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from weft.alerts.notify.announce import TOPIC, Announcer
from weft.alerts.notify.directory import Directory
from weft.alerts.notify.forget import forget
from weft.alerts.notify.lane import Lane, Look, Tries, list_unfinished
from weft.alerts.notify.outbox import list_waiting
from weft.alerts.notify.resolve import resolve
from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.tls import tls_context
from weft.core.clock import Clock
from weft.core.errors import Busy, Corrupt, Unavailable
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.lease import Lease
from weft.log.port import Log

logger = structlog.get_logger(__name__)

GROUP: Final = "weft.notify"
LEASE: Final = "notify"

_ALERT: Final = b'"weft.alert.'
_SLOW_LOOK_S: Final = 5.0
"""Longest time between two looks at the outbox. The judge of this process wakes the deliverer, and an alert in the log does,
whoever judged it; this is for the absence of both."""
_AFTER_TROUBLE_S: Final = 1.0
_FORGET_EVERY_S: Final = 3600.0


class Deliverer:
    """Of all processes that could deliver, the one with the lease does. Killed at any moment, it or another goes on: what was
    sent but not marked is sent again under the same key."""

    def __init__(
        self,
        database: Database,
        log: Log,
        *,
        directory: Directory,
        settings: NotifySettings,
        clock: Clock,
        lease: Lease | None = None,
    ) -> None:
        self._database = database
        self._log = log
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._lease = lease or Lease(database, LEASE, clock=clock)
        self._announcer = Announcer(database, log, clock=clock)
        self.tries = Tries()
        self._wake = asyncio.Event()
        self._is_asked = False
        self._lanes: dict[str, Lane] = {}
        self._due_us: dict[str, int] = {}
        self._working: dict[str, asyncio.Task[int | None]] = {}
        self._forgot_s: float | None = None
        self._has_news = True

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict."""
        return "notify-deliverer"

    def wake(self) -> None:
        """Something was intended just now, and is committed: send it at once."""
        self._is_asked = True
        self._wake.set()

    async def run(self, started: Callable[[], None]) -> None:
        """Deliver whenever it is ours to do, until cancelled."""
        started()
        while True:
            await self._lease.hold(self._deliver)

    async def settle(self) -> None:
        """Do everything that can be done at this moment, as the holder of the lease. Raises Conflict, Unavailable, Busy."""
        if self._lease.epoch is None:
            await self._lease.acquire()
            await self._take_up()
        while True:
            await self._look()
            if not self._working:
                return
            await asyncio.wait(self._working.values())

    async def _deliver(self) -> None:
        following = asyncio.create_task(self._follow())
        try:
            await self._take_up()
            while True:
                self._wake.clear()
                pause_s = await self._step()
                try:
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            following.cancel()
            for task in self._working.values():
                task.cancel()
            await asyncio.gather(following, *self._working.values(), return_exceptions=True)
            self._working.clear()

    async def _step(self) -> float:
        """One look; returns how long to wait for a reason to look again (seconds)."""
        try:
            await self._look()
        except (Unavailable, Busy) as away:
            logger.warning("notify_delayed", reason=away.message)
            return _AFTER_TROUBLE_S
        waits = [at_us for channel, at_us in self._due_us.items() if channel not in self._working]
        next_s = (min(waits) - self._clock.now_us()) / SECOND_US if waits else _SLOW_LOOK_S
        return min(max(next_s, 0.0), _SLOW_LOOK_S)

    async def _take_up(self) -> None:
        """Begin where the last holder ended."""
        self._lanes.clear()
        await asyncio.to_thread(tls_context)  # the first notification has no time to read certificates
        try:
            await self._directory.renew_secrets()
        except Corrupt as unreadable:  # channels with readable secrets go on; the others say so at each message
            logger.warning("channel_secrets_not_renewed", reason=unreadable.message)
        async with self._database.reading() as session:
            self._due_us = dict.fromkeys(await list_unfinished(session), 0)

    async def _look(self) -> None:
        self._reap()
        looks = await self._resolve()
        now_us = self._clock.now_us()
        for channel in [channel for channel, at_us in self._due_us.items() if at_us <= now_us]:
            if channel not in self._working:
                del self._due_us[channel]
                self._start(channel, looks.get(channel))
        await self._tell()
        await self._forget()

    def _lane(self, channel: str) -> Lane:
        lane = self._lanes.get(channel)
        if lane is None:
            lane = self._lanes[channel] = Lane(
                channel,
                self._database,
                lease=self._lease,
                directory=self._directory,
                settings=self._settings,
                clock=self._clock,
                tries=self.tries,
            )
        return lane

    def _start(self, channel: str, look: Look | None) -> None:
        task = self._working[channel] = asyncio.create_task(self._lane(channel).work(look))
        task.add_done_callback(lambda _: self._wake.set())

    def _reap(self) -> None:
        """What the lanes that ended say: when they want to work again. Raises Conflict where another process has taken over."""
        for channel, task in [(channel, task) for channel, task in self._working.items() if task.done()]:
            del self._working[channel]
            self._has_news = True
            try:
                next_us = task.result()
            except Unavailable as away:
                logger.warning("notify_delayed", reason=away.message)
                next_us = self._clock.now_us() + round(_AFTER_TROUBLE_S * SECOND_US)
            if next_us is not None:
                self._due_us[channel] = min(next_us, self._due_us.get(channel, next_us))

    async def _resolve(self) -> dict[str, Look]:
        """Find the channels of what was intended; returns what is composed for them already."""
        is_asked, self._is_asked = self._is_asked, False
        has_more = is_asked or await self._is_intended()
        looks: dict[str, Look] = {}
        while has_more:
            async with self._database.writing() as session:
                await self._lease.check(session)
                now_us = self._clock.now_us()
                resolved = await resolve(session, now_us=now_us)
                for channel in resolved.channels:
                    # What may leave at once is composed in the same transaction, which spares it a write and a read.
                    if channel.id not in self._working and not self._lane(channel.id).is_resting:
                        looks[channel.id] = await self._lane(channel.id).compose(session, channel, now_us=now_us)
            self._due_us.update({channel.id: 0 for channel in resolved.channels})
            self._has_news |= resolved.is_unheard
            has_more = resolved.has_more
        return looks

    async def _is_intended(self) -> bool:
        async with self._database.reading() as session:
            return len(await list_waiting(session, limit=1)) > 0

    async def _tell(self) -> None:
        """Let the log hear of what was done since the last time; where that fails, it is done the next time."""
        if self._has_news:
            await self._announcer.tell()
            self._has_news = False

    async def _forget(self) -> None:
        now_s = self._clock.steady_s()
        if self._forgot_s is None or now_s - self._forgot_s >= _FORGET_EVERY_S:
            self._forgot_s = now_s
            async with self._database.writing() as session:
                await self._lease.check(session)
                await forget(session, settings=self._settings, now_us=self._clock.now_us())

    async def _follow(self) -> None:
        """Be woken by alerts as they reach the log, by whatever process."""
        while True:
            try:
                state = await self._log.state()
                ends = {
                    TopicPartition(part.topic, part.partition): part.end_offset
                    for part in state.partitions
                    if part.topic == TOPIC
                }
                async with aclosing(self._log.follow(GROUP, [TOPIC], start=ends)) as batches:
                    async for batch in batches:
                        if _ALERT in batch.rows:
                            self._wake.set()
            except Unavailable as away:
                logger.warning("notify_follow_delayed", reason=away.message)
            await asyncio.sleep(_AFTER_TROUBLE_S)
