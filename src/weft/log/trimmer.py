"""Trimmer: applies the retention of the settings, again and again."""

import asyncio
from collections.abc import Callable

import structlog

from weft.core.errors import WeftError
from weft.log.port import Log, Retention
from weft.log.settings import LogSettings

logger = structlog.get_logger(__name__)


class Trimmer:
    """A worker that removes from the log what is old or too much, and consumed."""

    def __init__(self, log: Log, *, settings: LogSettings) -> None:
        self._log = log
        self._interval_s = settings.trim_interval_s
        self._retention = Retention(max_age_s=settings.retention_age_s, max_bytes=settings.retention_bytes)

    @property
    def name(self) -> str:
        """Stable name for logs and the verdict."""
        return "log-trimmer"

    async def run(self, started: Callable[[], None]) -> None:
        """Trim until cancelled."""
        started()
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.look()
            except WeftError as failure:
                logger.warning("log_trim_failed", reason=failure.message)

    async def look(self) -> None:
        """Trim what may go now."""
        removed = await self._log.trim(self._retention)
        if removed:
            logger.info("log_trimmed", events=removed)
