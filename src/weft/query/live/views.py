"""The worker that runs every view somebody watches, and lets go of those nobody does."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from weft.core.errors import Busy, Unavailable
from weft.query.feed import Feeds
from weft.query.live.figures import FiguresView
from weft.query.live.newest import Newest
from weft.query.live.seen import Seen
from weft.query.live.view import View
from weft.query.realtime import RealtimeMetrics
from weft.query.settings import QuerySettings

AnyView = TypeVar("AnyView", View, FiguresView)

_STOPPING: Final = "the server is stopping; subscribe again from where this feed ends"


class Views:
    """Every view of this process. Who asked for the same gets the same one."""

    name = "live-views"

    def __init__(self, feeds: Feeds, realtime: RealtimeMetrics, settings: QuerySettings) -> None:
        self.settings = settings
        self._feeds = feeds
        self._realtime = realtime
        self._views: dict[Hashable, View | FiguresView] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._views)

    @property
    def seats(self) -> int:
        """How many subscriptions are open."""
        return sum(view.seats for view in self._views.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of newest events kept in memory for all views."""
        return sum(view.newest.size_bytes for view in self._views.values() if isinstance(view, View))

    async def run(self, started: Callable[[], None]) -> None:
        """Let subscribers in until cancelled; then tell each that its feed ends."""
        async with asyncio.TaskGroup() as group:
            try:
                self._group = group
                started()
                await asyncio.get_running_loop().create_future()
            finally:
                self.close()

    def close(self) -> None:
        """End every view. Call it before a server waits for its connections to finish."""
        self._group = None
        for view in self._views.values():
            view.end(Unavailable(_STOPPING))

    @asynccontextmanager
    async def events(self, seen: Seen) -> AsyncGenerator[View]:
        """The view of some events of a topic, for one more seat. Raises Busy when there are too many different ones,
        Unavailable when none runs."""
        view = self._enter(seen, lambda: View(seen, self._feeds, self.settings, Newest(self._share)))
        try:
            await view.ready()
            yield view
        finally:
            self._leave(seen, view)

    @asynccontextmanager
    async def figures(self, every_s: float | None) -> AsyncGenerator[FiguresView]:
        """The view of the realtime metrics at a rate, for one more seat. Raises as `events` does."""
        pace_s = max(every_s or 0.0, self.settings.realtime_every_s)
        view = self._enter(pace_s, lambda: FiguresView(self._realtime, pace_s))
        try:
            yield view
        finally:
            self._leave(pace_s, view)

    def _share(self) -> int:
        """Bytes one view may keep: what there is for all, shared evenly."""
        return self.settings.live_memory_bytes // max(len(self._views), 1)

    def _enter(self, key: Hashable, make: Callable[[], AnyView]) -> AnyView:
        if self._group is None:
            raise Unavailable("the live feed does not run in this process", retry_after_s=5)
        known = self._views.get(key)
        view = make() if known is None or known.ended is not None else known
        if view is not known:
            self._start(key, view, self._group)
        view.seats += 1
        return view  # pyright: ignore[reportReturnType] - equal keys are of views of one kind

    def _start(self, key: Hashable, view: View | FiguresView, group: asyncio.TaskGroup) -> None:
        if len(self._views) >= self.settings.live_max_views:
            for idle in [key for key, view in self._views.items() if view.seats == 0]:
                self._stop(idle)
        if len(self._views) >= self.settings.live_max_views and key not in self._views:
            raise Busy(
                f"{len(self._views)} different views are shown live already; ask for one that others watch, or try later",
                retry_after_s=5,
            )
        self._views[key] = view
        self._tasks[key] = group.create_task(view.run(), name=self.name)

    def _leave(self, key: Hashable, view: View | FiguresView) -> None:
        view.seats -= 1
        if view.seats == 0 and self._group is not None:
            asyncio.get_running_loop().call_later(self.settings.feed_linger_s, self._let_go, key, view)

    def _let_go(self, key: Hashable, view: View | FiguresView) -> None:
        if view.seats == 0 and self._views.get(key) is view:
            self._stop(key)

    def _stop(self, key: Hashable) -> None:
        del self._views[key]
        self._tasks.pop(key).cancel()
