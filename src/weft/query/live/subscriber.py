"""Subscriber: one client of `/ws/live` and all it has subscribed to.

Seats at the head of their views are written to by these. For those that are behind one task a client reads on, in turn, and
waits for the client; so a slow client holds one update, delays nobody, and is cut when it takes nothing for too long.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, cast

import msgspec

from weft.api.uvicorn_protocol import FRAMES, ROOM
from weft.api.websocket import Socket
from weft.core.errors import Conflict, NotFound, TooLarge, WeftError
from weft.core.principal import Scope
from weft.query import resume
from weft.query.live.ask import Grant, Ping, Subscribe, Unsubscribe, find_id, read_operation, read_seen
from weft.query.live.figures import FiguresSeat
from weft.query.live.seat import Place, Seat
from weft.query.live.seen import Seen, read_rate
from weft.query.live.update import PROGRESS, Update, heartbeat
from weft.query.live.views import Views

logger = logging.getLogger(__name__)

_SHORT_WAIT_S: Final = 1.0
_PONG: Final = b'{"type":"pong"}'


class Subscriber:
    """One client."""

    def __init__(self, socket: Socket, views: Views) -> None:
        self._socket = socket
        self._views = views
        self._write = cast("Callable[[bytes], bool] | None", socket.extensions.get(FRAMES))
        self._room = cast("Callable[[], Awaitable[None]] | None", socket.extensions.get(ROOM))
        self._patience_s = views.settings.feed_send_timeout_s
        self._places: dict[str, tuple[Place, AsyncExitStack]] = {}
        self._behind: dict[Place, None] = {}
        self._told_s: dict[Place, float] = {}
        self._woken = asyncio.Event()

    async def listen(self) -> None:
        """Do what the client asks until it is gone."""
        try:
            async for _ in self._socket:
                text = self._socket.text
                try:
                    await self._take(text)
                except WeftError as error:
                    await self._in_time(self._socket.send_error(error, about=find_id(text)))
        except TimeoutError:
            logger.info("live_cut", extra={"timeout_s": self._patience_s})

    async def close(self) -> None:
        """Give every seat up."""
        for name in list(self._places):
            await self._leave(name)

    async def push(self) -> None:
        """Send what seats that are behind have to be told, until the client takes nothing for too long."""
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._behind:
                    for place in list(self._behind):
                        await self._catch_up(place)
        except TimeoutError:
            logger.info("live_cut", extra={"timeout_s": self._patience_s})

    async def subscribe(self, asked: Subscribe) -> None:
        """Begin a feed. Raises what is wrong with the question."""
        if asked.id in self._places:
            raise Conflict(f"'{asked.id}' is subscribed already; unsubscribe it first, or choose another id", id=asked.id)
        most = self._views.settings.live_max_subscriptions
        if len(self._places) >= most:
            raise TooLarge(f"a socket may hold at most {most} subscriptions; unsubscribe one first", limit=most, unit="feeds")
        seen = read_seen(asked)
        self._socket.identity.demand(Scope.EVENTS_READ if seen is None else seen.kind.scope)
        async with AsyncExitStack() as stack:
            place = await (self._figures(asked, stack) if seen is None else self._seat(asked, seen, stack))
            stack.callback(place.leave)
            told = {"type": "subscribed", "id": asked.id, "feed": asked.feed, "rate": asked.rate, "cursor": place.cursor}
            await self._in_time(self._socket.send(msgspec.json.encode(told)))
            self._places[asked.id] = place, stack.pop_all()
        self._note_behind(place)

    async def _take(self, text: bytes) -> None:
        asked = read_operation(text)
        match asked:
            case Subscribe():
                await self.subscribe(asked)
            case Unsubscribe():
                await self._unsubscribe(asked.id)
            case Grant():
                place = self._get(asked.id)
                place.grant(asked.events)
                if not place.is_live:
                    self._note_behind(place)
            case Ping():
                await self._in_time(self._socket.send(_PONG))

    async def _in_time(self, sending: Awaitable[None]) -> None:
        async with asyncio.timeout(self._patience_s):
            await sending

    async def _figures(self, asked: Subscribe, stack: AsyncExitStack) -> Place:
        view = await stack.enter_async_context(self._views.figures(read_rate(asked.rate)))
        return FiguresSeat(view, name=asked.id, write=self._write, behind=self._note_behind)

    async def _seat(self, asked: Subscribe, seen: Seen, stack: AsyncExitStack) -> Place:
        view = await stack.enter_async_context(self._views.events(seen))
        seat = Seat(view, name=asked.id, write=self._write, behind=self._note_behind, credit=asked.credit)
        if asked.cursor is not None:
            await seat.begin(resume.parse_start(asked.cursor))
        elif asked.snapshot:
            await seat.begin_with_snapshot()
        return seat

    async def _unsubscribe(self, name: str) -> None:
        place = self._get(name)
        cursor = place.cursor
        await self._leave(name)
        told = {"type": "unsubscribed", "id": name, "cursor": cursor}
        await self._in_time(self._socket.send(msgspec.json.encode(told)))

    def _get(self, name: str) -> Place:
        if name not in self._places:
            raise NotFound(f"nothing is subscribed under '{name}'", id=name)
        return self._places[name][0]

    async def _leave(self, name: str) -> None:
        place, stack = self._places.pop(name)
        self._behind.pop(place, None)
        self._told_s.pop(place, None)
        await stack.aclose()

    def _note_behind(self, place: Place) -> None:
        self._behind[place] = None
        self._woken.set()

    async def _catch_up(self, place: Place) -> None:
        """One update for one seat, or its return to the head of its view."""
        if self._room is not None:
            await self._in_time(self._wait_for_room(place, self._room))  # what is looked up then is the newest there is
        try:
            update = await place.next()
        except WeftError as reason:
            await self._cut(place, reason)
            return
        if place not in self._behind:  # unsubscribed in the meantime
            return
        if update is PROGRESS:
            await asyncio.sleep(0)
            update = self._sign_of_life(place)
        elif update is None:
            # Nothing waited since `next` looked, so nothing can have come between.
            del self._behind[place]
            place.join()
        if update is not None:
            self._told_s[place] = asyncio.get_running_loop().time()
            await self._send(update, place.name)

    async def _wait_for_room(self, place: Place, room: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(_SHORT_WAIT_S):
                await room()
        except TimeoutError:
            place.rest()
            await room()

    async def _send(self, update: Update, name: str) -> None:
        """The same bytes that everybody gets, where the server can; else the plain way, which waits for room too."""
        if self._write is None or not self._write(update.frame(name)):
            await self._in_time(self._socket.send(update.text(name)))

    def _sign_of_life(self, place: Place) -> Update | None:
        """A heartbeat for one that reads through much and finds nothing it wants."""
        now_s = asyncio.get_running_loop().time()
        is_due = now_s - self._told_s.setdefault(place, now_s) >= self._views.settings.feed_heartbeat_s
        return heartbeat(place.cursor) if is_due and place.cursor is not None else None

    async def _cut(self, place: Place, reason: WeftError) -> None:
        if self._places.get(place.name, (None,))[0] is place:
            await self._leave(place.name)
            told = {"type": "cut", "id": place.name, "reason": reason.message, "cursor": place.cursor}
            await self._in_time(self._socket.send(msgspec.json.encode(told)))
