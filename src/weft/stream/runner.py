"""The worker that answers queries: a share for each topic that has some, kept up for as long as it has.

Of all processes that play analytics, each topic is computed by the one that has its lease; the others wait for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from weft.core.clock import Clock
from weft.core.errors import WeftError
from weft.core.position import TopicPartition
from weft.db.database import Database
from weft.db.lease import Lease
from weft.log.port import Log
from weft.stream.built_in import settle_built_in
from weft.stream.catalogue import CHANGES, Catalogue
from weft.stream.settings import StreamSettings
from weft.stream.share import GROUP, Share
from weft.stream.tally import Tally

logger = structlog.get_logger(__name__)

LOOK_S: Final = 10.0
"""How often the catalogue is looked at though nobody told of a change: a process may have died before it could tell."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0
_BREATH_S: Final = 0.5
"""So much longer a process waits for each topic that it computes already before it takes another one."""


class StreamRunner:
    """Answers the queries of the catalogue."""

    name = "stream"

    def __init__(
        self, *, log: Log, database: Database, catalogue: Catalogue, clock: Clock, settings: StreamSettings, tally: Tally
    ) -> None:
        self._log = log
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._settings = settings
        self._tally = tally
        self._shares: dict[str, Share] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._is_settled = False

    async def run(self, started: Callable[[], None]) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            started()
            while True:
                try:
                    await self._look(group)
                except WeftError as away:
                    logger.warning("stream_look_failed", reason=away.message)
                await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()

    async def _listen(self) -> None:
        """Wake whenever somebody tells of a change, in whatever process."""
        while True:
            try:
                ends = {
                    TopicPartition(part.topic, part.partition): part.end_offset
                    for part in (await self._log.state()).partitions
                    if part.topic == CHANGES
                }
                async with aclosing(self._log.follow(GROUP, [CHANGES], start=ends)) as batches:
                    async for _ in batches:
                        self._changed.set()
            except WeftError as away:
                logger.warning("stream_not_listening", reason=away.message)
            await asyncio.sleep(_FIRST_PAUSE_S)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        if not self._is_settled:
            await settle_built_in(self._catalogue, wanted=self._settings.built_in_queries)
            self._is_settled = True
        topics = set(await self._catalogue.topics())
        for topic in topics:
            keeping = self._keeping.get(topic)
            if keeping is None or keeping.done():
                self._keeping[topic] = group.create_task(self._keep(topic))
        for share in list(self._shares.values()):
            share.wake()
        await self._measure(topics)

    async def _measure(self, topics: set[str]) -> None:
        """How far behind each topic is; and a topic that nobody asks about any more keeps nothing in the log."""
        lags: dict[str, int] = {}
        left: dict[TopicPartition, int] = {}
        for part in (await self._log.state()).partitions:
            position = part.positions.get(GROUP)
            if part.topic in self._shares:
                behind = part.end_offset - max(position or 0, part.start_offset)
                lags[part.topic] = lags.get(part.topic, 0) + max(behind, 0)
            elif position is not None and position < part.end_offset and part.topic not in topics:
                left[TopicPartition(part.topic, part.partition)] = part.end_offset
        self._tally.lag = lags
        if left:
            await self._log.commit(GROUP, left)

    async def _keep(self, topic: str) -> None:
        """Compute a topic whenever we have its lease, and try again after what goes wrong; it must not stop the process."""
        pause_s = _FIRST_PAUSE_S
        while topic in await self._topics():
            began_s = self._clock.steady_s()
            try:
                await self._hold(topic)
                self._tally.failures.pop(topic, None)
            except Exception as failure:
                why = failure.message if isinstance(failure, WeftError) else repr(failure)
                self._tally.failures[topic] = why
                logger.exception("stream_share_failed", topic=topic, reason=why)
                was_long = self._clock.steady_s() - began_s > _LONGEST_PAUSE_S
                pause_s = _FIRST_PAUSE_S if was_long else min(2 * pause_s, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _topics(self) -> set[str]:
        try:
            return set(await self._catalogue.topics())
        except WeftError as away:
            logger.warning("stream_look_failed", reason=away.message)
            return set(self._keeping)

    async def _hold(self, topic: str) -> None:
        lease = Lease(self._database, f"stream:{topic}", clock=self._clock, ttl_s=self._settings.lease_s)
        share = Share(
            topic,
            lease,
            log=self._log,
            database=self._database,
            catalogue=self._catalogue,
            clock=self._clock,
            settings=self._settings,
            tally=self._tally,
        )

        async def work() -> None:
            self._shares[topic] = share
            self._tally.failures.pop(topic, None)
            await share.run()

        await asyncio.sleep(_BREATH_S * len(self._shares))
        try:
            await lease.hold(work)
        finally:
            self._shares.pop(topic, None)
            self._tally.left(topic)
