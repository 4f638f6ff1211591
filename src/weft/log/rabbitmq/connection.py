"""Connection: a link to the broker that is made anew whenever it is lost."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from weft.core.errors import Invalid, Unavailable, WeftError
from weft.log.rabbitmq.broker import Link

logger = structlog.get_logger(__name__)

_FIRST_PAUSE_S: Final = 0.05


class Connection:
    """Holds one link at a time. `changed` is set whenever it comes or goes."""

    def __init__(self, make: Callable[[], Link], *, pulse_s: float, retry_max_s: float) -> None:
        self.up = asyncio.Event()
        self._make = make
        self._pulse_s = pulse_s
        self._retry_max_s = retry_max_s
        self._link: Link | None = None
        self._reason = "not connected yet"
        self._keeping: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect for the first time. Raises Unavailable where the broker is away."""
        link = self._make()
        await link.open()
        self._show(link)
        self._keeping = asyncio.create_task(self._keep(link), name="rabbitmq-connection")

    async def close(self) -> None:
        """End it for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._link is not None:
            self._end(self._link)
        await asyncio.gather(*self._ending, return_exceptions=True)
        self._hide("the log is closed")

    @property
    def link(self) -> Link:
        """The link as it is. Raises Unavailable where there is none."""
        if self._link is None or self._link.lost.is_set():
            reason = self._reason if self._link is None else self._link.reason
            raise Unavailable(f"RabbitMQ is away: {reason}", retry_after_s=2)
        return self._link

    @property
    def refusal(self) -> str | None:
        """Why there is no link, or None."""
        try:
            _ = self.link
        except Unavailable as away:
            return away.message
        return None

    async def _keep(self, link: Link) -> None:
        while True:
            await self._watch(link)
            self._hide(link.reason)
            logger.warning("rabbitmq_lost", address=link.address, reason=link.reason)
            self._end(link)
            link = await self._again()
            logger.info("rabbitmq_connected", address=link.address)
            self._show(link)

    async def _watch(self, link: Link) -> None:
        """Until it is lost; asks now and then, because a dead line says nothing."""
        while not link.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pulse_s):
                    await link.lost.wait()
                    return
            with contextlib.suppress(Unavailable):
                await link.ping()

    async def _again(self) -> Link:
        pause_s = _FIRST_PAUSE_S
        while True:
            link = self._make()
            try:
                await link.open()
            except (Unavailable, Invalid) as away:
                self._reason = away.message
            except Exception as failure:  # whatever it was, trying again is all there is to do
                logger.exception("rabbitmq_connect_failed")
                self._reason = repr(failure)
            else:
                return link
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._retry_max_s)

    def _end(self, link: Link) -> None:
        """Close a link without waiting for it: a dead line takes its time."""
        task = asyncio.create_task(link.close(), name="rabbitmq-close")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _show(self, link: Link) -> None:
        self._link = link
        self.up.set()

    def _hide(self, reason: str) -> None:
        self._link = None
        self._reason = reason
        self.up.clear()


async def endlessly(connection: Connection, work: Callable[[Link], Awaitable[None]]) -> None:
    """Do some work on every link anew, until cancelled."""
    while True:
        await connection.up.wait()
        try:
            await work(connection.link)
        except WeftError as failure:
            logger.debug("rabbitmq_work_interrupted", reason=failure.message)
            await asyncio.sleep(_FIRST_PAUSE_S)
        except Exception:  # whoever depends on this work would wait for ever
            logger.exception("rabbitmq_work_failed")
            await asyncio.sleep(_FIRST_PAUSE_S)
