"""A piece of a feed: some consecutive events of one partition as JSON texts, made once and sent to every reader.

Making them costs CPU on the loop that also takes in events, so it is done a few hundred at a time and rests in between.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np

from weft.core.batch import Int64s, LogBatch
from weft.core.clock import Clock
from weft.core.errors import Corrupt
from weft.core.event import EventRow
from weft.query.shapes import row_body

EVENTS_A_PIECE: Final = 256
_JOINED_MOST: Final = 2
_CHOSEN_MOST: Final = 16
_OVERHEAD_BYTES: Final = 220  # of one event beside its text: list slots, the three names, the two times, object headers
_NO_TIMES: Final = np.empty(0, dtype=np.int64)

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Events [first_offset, next_offset) of a partition: one JSON text each, and beside it (type, source, subject).

    No lines and a `reason` is a range that cannot be read; no lines and no reason is a tick.
    """

    topic: str = ""
    partition: int
    first_offset: int
    next_offset: int
    lines: Sequence[bytes] = ()
    names: Sequence[tuple[str, str, str | None]] = ()
    times_us: Int64s = field(default_factory=lambda: _NO_TIMES, compare=False)
    received_at_us: Int64s = field(default_factory=lambda: _NO_TIMES, compare=False)
    reason: str | None = None
    size_bytes: int = 0
    _joined: dict[Hashable, bytes] = field(default_factory=dict[Hashable, bytes], compare=False, repr=False)
    _chosen: dict[Hashable, Sequence[int]] = field(default_factory=dict[Hashable, Sequence[int]], compare=False, repr=False)

    @property
    def memory_bytes(self) -> int:
        """About what it holds in memory at most."""
        return (1 + _JOINED_MOST) * self.size_bytes + _OVERHEAD_BYTES * (1 + len(self.lines))

    def joined(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """A text made of the whole piece, made once for all readers who want the same (`key` says what)."""
        text = self._joined.get(key)
        if text is None:
            text = make()
            if len(self._joined) < _JOINED_MOST:
                self._joined[key] = text
        return text

    def has_chosen(self, key: Hashable) -> bool:
        """Whether `chosen` has been made already."""
        return key in self._chosen

    def chosen(self, key: Hashable, choose: Callable[[], Sequence[int]]) -> Sequence[int]:
        """The indices of the events that somebody wants, found once for all who want the same (`key` says what)."""
        indices = self._chosen.get(key)
        if indices is None:
            if len(self._chosen) >= _CHOSEN_MOST:
                del self._chosen[next(iter(self._chosen))]
            indices = self._chosen[key] = choose()
        return indices

    def tail(self, offset: int) -> "Piece":
        """The piece without the events below `offset`."""
        skip = offset - self.first_offset
        if skip <= 0:
            return self
        return replace(
            self,
            first_offset=offset,
            lines=self.lines[skip:],
            names=self.names[skip:],
            times_us=self.times_us[skip:],
            received_at_us=self.received_at_us[skip:],
            _joined={},
            _chosen={},
        )


class Pace:
    """Keeps the share of time that preparing pieces takes below a limit, for all feeds of a process together."""

    def __init__(self, clock: Clock, max_share: float) -> None:
        self._clock = clock
        self._rest_per_s = (1 - max_share) / max_share
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """One piece of work at a time; after it the loop is left to others for as long as the work has earned them."""
        async with self._turn:
            began_s = self._clock.steady_s()
            yield
            await asyncio.sleep((self._clock.steady_s() - began_s) * self._rest_per_s)


async def prepare(batch: LogBatch, pace: Pace) -> AsyncGenerator[Piece]:
    """The pieces of a batch, in order. A batch that cannot be decoded is one piece with the reason."""
    if batch.count == 0:
        yield Piece(partition=batch.partition, first_offset=batch.first_offset, next_offset=batch.next_offset)
        return
    try:
        async with pace.turn():
            rows = batch.event_rows
    except Corrupt as damage:
        yield damaged_piece(damage, batch.partition, batch.first_offset, batch.next_offset)
        return
    for start in range(0, batch.count, EVENTS_A_PIECE):
        async with pace.turn():
            piece = _piece(batch, rows, range(start, min(start + EVENTS_A_PIECE, batch.count)))
        yield piece


def _piece(batch: LogBatch, rows: Sequence[EventRow], chosen: range) -> Piece:
    lines = [
        _encode(
            row_body(
                rows[index],
                event_id=batch.ids[index],
                time_us=int(batch.times_us[index]),
                received_at_us=int(batch.received_at_us[index]),
                place=(batch.topic, batch.partition, batch.first_offset + index),
            )
        )
        for index in chosen
    ]
    return Piece(
        topic=batch.topic,
        partition=batch.partition,
        first_offset=batch.first_offset + chosen.start,
        next_offset=batch.first_offset + chosen.stop,
        lines=lines,
        names=[(rows[index].type, rows[index].source, rows[index].subject) for index in chosen],
        times_us=batch.times_us[chosen.start : chosen.stop].copy(),  # a slice would hold the whole batch in memory
        received_at_us=batch.received_at_us[chosen.start : chosen.stop].copy(),
        size_bytes=sum(map(len, lines)),
    )


def damaged_piece(damage: Corrupt, partition: int, offset: int, next_offset: int | None = None) -> Piece:
    """The piece for a range that cannot be read; where the range ends is told by the error when nobody else knows."""
    told = damage.details.get("next_offset")
    end = next_offset or (told if isinstance(told, int) else offset + 1)
    return Piece(partition=partition, first_offset=offset, next_offset=max(end, offset + 1), reason=damage.message)
