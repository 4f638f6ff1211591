"""Reading: the segments of one partition as one sequence per topic. Needs no lock and never waits for the appender.

Every offset between start and end is read, was erased, or is named as damaged: a gap that nobody made on purpose is damage.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import zstandard

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.log.frame import Frame, Header, corrupt, unpack
from weft.log.sqlite.ledger import Gone, Ledger
from weft.log.sqlite.partition import folder_of, segments_in
from weft.log.sqlite.segment import file_name
from weft.log.sqlite.segment_reader import UNREADABLE, SegmentReader
from weft.log.topic_end import TopicEnd

logger = structlog.get_logger(__name__)

_MOST_OPEN: Final = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a segment without its batches: where topics began, how many events were erased from it."""

    inode: int
    starts: dict[str, TopicEnd]
    erased: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Span:
    """The part of a topic that stands in one segment; `below` is None where the segment is live and its end not known."""

    segment: int
    number: int
    begin: int
    below: int | None


class PartitionReader:
    """Reads one partition. For one thread at a time."""

    def __init__(self, root: Path, partition: int) -> None:
        self.partition = partition
        self.folder = folder_of(root, partition)
        self._ledger = Ledger(self.folder / "ledger.db", write=False)
        self._open: OrderedDict[int, SegmentReader] = OrderedDict()
        self._facts: dict[int, Facts] = {}
        self._decompressor = zstandard.ZstdDecompressor()

    def close(self) -> None:
        """Let go of every file."""
        for reader in self._open.values():
            reader.close()
        self._open.clear()
        self._ledger.close()

    def segments(self) -> list[int]:
        """The segments that count, oldest first."""
        trimmed = self._ledger.last_trimmed()
        numbers = [number for number in segments_in(self.folder) if number > trimmed]
        for number in self._open.keys() - set(numbers):
            self._open.pop(number).close()
            self._facts.pop(number, None)
        return numbers

    def sealed(self) -> list[int]:
        """The sealed segments that count, oldest first."""
        sealed = self._ledger.sealed()
        return [number for number in self.segments() if number in sealed]

    def ends(self) -> dict[str, TopicEnd]:
        """Each topic as it stands after the last flush."""
        for number in reversed(self.segments()):
            try:
                return self.reader(number).ends()
            except (*UNREADABLE, FileNotFoundError):
                continue
        return {}

    def gone(self) -> dict[str, Gone]:
        """What was trimmed and erased, by topic."""
        gone = self._ledger.gone()
        for number in self.segments():
            facts = self.facts(number)
            for topic, count in facts.erased.items() if facts else ():
                before = gone.get(topic, Gone())
                gone[topic] = Gone(before.start_offset, before.events_trimmed, before.events_erased + count)
        return gone

    def read(self, topic: str, offset: int, max_bytes: int, end: int | None = None) -> Sequence[LogBatch]:
        """Batches from the one that holds `offset` on, below `end` where it is known. Raises Corrupt at a damaged range."""
        found: list[LogBatch] = []
        size = 0
        try:
            for batch in self._batches(topic, offset, end):
                found.append(batch)
                size += batch.size_bytes
                if size >= max_bytes:
                    break
        except Corrupt:
            if not found:
                raise
        return found

    def keys(self, number: int) -> list[tuple[int, Header, bytes]]:
        """The repeat keys of a segment, as far as they can be read."""
        found: list[tuple[int, Header, bytes]] = []
        try:
            for row in self.reader(number).repeat_keys():
                found.append(row)  # noqa: PERF402 - what was read before a damaged page counts
        except (*UNREADABLE, FileNotFoundError) as failure:
            logger.warning("log_repeat_keys_damaged", segment=file_name(number), reason=str(failure))
        return found

    def reader(self, number: int) -> SegmentReader:
        """The open segment; opened again where the file was replaced."""
        path = self.folder / file_name(number)
        known = self._open.get(number)
        if known is not None and known.inode == path.stat().st_ino:
            self._open.move_to_end(number)
            return known
        if known is not None:
            self._open.pop(number).close()
        reader = SegmentReader(path, sealed=number in self._ledger.sealed())
        self._open[number] = reader
        while len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return reader

    def facts(self, number: int) -> Facts | None:
        """What is known of a segment, or None where it cannot be read. Facts of a sealed one are kept."""
        known = self._facts.get(number)
        try:
            if known is not None and known.inode == (self.folder / file_name(number)).stat().st_ino:
                return known
            reader = self.reader(number)
            starts = reader.starts()
            names = {start.number: name for name, start in starts.items()}
            erased = {names[topic]: count for topic, count in reader.erased_events().items()}
        except (*UNREADABLE, FileNotFoundError, Corrupt):
            return None
        facts = Facts(reader.inode, starts, erased)
        if reader.is_sealed:
            self._facts[number] = facts
        return facts

    def _batches(self, topic: str, offset: int, end: int | None) -> Iterator[LogBatch]:
        expected = max(offset, self._ledger.start_offset(topic))
        for span in self._spans(topic, end):
            if span.below is not None and span.below <= expected:
                continue
            if span.begin > expected:
                self._require_erased(topic, span, expected, span.begin)
            for batch in self._batches_of(topic, span, expected):
                expected = batch.next_offset
                yield batch
            if span.below is not None:
                self._require_erased(topic, span, expected, span.below)
                expected = max(expected, span.below)

    def _spans(self, topic: str, end: int | None) -> list[_Span]:
        """What a segment holds ends where the next readable one begins: bytes behind that were never acknowledged."""
        numbers = self.segments()
        spans: list[_Span] = []
        below = end
        for number in reversed(numbers):
            facts = self.facts(number)
            if facts is None:
                continue
            start = facts.starts.get(topic)
            if start is None:
                below = 0
                continue
            spans.append(_Span(number, start.number, start.next_offset, below))
            below = start.next_offset
        return spans[::-1]

    def _batches_of(self, topic: str, span: _Span, expected: int) -> Iterator[LogBatch]:
        try:
            reader = self.reader(span.segment)
            for frame in reader.frames(span.number, expected, span.below):
                batch = self._unpack(topic, span, reader, frame, expected)
                if batch.next_offset <= expected:
                    continue
                if batch.first_offset > expected:
                    self._require_erased(topic, span, expected, batch.first_offset)
                expected = batch.next_offset
                yield batch
        except (*UNREADABLE, FileNotFoundError) as failure:
            if span.below is None:
                return
            again = self._resume(span, expected, span.below)
            raise corrupt(topic, self.partition, expected, again, f"{file_name(span.segment)}: {failure}") from failure

    def _unpack(self, topic: str, span: _Span, reader: SegmentReader, frame: Frame, expected: int) -> LogBatch:
        try:
            return unpack(topic, self.partition, frame, self._decompressor)
        except Corrupt as damage:
            first = frame.header.first_offset
            # The damaged header's own end cannot be trusted; the next batch's beginning can.
            last = max(first, expected)
            behind = span.below if span.below is not None else max(frame.header.next_offset, last + 1)
            again = max(reader.resume(span.number, last, behind), last + 1)
            raise corrupt(topic, self.partition, first, again, damage.details["reason"]) from damage

    def _resume(self, span: _Span, offset: int, below: int) -> int:
        try:
            return self.reader(span.segment).resume(span.number, offset, below)
        except (*UNREADABLE, FileNotFoundError):
            return below

    def _require_erased(self, topic: str, span: _Span, first_offset: int, next_offset: int) -> None:
        """Raises Corrupt for the first part of a gap that was not made by an erasure."""
        if first_offset >= next_offset:
            return
        for begin, end in self.reader(span.segment).erased(span.number, first_offset, next_offset):
            if begin > first_offset:
                next_offset = begin
                break
            first_offset = end
        if first_offset < next_offset:
            raise corrupt(topic, self.partition, first_offset, next_offset, "nothing can be read there")
