"""Ticker: moves event time on where nothing happens, so that windows close though nobody sends anything."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from weft.core.clock import Clock
from weft.core.errors import WeftError
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.log.dead_letter import SUFFIX
from weft.log.port import Log, PartitionState
from weft.log.settings import LogSettings

logger = structlog.get_logger(__name__)

_INTERNAL: Final = "weft."
_LONGEST_S: Final = 300.0


class Ticker:
    """A worker that ticks idle topics: at first after `tick_idle_s`, then at growing intervals up to five minutes."""

    def __init__(self, log: Log, *, settings: LogSettings, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._idle_s = settings.tick_idle_s
        self._ticked_s: dict[TopicPartition, float] = {}

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict."""
        return "log-ticker"

    async def run(self, started: Callable[[], None]) -> None:
        """Look again and again until cancelled."""
        started()
        while True:
            await asyncio.sleep(self._idle_s)
            try:
                await self.look()
            except WeftError as failure:
                logger.warning("log_tick_failed", reason=failure.message)

    async def look(self) -> None:
        """Tick every topic with a partition that has been idle long enough."""
        state = await self._log.state()
        now_us = self._clock.now_us()
        idle = {partition.topic for partition in state.partitions if self._is_due(partition, now_us)}
        for topic in sorted(idle):
            await self._log.tick(topic, now_us - int(self._idle_s * SECOND_US))

    def _is_due(self, partition: PartitionState, now_us: int) -> bool:
        if partition.topic.startswith(_INTERNAL) or partition.topic.endswith(SUFFIX) or partition.appended_at_us is None:
            return False
        idle_s = (now_us - partition.appended_at_us) / SECOND_US
        if idle_s < self._idle_s:
            return False
        at = TopicPartition(partition.topic, partition.partition)
        steady_s = self._clock.steady_s()
        interval_s = min(max(self._idle_s, idle_s / 2), _LONGEST_S)
        if steady_s - self._ticked_s.get(at, -_LONGEST_S) < interval_s:
            return False
        self._ticked_s[at] = steady_s
        return True
