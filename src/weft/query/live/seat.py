"""Seat: one subscriber's place in a view. It holds offsets and at most a chunk of events, never a queue."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from weft.query import resume
from weft.query.live.newest import Entry
from weft.query.live.update import PROGRESS, Events, Gap, Update
from weft.query.live.view import View
from weft.query.piece import Piece


class Place(Protocol):
    """What a subscriber needs of its place in a view, be it one of events or of figures."""

    name: str
    is_live: bool
    """At the head: updates are pushed, and there is nothing to ask for."""

    async def next(self) -> Update | None:
        """A step of one that is behind: an update, PROGRESS where there is more to read, None at the head or out of credit."""
        ...

    def join(self) -> bool:
        """Get updates pushed from here on; False where there is no credit for any."""
        ...

    def leave(self) -> None:
        """Get no more."""
        ...

    async def moved(self) -> None:
        """Wait until `next` may have something: the view has moved on or has ended, or credit was granted."""
        ...

    def rest(self) -> None:
        """Let go of what was read ahead: the client takes nothing at the moment."""
        ...

    def grant(self, events: int) -> None:
        """Take credit for so many events more."""
        ...

    @property
    def cursor(self) -> str | None:
        """From where to go on, where there is such a place."""
        ...


class Seat:
    """A place in a view of events. `write` sends a frame at once or says no; `behind` is told when this seat is."""

    def __init__(
        self,
        view: View,
        *,
        name: str = "",
        write: Callable[[bytes], bool] | None = None,
        behind: Callable[["Seat"], None] | None = None,
        credit: int | None = None,
        is_patient: bool = False,
    ) -> None:
        self.name = name
        self.is_live = False
        self.view = view
        self.credit = credit
        self._write = write
        self._behind = behind
        self._is_patient = is_patient
        self._positions: dict[int, int] = dict(view.positions)
        self._target: dict[int, int] | None = None
        self._first: deque[Events] = deque()
        self._ahead: deque[Piece] = deque()
        self._base = view.mark
        self._consumed = 0
        self._folding: int | None = None
        self._told = 0
        self._granted = asyncio.Event()

    async def begin(self, start: str | dict[int, int]) -> None:
        """Begin at a place of the log: everything from there to the head as it is now is sent. Raises Invalid."""
        positions = await self.view.reader.begin(start)
        while not self.view.is_rated and self.view.ended is None and not _covers(self.view.positions, positions):
            await self.view.moved.wait()  # another process has shown the client more than this one has read by now
        self._target = {**positions, **self.view.positions}
        self._positions, self._base = positions, self.view.mark

    async def begin_with_snapshot(self) -> None:
        """Begin with what stands now."""
        self._first.extend(await self.view.snapshot())
        self._positions, self._base = dict(self.view.positions), self.view.mark

    @property
    def cursor(self) -> str:
        """See `Place`."""
        return self.view.cursor if self.is_live else resume.to_text(self._positions)

    def offer(self, update: Update) -> bool:
        """Send an update that everybody gets; False where there is no room or no credit for it."""
        if self._write is None or (self.credit is not None and self.credit < update.count):
            return False
        if not self._write(update.frame(self.name)):
            return False
        if self.credit is not None:
            self.credit -= update.count
        return True

    def fall_behind(self, positions: dict[int, int], mark: int) -> None:
        """From these offsets on nothing was sent."""
        self.is_live = False
        self._positions, self._base, self._consumed = dict(positions), mark, 0
        self.wake()

    def join(self) -> bool:
        """See `Place`. Only right after `next` said None."""
        self.is_live = not self._is_out_of_credit
        self.view.join(self)
        return self.is_live

    def leave(self) -> None:
        """See `Place`."""
        self.view.leave(self)

    def wake(self) -> None:
        """Something happened to the view that this seat has to hear of, wherever it is."""
        if self._behind is not None:
            self._behind(self)

    async def moved(self) -> None:
        """See `Place`."""
        if self._is_out_of_credit:
            self._granted.clear()
            await self._granted.wait()
        elif self.view.ended is None:
            await self.view.moved.wait()

    def rest(self) -> None:
        """See `Place`."""
        self._ahead.clear()

    def grant(self, events: int) -> None:
        """See `Place`. From the first grant on nothing is conflated: what there is no credit for waits in the log."""
        self.credit = (self.credit or 0) + events
        self._folding = None
        self._granted.set()

    async def next(self) -> Update | None:
        """See `Place`. Raises why the view ended."""
        if self._first:
            return self._first.popleft()
        if self.view.ended is not None:
            raise self.view.ended
        if self._is_out_of_credit:
            return None
        if self._target is not None and self._has_reached(self._target):
            self._target, self._consumed = None, 0
        if self._is_too_far_behind:
            return self._fold() or PROGRESS
        if self._target is None and self._has_reached(self.view.positions):
            self._ahead.clear()
            return None
        return self._shared() or await self._read_on() or PROGRESS

    @property
    def _is_out_of_credit(self) -> bool:
        return self.credit is not None and self.credit <= 0

    @property
    def _is_too_far_behind(self) -> bool:
        if self.credit is not None or self._is_patient or self._target is not None:
            return False
        backlog = 0 if self.view.is_rated else self.view.settings.live_backlog_events
        return self._folding is not None or self.view.mark - self._base - self._consumed > backlog

    def _has_reached(self, ends: dict[int, int]) -> bool:
        return _covers(self._positions, ends)

    def _shared(self) -> Events | None:
        """The update that everybody else got after the place where this one is, if it is still here."""
        if self._target is not None or (found := self.view.published.after(self.cursor)) is None:
            return None
        if self.credit is not None:
            if self.credit < found.update.count:
                return None
            self.credit -= found.update.count
        self._ahead.clear()
        self._positions = dict(found.positions)
        self._consumed += found.update.count
        return found.update

    def _fold(self) -> Events | None:
        """The newest event of each key since the events were left off, a chunk at a time; the gap comes with the last."""
        if self._folding is None:
            self._folding, self._told = self._base, self._consumed
            self._ahead.clear()
        entries = self.view.missed(self._folding, self._positions)
        chunk = _chunk(entries, self.view.settings.feed_chunk_bytes)
        lines = [entry.line for entry in chunk]
        self._told += len(chunk)
        if len(chunk) < len(entries):
            # The cursor stays until all is told: who resumes from here gets it again rather than never.
            self._folding = chunk[-1].number
            return Events(self.cursor, lines, more=True)
        left_out, before = self.view.mark - self._base - self._told, self.cursor
        self._positions, self._base, self._consumed = dict(self.view.positions), self.view.mark, 0
        self._folding = None
        gap = Gap(start=before, end=self.cursor, reason="conflated", events=left_out) if left_out else None
        return Events(self.cursor, lines, gap) if lines or gap is not None else None

    async def _read_on(self) -> Events | None:
        """The next events of the log that are wanted, as far as there is credit; None where none of these are."""
        ends = self._target or self.view.positions
        if self._ahead and self._positions.get(self._ahead[0].partition, 0) >= ends.get(self._ahead[0].partition, 0):
            self._ahead.clear()  # that partition is read as far as the view is; another one has its turn
        if not self._ahead:
            self._ahead.extend(await self.view.history(self._positions, ends))
        if not self._ahead:
            return None
        piece = self._ahead.popleft()
        offset, end = self._positions.get(piece.partition, 0), ends.get(piece.partition, 0)
        chosen = await self.view.choose(piece)
        gap = await self.view.gap_before(piece, offset, end, self._positions)
        taken = [index for index in chosen if offset <= piece.first_offset + index < end]
        upto = min(piece.next_offset, end)
        if self.credit is not None and len(taken) > self.credit:
            taken = taken[: self.credit]
            upto = piece.first_offset + taken[-1] + 1
        if upto < piece.next_offset:
            self._ahead.appendleft(piece)
        self._positions[piece.partition] = max(upto, offset)
        self._consumed += len(taken)
        if self.credit is not None:
            self.credit -= len(taken)
        return Events(self.cursor, [piece.lines[index] for index in taken], gap) if taken or gap is not None else None


def _covers(positions: Mapping[int, int], others: Mapping[int, int]) -> bool:
    return all(positions.get(partition, 0) >= offset for partition, offset in others.items())


def _chunk(entries: Sequence[Entry], size_bytes: int) -> Sequence[Entry]:
    """As many as fit into a chunk, one at least."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.line)
        if count and size > size_bytes:
            return entries[:count]
    return entries
