"""Recover: where the topics of a partition stand when it is opened, whatever happened to its newest segment.

An offset that may have been acknowledged is never given again: where the end is uncertain, offsets go on far behind it, and
reading names what lies between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zstandard

from weft.core.errors import Corrupt
from weft.log.frame import unpack
from weft.log.sqlite.ledger import Gone
from weft.log.sqlite.segment import file_name
from weft.log.sqlite.segment_reader import UNREADABLE, SegmentReader
from weft.log.topic_end import TopicEnd

_BATCH_MOST: Final = 2**22
"""More events than one batch can hold."""
_SEGMENT_MOST: Final = 2**32
"""More events than one segment can hold."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The ends, whether the newest segment must not be gone on with, and whether it cannot be read at all."""

    ends: dict[str, TopicEnd]
    is_damaged: bool = False
    is_lost: bool = False


def recover_ends(folder: Path, partition: int, numbers: Sequence[int], *, sealed: set[int]) -> Recovered:
    """Ends of the newest readable segment; behind an unreadable one they go on far ahead."""
    is_lost = False
    for number in reversed(numbers):
        try:
            reader = SegmentReader(folder / file_name(number), sealed=number in sealed)
            try:
                recovered = _checked_ends(reader, partition)
            finally:
                reader.close()
        except (*UNREADABLE, Corrupt, FileNotFoundError):
            is_lost = True
            continue
        if not is_lost:
            return recovered
        for end in recovered.ends.values():
            end.next_offset += _SEGMENT_MOST
        return Recovered(recovered.ends, is_damaged=True, is_lost=True)
    return Recovered({}, is_damaged=True, is_lost=True)


def ends_of_trimmed(gone: Mapping[str, Gone]) -> dict[str, TopicEnd]:
    """Ends where no segment is left: behind what was trimmed."""
    return {
        topic: TopicEnd(number, lost.start_offset, lost.events_trimmed + lost.events_erased)
        for number, (topic, lost) in enumerate(sorted(gone.items()))
    }


def raise_to_floors(ends: dict[str, TopicEnd], floors: Mapping[str, int]) -> bool:
    """Go on behind what groups have consumed; returns whether any end was below that."""
    is_behind = False
    for topic, floor in floors.items():
        end = ends.get(topic)
        if end is None:
            end = ends[topic] = TopicEnd(max((known.number for known in ends.values()), default=-1) + 1)
        if end.next_offset < floor:
            end.next_offset = floor
            is_behind = True
    return is_behind


def _checked_ends(reader: SegmentReader, partition: int) -> Recovered:
    """Ends by the last batch of each topic, whose header is believed only where its checksum holds."""
    ends = reader.ends()
    starts = reader.starts()
    decompressor = zstandard.ZstdDecompressor()
    is_damaged = False
    for topic, end in ends.items():
        last = reader.last_frame(end.number)
        if last is None:
            continue
        try:
            unpack(topic, partition, last, decompressor)
        except Corrupt:
            is_damaged = True
            end.next_offset = max(last.header.first_offset, starts[topic].next_offset) + _BATCH_MOST
            end.events_total = max(starts[topic].events_total, 0)
            end.max_time_us = starts[topic].max_time_us
            end.appended_at_us = starts[topic].appended_at_us
    return Recovered(ends, is_damaged)
