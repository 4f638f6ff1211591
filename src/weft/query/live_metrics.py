"""The realtime metrics pushed to everybody who watches, while somebody does."""

import asyncio
import logging

from weft.api.broadcast import Broadcast
from weft.api.websocket import Socket
from weft.core.errors import Busy, Unavailable
from weft.query.realtime import RealtimeMetrics
from weft.query.settings import QuerySettings

logger = logging.getLogger(__name__)


class LiveMetrics:
    """One computation and one encoded frame a second for all sockets together."""

    def __init__(self, realtime: RealtimeMetrics, settings: QuerySettings) -> None:
        self._realtime = realtime
        self._every_s = settings.realtime_every_s
        self._broadcast = Broadcast()
        self._pushing: asyncio.Task[None] | None = None

    async def show(self, socket: Socket) -> None:
        """Push to a socket until cancelled; the first frame comes at once."""
        await socket.send(await self._realtime.body())
        with self._broadcast.joined(socket):
            if self._pushing is None or self._pushing.done():
                self._pushing = asyncio.create_task(self._push(), name="live-metrics")
            pushing = self._pushing
            try:
                await asyncio.shield(pushing)
            finally:
                if len(self._broadcast) == 1:  # this one is the last to leave
                    pushing.cancel()
                    self._pushing = None

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                self._broadcast.publish(await self._realtime.body())
            except (Busy, Unavailable) as trouble:  # the next frame comes when there are figures again
                logger.warning("live_metrics_skipped", extra={"reason": trouble.message})
