"""View: one topic as some subscribers see it: read once, filtered once, written down once, sent to all of them.

A seat at the head of the view gets each update as bytes and costs a write. One that is behind reads on by itself: from the
newest pieces in memory, from the log, or, when it is too far behind, the newest event of each key.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from weft.core.errors import Unavailable, WeftError
from weft.query import resume
from weft.query.feed import Feeds, Reader
from weft.query.live.newest import Entry, Newest
from weft.query.live.published import Published
from weft.query.live.seen import Seen
from weft.query.live.update import Events, Gap, Reason, Update, heartbeat
from weft.query.piece import Piece
from weft.query.settings import QuerySettings

if TYPE_CHECKING:
    from weft.query.live.seat import Seat

logger = logging.getLogger(__name__)

_FIRST_RETRY_S: Final = 0.02
_RETRIES: Final = 6


class View:
    """What everybody sees who asked for the same."""

    def __init__(self, seen: Seen, feeds: Feeds, settings: QuerySettings, newest: Newest) -> None:
        self.seen = seen
        self.settings = settings
        self.newest = newest
        self.published = Published(settings.feed_chunk_bytes)
        self.positions: dict[int, int] = {}
        """How far the seats at the head are. Never changed in place."""
        self.mark = 0
        """The number of the newest event they got."""
        self.moved = asyncio.Event()
        self.ended: WeftError | None = None
        self.seats = 0
        self._feeds = feeds
        self._reader: Reader | None = None
        self._ready = asyncio.Event()
        self._live: dict[Seat, None] = {}
        self._waiting: dict[Seat, None] = {}
        self._spoke_s = 0.0
        self._seeding = asyncio.Lock()
        self._seeded_after: int | None = None
        self._forgotten = 0
        self._snapshot: tuple[int, list[Events]] | None = None

    @property
    def is_rated(self) -> bool:
        """Whether updates come at a rate instead of with every event."""
        return self.seen.every_s is not None

    @property
    def reader(self) -> Reader:
        """The way to the topic. Raises Unavailable when the view does not run."""
        if self._reader is None or self.ended is not None:
            raise self.ended or Unavailable("the live feed does not run yet")
        return self._reader

    async def ready(self) -> None:
        """Wait until the view has begun. Raises what kept it from it."""
        await self._ready.wait()
        if self.ended is not None:
            raise self.ended

    async def run(self) -> None:
        """Follow the topic until cancelled, or until it ends; every seat is told."""
        try:
            async with self._feeds.open(self.seen.topic, "latest") as reader:
                self._reader = reader
                self.positions = dict(reader.positions)
                self._forgotten = reader.forgotten
                if self.seen.kind.is_whole:
                    await self._seed()
                self._ready.set()
                await self._follow(reader)
        except WeftError as failure:
            self.end(failure)
        except Exception as failure:  # what one view stumbles over must not take the process and everybody's feeds with it
            logger.exception("live_view_failed", extra={"topic": self.seen.topic})
            self.end(
                Unavailable(
                    "this view failed on our side; the log has the details", retry_after_s=30, kind=type(failure).__name__
                )
            )

    def end(self, reason: WeftError) -> None:
        """Tell every seat that there is no more."""
        self.ended = reason
        self._ready.set()
        self._drop(list(self._live), self.positions, self.mark)
        for seat in list(self._waiting):
            seat.wake()
        self._wake()

    def join(self, seat: "Seat") -> None:
        """The seat is at the head and gets every update from here on; one that is not live hears of the end alone."""
        (self._live if seat.is_live else self._waiting)[seat] = None

    def leave(self, seat: "Seat") -> None:
        """The seat gets no more."""
        self._live.pop(seat, None)
        self._waiting.pop(seat, None)

    async def choose(self, piece: Piece) -> Sequence[int]:
        """The indices of a piece's events that this view shows."""
        wanted = await self.seen.wanted.indices_paced(piece, self._feeds.pace)
        return list(self._followed(piece, wanted)) if self.seen.kind.is_whole else wanted

    async def history(self, positions: Mapping[int, int], ends: Mapping[int, int]) -> Sequence[Piece]:
        """What comes next in the partition in which `positions` are furthest before `ends`; [] where they are reached."""
        distance, partition = max(((end - positions.get(number, 0), number) for number, end in ends.items()), default=(0, 0))
        if distance <= 0:
            return ()
        return await self._read(partition, positions.get(partition, 0)) or [_hole(partition, ends[partition])]

    async def gap_before(self, piece: Piece, offset: int, end: int, positions: Mapping[int, int]) -> Gap | None:
        """What is missing between an offset and a piece, or is the piece itself; at most up to `end`."""
        if piece.reason is not None:
            return _gap(positions, piece.partition, piece.next_offset, "damaged", piece.reason)
        if piece.first_offset <= offset:
            return None
        reason: Reason = "trimmed" if offset < await self.reader.start_of(piece.partition) else "erased"
        return _gap(positions, piece.partition, min(piece.first_offset, end), reason)

    async def snapshot(self) -> Sequence[Events]:
        """What stands now: the newest event of each key, in some frames, the same for all who ask at this moment."""
        await self._seed()
        self._mind_erasures()
        number = self.newest.number
        if self._snapshot is None or self._snapshot[0] != number or self._snapshot[1][0].cursor != self.cursor:
            self._snapshot = (number, list(self._frames_of(self.newest.standing())))
        return self._snapshot[1]

    @property
    def cursor(self) -> str:
        """How far the seats at the head are, as text."""
        return resume.to_text(self.positions)

    def missed(self, number: int, positions: Mapping[int, int]) -> Sequence[Entry]:
        """What is left of the events after a number for a seat that was too far behind: the newest of each key."""
        self._mind_erasures()
        return self.newest.since(number, self.mark, positions)

    async def _follow(self, reader: Reader) -> None:
        loop = asyncio.get_running_loop()
        quiet_s, every_s = self.settings.feed_heartbeat_s, self.seen.every_s
        self._spoke_s = loop.time()
        due_s = loop.time() + (every_s or 0.0)
        while True:
            wait_s = quiet_s if every_s is None else max(due_s - loop.time(), 0.0)
            for piece in await reader.next(min(wait_s, quiet_s)):
                await self._take(reader, piece)
            if every_s is not None and loop.time() >= due_s:
                due_s = loop.time() + every_s
                self._publish_newest(reader)
            if loop.time() - self._spoke_s >= quiet_s:
                self._mind_erasures()
                self._publish(heartbeat(self.cursor), self.positions, self.mark)

    async def _take(self, reader: Reader, piece: Piece) -> None:
        offset = reader.positions.get(piece.partition, 0)
        wanted = await self.seen.wanted.indices_paced(piece, self._feeds.pace)
        gap = await self.gap_before(piece, offset, piece.next_offset, reader.positions)
        # From here on nothing waits, so a seat sees either all of this or nothing.
        self._mind_erasures()
        if gap is not None and self.is_rated:
            self._publish_newest(reader)
        lines = [self._put(piece, index) for index in self._followed(piece, wanted)]
        reader.passed(piece)
        if gap is None and self.is_rated:
            return
        positions, mark = self.positions, self.mark
        self.positions, self.mark = dict(reader.positions), self.newest.number
        if lines or gap is not None:
            update = Events(self.cursor, lines, gap)
            self.published.add(resume.to_text(positions), update, self.positions)
            self._publish(update, positions, mark)
        self._wake()

    def _followed(self, piece: Piece, wanted: Sequence[int]) -> Iterator[int]:
        """The wanted events, and where a thing has a state, how it goes on with those that were wanted once."""
        kind = self.seen.kind
        if not kind.is_whole or len(wanted) == len(piece.lines):
            yield from wanted
            return
        among = frozenset(wanted)
        for index, names in enumerate(piece.names):
            if index in among or kind.thing(names, piece.lines[index]).key in self.newest:
                yield index

    def _put(self, piece: Piece, index: int, newest: Newest | None = None) -> bytes:
        line = piece.lines[index]
        key, is_over = self.seen.kind.thing(piece.names[index], line)
        offset = piece.first_offset + index
        (newest or self.newest).put(key, partition=piece.partition, offset=offset, line=line, is_over=is_over)
        return line

    def _publish_newest(self, reader: Reader) -> None:
        """What a rate leaves of the events since the last update."""
        positions, mark = self.positions, self.mark
        entries = self.newest.since(mark, self.newest.number, positions)
        self.positions, self.mark = dict(reader.positions), self.newest.number
        left_out = self.mark - mark - len(entries)
        gap = Gap(start=resume.to_text(positions), end=self.cursor, reason="conflated", events=left_out) if left_out else None
        if entries or gap is not None:
            self._publish(Events(self.cursor, [entry.line for entry in entries], gap), positions, mark)
        self._wake()

    def _publish(self, update: Update, positions: dict[int, int], mark: int) -> None:
        """Send to every seat at the head; `positions` and `mark` are where those stand that have no room for it."""
        self._spoke_s = asyncio.get_running_loop().time()
        self._drop([seat for seat in list(self._live) if not seat.offer(update)], positions, mark)

    def _drop(self, seats: Sequence["Seat"], positions: dict[int, int], mark: int) -> None:
        for seat in seats:
            self._live.pop(seat, None)
            seat.fall_behind(positions, mark)

    def _wake(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    async def _read(self, partition: int, offset: int) -> Sequence[Piece]:
        """What stands at an offset; what another process wrote a moment ago may not be readable at once."""
        for attempt in range(_RETRIES):
            if pieces := await self.reader.after(partition, offset):
                return pieces
            await asyncio.sleep(_FIRST_RETRY_S * 2**attempt)
        return ()

    def _mind_erasures(self) -> None:
        """What was erased may not be shown: forget everything the moment one is heard of, and look into the log again."""
        with suppress(Unavailable):
            if self.reader.forgotten != self._forgotten:
                self._forgotten = self.reader.forgotten
                self._seeded_after = None
                self._snapshot = None
                self.newest.clear()
                self.published.clear()

    async def _seed(self) -> None:
        """Take from the log what stood before this view began: all of it, or the last events of each partition."""
        async with self._seeding:
            self._mind_erasures()
            if self._seeded_after == self._forgotten:
                return
            forgotten = self._forgotten
            earlier = Newest(lambda: self.settings.live_memory_bytes)
            ends = dict(self.positions)
            back = None if self.seen.kind.is_whole else self.settings.live_snapshot_events
            positions = {partition: 0 if back is None else max(end - back, 0) for partition, end in ends.items()}
            while pieces := await self.history(positions, ends):
                for piece in pieces:
                    await self._seed_from(piece, ends[piece.partition], earlier)
                    positions[piece.partition] = piece.next_offset
            self.newest.precede(earlier)
            self._seeded_after = forgotten

    async def _seed_from(self, piece: Piece, end: int, earlier: Newest) -> None:
        kind = self.seen.kind
        wanted = frozenset(await self.seen.wanted.indices_paced(piece, self._feeds.pace))
        for index, names in enumerate(piece.names):
            is_shown = index in wanted or (kind.is_whole and kind.thing(names, piece.lines[index]).key in earlier)
            if is_shown and piece.first_offset + index < end:
                self._put(piece, index, earlier)

    def _frames_of(self, lines: Sequence[bytes]) -> Iterator[Events]:
        """A snapshot in frames of about a chunk; all but the last say that more follows."""
        chunk: list[bytes] = []
        size = 0
        for line in lines:
            if chunk and size + len(line) > self.settings.feed_chunk_bytes:
                yield Events(self.cursor, chunk, kind="snapshot", more=True)
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        yield Events(self.cursor, chunk, kind="snapshot")


def _gap(positions: Mapping[int, int], partition: int, end: int, reason: Reason, message: str | None = None) -> Gap:
    behind = resume.to_text({**positions, partition: end})
    return Gap(start=resume.to_text({partition: 0, **positions}), end=behind, reason=reason, message=message)


def _hole(partition: int, end: int) -> Piece:
    """Stands for a range of which nothing can be read: the gap before it is all there is to tell."""
    return Piece(partition=partition, first_offset=end, next_offset=end)
