"""Figures: the realtime metrics as a view. They have no history: who is behind gets the newest ones and misses nothing."""

import asyncio
import logging
from collections.abc import Callable

from weft.core.errors import Busy, Unavailable, WeftError
from weft.query.live.update import Update
from weft.query.realtime import RealtimeMetrics

logger = logging.getLogger(__name__)


class FiguresView:
    """The figures as everybody sees them who asked for the same rate; computed while somebody watches."""

    def __init__(self, realtime: RealtimeMetrics, every_s: float) -> None:
        self.newest: Update | None = None
        self.number = 0
        self.moved = asyncio.Event()
        self.ended: WeftError | None = None
        self.seats = 0
        self._realtime = realtime
        self._every_s = every_s
        self._live: dict[FiguresSeat, None] = {}

    async def run(self) -> None:
        """Push until cancelled."""
        while True:
            try:
                body = await self._realtime.body()
            except (Busy, Unavailable) as trouble:  # the next ones come when there are figures again
                logger.warning("live_figures_skipped", extra={"reason": trouble.message})
            else:
                self._publish(Update("update", b"," + body[1:]))
            await asyncio.sleep(self._every_s)

    def end(self, reason: WeftError) -> None:
        """Tell every seat that there is no more."""
        self.ended = reason
        for seat in list(self._live):
            self._drop(seat)
        self._wake()

    def join(self, seat: "FiguresSeat") -> None:
        """The seat gets every update from here on."""
        self._live[seat] = None

    def leave(self, seat: "FiguresSeat") -> None:
        """The seat gets no more."""
        self._live.pop(seat, None)

    def _publish(self, update: Update) -> None:
        self.newest = update
        self.number += 1
        for seat in list(self._live):
            if not seat.offer(update):
                self._drop(seat)
        self._wake()

    def _drop(self, seat: "FiguresSeat") -> None:
        self._live.pop(seat, None)
        seat.fall_behind()

    def _wake(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()


class FiguresSeat:
    """A place in a view of figures. See `weft.query.live.seat.Place`."""

    cursor = None

    def __init__(
        self,
        view: FiguresView,
        *,
        name: str = "",
        write: Callable[[bytes], bool] | None = None,
        behind: Callable[["FiguresSeat"], None] | None = None,
    ) -> None:
        self.name = name
        self.view = view
        self._write = write
        self._behind = behind
        self.is_live = False
        self._number = 0

    def offer(self, update: Update) -> bool:
        """Send figures at once; False where there is no room."""
        if self._write is None or not self._write(update.frame(self.name)):
            return False
        self._number = self.view.number
        return True

    def fall_behind(self) -> None:
        """The newest figures were not sent."""
        self.is_live = False
        if self._behind is not None:
            self._behind(self)

    def join(self) -> bool:
        """See `Place`."""
        self.view.join(self)
        self.is_live = True
        return True

    def leave(self) -> None:
        """See `Place`."""
        self.view.leave(self)

    async def moved(self) -> None:
        """See `Place`."""
        if self.view.ended is None:
            await self.view.moved.wait()

    def rest(self) -> None:
        """See `Place`. Nothing is read ahead here."""

    def grant(self, events: int) -> None:
        """See `Place`. Figures are few and need no credit."""

    async def next(self) -> Update | None:
        """See `Place`. Raises why the view ended."""
        if self.view.ended is not None:
            raise self.view.ended
        if self._number == self.view.number:
            return None
        self._number = self.view.number
        return self.view.newest
