"""Erase: removes events from sealed segments for good. A segment is written anew beside the old one, then takes its place."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import apsw
import numpy as np
import numpy.typing as npt
import zstandard

from weft.core.batch import LogBatch, split_rows
from weft.core.erasure import Erasure
from weft.core.errors import Corrupt
from weft.core.ids import IdRange
from weft.core.watermark import max_time_us
from weft.log.frame import FLAG_TICK, Content, Frame, Header, checksum, pack, unpack
from weft.log.sqlite.partition import upkeep_lock
from weft.log.sqlite.reading import PartitionReader
from weft.log.sqlite.segment import create_copy, file_name, insert_erased, insert_frame, replace_segment
from weft.log.sqlite.segment_reader import UNREADABLE

Mask = npt.NDArray[np.bool_]
_KEY_BYTES: Final = 8


def erase(reader: PartitionReader, erasure: Erasure) -> tuple[int, list[Corrupt]]:
    """Remove matching events from a partition's sealed segments; returns how many, and what could not be searched. Blocks."""
    damages: list[Corrupt] = []
    with upkeep_lock(reader.folder):
        erased = sum(_Segment(reader, number, erasure, damages).erase() for number in reader.sealed())
    return erased, damages


def require_searched(erased: int, damages: Sequence[Corrupt]) -> int:
    """Raises Corrupt where a damaged place could not be searched; everything else was erased by then."""
    if damages:
        places = "; ".join(damage.message for damage in damages[:5])
        raise Corrupt(f"{erased} events were erased, but damaged places could not be searched: {places}", erased=erased)
    return erased


class _Segment:
    """One sealed segment while it is searched and written anew."""

    def __init__(self, reader: PartitionReader, number: int, erasure: Erasure, damages: list[Corrupt]) -> None:
        self._reader = reader
        self._number = number
        self._erasure = erasure
        self._damages = damages
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()

    def erase(self) -> int:
        """Write the segment anew if something in it matches; returns events erased."""
        facts = self._reader.facts(self._number)
        if facts is None:
            self._damages.append(Corrupt(f"segment {file_name(self._number)} cannot be read"))
            return 0
        try:
            matches = {
                (start.number, first_offset): mask
                for topic, start in facts.starts.items()
                for first_offset, mask in self._matches(topic, start.number)
            }
            if matches:
                self._rewrite(matches)
        except UNREADABLE as failure:
            self._damages.append(Corrupt(f"segment {file_name(self._number)}: {failure}"))
            return 0
        return sum(int(mask.sum()) for mask in matches.values())

    def _matches(self, topic: str, number: int) -> list[tuple[int, Mask]]:
        found: list[tuple[int, Mask]] = []
        reader = self._reader.reader(self._number)
        for frame in reader.frames(number, 0, None):
            if not self._may_match(frame.header):
                continue
            try:
                batch = unpack(topic, self._reader.partition, frame, self._decompressor)
                times: list[int] = batch.times_us.tolist()
                rows = zip(batch.event_rows, times, strict=True)
                mask = np.fromiter((self._erasure.matches(*row) for row in rows), dtype=np.bool_, count=batch.count)
            except Corrupt as damage:
                self._damages.append(damage)
                continue
            if mask.any():
                found.append((frame.header.first_offset, mask))
        return found

    def _may_match(self, header: Header) -> bool:
        start_us, end_us = self._erasure.start_us, self._erasure.end_us
        return (
            not header.flags & FLAG_TICK
            and (start_us is None or header.max_time_us >= start_us)
            and (end_us is None or header.min_time_us < end_us)
        )

    def _rewrite(self, matches: dict[tuple[int, int], Mask]) -> None:
        path = self._reader.folder / file_name(self._number)
        reader = self._reader.reader(self._number)
        copy = create_copy(path)
        try:
            copy.execute("BEGIN")
            for name, start in reader.starts().items():
                for frame in reader.frames(start.number, 0, None):
                    mask = matches.get((start.number, frame.header.first_offset))
                    if mask is None:
                        insert_frame(copy, start.number, frame)
                    else:
                        self._insert_rest(copy, name, start.number, frame, mask)
            copy.execute("COMMIT")
        finally:
            copy.close(True)
        replace_segment(path)

    def _insert_rest(self, copy: apsw.Connection, topic: str, number: int, frame: Frame, mask: Mask) -> None:
        batch = unpack(topic, self._reader.partition, frame, self._decompressor)
        for start, end, is_erased in _runs(mask):
            if is_erased:
                insert_erased(copy, number, batch.first_offset + start, batch.first_offset + end)
            else:
                insert_frame(copy, number, self._part(topic, frame, batch, start, end))

    def _part(self, topic: str, frame: Frame, batch: LogBatch, start: int, end: int) -> Frame:
        """The events [start, end) of a batch as a frame of their own; erased events still count for the watermark."""
        times, received = batch.times_us[start:end], batch.received_at_us[start:end]
        ids = batch.ids
        kept = IdRange(ids.prefix, ids.first + start, end - start) if isinstance(ids, IdRange) else ids[start:end]
        rows = b",".join(bytes(row) for row in split_rows(batch.rows)[start:end])
        body = pack(Content(rows, [kept], times, _received_runs(received)), self._compressor)
        keys = None if frame.keys is None else frame.keys[start * _KEY_BYTES : end * _KEY_BYTES]
        header = Header(
            first_offset=batch.first_offset + start,
            events=end - start,
            flags=frame.header.flags,
            min_time_us=int(times.min()),
            max_time_us=int(times.max()),
            max_time_before_us=_newest(batch, start),
            max_time_after_us=_newest(batch, end),
            events_before=frame.header.events_before + start,
            received_first_us=int(received.min()),
            received_last_us=int(received.max()),
        )
        return Frame(header, checksum(topic, self._reader.partition, header, keys, body), keys, body)


def _runs(mask: Mask) -> list[tuple[int, int, bool]]:
    """Stretches of equal values: (start, end, value)."""
    edges = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), len(mask)]
    return [(start, end, bool(mask[start])) for start, end in pairwise(edges)]


def _received_runs(received: npt.NDArray[np.int64]) -> Sequence[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(received)) + 1).tolist(), len(received)]
    return [(int(received[start]), end - start) for start, end in pairwise(edges)]


def _newest(batch: LogBatch, end: int) -> int | None:
    """The largest time that counts before the event at `end`."""
    newest = max_time_us(batch.times_us[:end], batch.received_at_us[:end])
    return max((time for time in (batch.max_time_before_us, newest) if time is not None), default=None)
