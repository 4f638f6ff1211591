"""Reads one segment file, its damaged places included."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import apsw

from weft.core.errors import Corrupt
from weft.log.frame import FLAG_TICK, Frame, Header
from weft.log.sqlite.segment import BUSY_MS, FORMAT, OFFSET_BITS, place_of, quoted
from weft.log.topic_end import TopicEnd

UNREADABLE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.CantOpenError, apsw.SQLError)
"""What SQLite says when a segment file is damaged or gone."""

_COLUMNS: Final = (
    "place, events, flags, min_time_us, max_time_us, max_time_before_us, max_time_after_us, "
    "events_before, received_first_us, received_last_us"
)
_WIDTH: Final = 10
_OFFSET: Final = (1 << OFFSET_BITS) - 1


class SegmentReader:
    """One segment, read without locks. For one thread at a time."""

    def __init__(self, path: Path, *, sealed: bool) -> None:
        mode = "mode=ro&immutable=1" if sealed else "mode=ro"
        self.path = path
        self.is_sealed = sealed
        self.inode = path.stat().st_ino
        self._connection = apsw.Connection(
            f"file:{quoted(path)}?{mode}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        try:
            self._connection.set_busy_timeout(BUSY_MS)
            version = self._value("PRAGMA user_version")
        except BaseException:
            self._connection.close(True)
            raise
        if version != FORMAT:
            self._connection.close(True)
            raise Corrupt(f"the segment {path} has format {version}, this program reads {FORMAT}", path=str(path))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close(True)

    def starts(self) -> dict[str, TopicEnd]:
        """Each topic as it stood when the segment, or the topic, began; its repeats as of now."""
        rows = self._connection.execute(
            "SELECT name, number, start_offset, events_total, repeats_total, max_time_us, appended_at_us FROM topic"
        )
        return {cast("str", name): TopicEnd(*cast("Any", values)) for name, *values in rows}

    def ends(self) -> dict[str, TopicEnd]:
        """Each topic as it stands after the segment's last batch."""
        self._connection.execute("BEGIN")
        try:
            ends = self.starts()
            for end in ends.values():
                self._advance(end)
        finally:
            self._connection.execute("COMMIT")
        return ends

    def last_frame(self, number: int) -> Frame | None:
        """The topic's last frame."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS}, crc, keys, body FROM batch WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1",
            (place_of(number, 0), place_of(number + 1, 0)),
        ).fetchone()
        return None if row is None else Frame(_header(row), *row[_WIDTH:])

    def _advance(self, end: TopicEnd) -> None:
        last = self._header(
            "place >= ? AND place < ? ORDER BY place DESC", place_of(end.number, 0), place_of(end.number + 1, 0)
        )
        if last is None:
            return
        end.next_offset = last.next_offset
        end.events_total = last.events_before + last.events
        end.max_time_us = last.max_time_after_us
        # A tick carries the receiving time of the newest event before it, 0 where there is none.
        end.appended_at_us = last.received_last_us or None if last.flags & FLAG_TICK else last.received_last_us

    def headers(self) -> Iterator[tuple[int, Header]]:
        """Topic number and header of every batch, topic by topic, in order."""
        for row in self._connection.execute(f"SELECT {_COLUMNS} FROM batch ORDER BY place"):
            yield cast("int", row[0]) >> OFFSET_BITS, _header(row)

    def frames(self, number: int, offset: int, below: int | None) -> Iterator[Frame]:
        """The topic's frames below `below`, from the last one that begins at or before `offset`."""
        base, upper = place_of(number, 0), place_of(number, below) if below is not None else place_of(number + 1, 0)
        first = self._value("SELECT max(place) FROM batch WHERE place >= ? AND place <= ?", base, place_of(number, offset))
        rows = self._connection.execute(
            f"SELECT {_COLUMNS}, crc, keys, body FROM batch WHERE place >= ? AND place < ? ORDER BY place",
            (base if first is None else first, upper),
        )
        for row in rows:
            yield Frame(_header(row), *row[_WIDTH:])

    def repeat_keys(self) -> Iterator[tuple[int, Header, bytes]]:
        """Topic number, header and repeat keys of every batch that has some."""
        for row in self._connection.execute(f"SELECT {_COLUMNS}, keys FROM batch WHERE keys IS NOT NULL ORDER BY place"):
            yield cast("int", row[0]) >> OFFSET_BITS, _header(row), cast("bytes", row[_WIDTH])

    def erased(self, number: int, first_offset: int, next_offset: int) -> list[tuple[int, int]]:
        """The erased ranges of a topic that touch a range of offsets, in order."""
        rows = self._connection.execute(
            "SELECT place, next_offset FROM erased WHERE place >= ? AND place < ? AND next_offset > ? ORDER BY place",
            (place_of(number, 0), place_of(number, next_offset), first_offset),
        )
        return [(cast("int", place) & _OFFSET, cast("int", end)) for place, end in rows]

    def erased_events(self) -> dict[int, int]:
        """How many events were erased here, by topic number."""
        counts: dict[int, int] = {}
        for place, end in cast("Iterator[tuple[int, int]]", self._connection.execute("SELECT place, next_offset FROM erased")):
            counts[place >> OFFSET_BITS] = counts.get(place >> OFFSET_BITS, 0) + end - (place & _OFFSET)
        return counts

    def resume(self, number: int, offset: int, below: int) -> int:
        """The first offset behind a damaged place at `offset` where a batch can be found again, or `below`.

        Descending to a key opens only the pages above it, so looking ever further ahead steps over damaged pages.
        """
        failing, step = offset, 1
        while failing + step < below:
            found = self._find(number, failing + step, below)
            if found is not None:
                return self._narrow(number, failing, failing + step, found, below)
            failing += step
            step *= 2
        return below

    def _narrow(self, number: int, failing: int, working: int, found: int, below: int) -> int:
        while working - failing > 1:
            middle = (failing + working) // 2
            place = self._find(number, middle, below)
            if place is None:
                failing = middle
            else:
                working, found = middle, place
        return found

    def _find(self, number: int, offset: int, below: int) -> int | None:
        """The first batch at or after an offset (`below` where there is none), or None where the way to it is damaged."""
        try:
            place = self._value(
                "SELECT place FROM batch WHERE place >= ? AND place < ? ORDER BY place LIMIT 1",
                place_of(number, offset),
                place_of(number, below),
            )
        except UNREADABLE:
            return None
        return below if place is None else place & _OFFSET

    def _header(self, where: str, *values: int) -> Header | None:
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM batch WHERE {where} LIMIT 1", values).fetchone()
        return None if row is None else _header(row)

    def _value(self, sql: str, *values: int) -> int | None:
        return cast("int | None", self._connection.execute(sql, values).get)


def _header(row: Sequence[Any]) -> Header:
    return Header(row[0] & _OFFSET, *row[1:_WIDTH])
