"""Reading: the segments of one partition as one sequence per topic. Needs no lock and never waits for the appender."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw
import zstandard

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.log.sqlite.frame import unpack
from weft.log.sqlite.ledger import Gone, Ledger
from weft.log.sqlite.partition import folder_of, segments_in
from weft.log.sqlite.segment import SegmentReader, TopicEnd, file_name

_MOST_OPEN: Final = 8
_UNREADABLE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.IOError)

Starts = dict[str, TopicEnd]


class PartitionReader:
    """Reads one partition. For one thread at a time."""

    def __init__(self, root: Path, partition: int) -> None:
        self.partition = partition
        self._folder = folder_of(root, partition)
        self._ledger = Ledger(self._folder / "ledger.db", write=False)
        self._open: OrderedDict[int, SegmentReader] = OrderedDict()
        self._sealed_starts: dict[int, Starts] = {}
        self._decompressor = zstandard.ZstdDecompressor()

    def close(self) -> None:
        """Let go of every file."""
        for reader in self._open.values():
            reader.close()
        self._open.clear()
        self._ledger.close()

    def gone(self) -> dict[str, Gone]:
        """What was trimmed and erased, by topic."""
        return self._ledger.gone()

    def ends(self) -> dict[str, TopicEnd]:
        """Each topic as it stands after the last flush."""
        numbers, sealed = self._listing()
        for number in reversed(numbers):
            try:
                return self._reader(number, number in sealed).ends()
            except (*_UNREADABLE, FileNotFoundError):
                continue
        return {}

    def read(self, topic: str, offset: int, max_bytes: int, end: int | None = None) -> Sequence[LogBatch]:
        """Batches from the one that holds `offset` on. Raises Corrupt at a damaged one."""
        found: list[LogBatch] = []
        size = 0
        numbers, sealed = self._listing()
        for at, number in enumerate(numbers):
            begin = self._starts(number, sealed).get(topic)
            if begin is None:
                continue
            below = end
            if at + 1 < len(numbers):
                following = self._starts(numbers[at + 1], sealed).get(topic)
                below = begin.next_offset if following is None else following.next_offset
            if below is not None and below <= offset:
                continue
            try:
                reader = self._reader(number, number in sealed)
                for frame in reader.frames(begin.number, offset, below):
                    batch = unpack(topic, self.partition, frame, self._decompressor)
                    found.append(batch)
                    size += batch.size_bytes
                    if size >= max_bytes:
                        return found
            except Corrupt:
                if found:
                    return found
                raise
        return found

    def _listing(self) -> tuple[list[int], set[int]]:
        trimmed = self._ledger.last_trimmed()
        return [number for number in segments_in(self._folder) if number > trimmed], self._ledger.sealed()

    def _starts(self, number: int, sealed: set[int]) -> Starts:
        known = self._sealed_starts.get(number)
        if known is not None:
            return known
        starts = self._reader(number, number in sealed).starts()
        if number in sealed:
            self._sealed_starts[number] = starts
        return starts

    def _reader(self, number: int, sealed: bool) -> SegmentReader:
        path = self._folder / file_name(number)
        known = self._open.get(number)
        if known is not None and known.inode == path.stat().st_ino:
            self._open.move_to_end(number)
            return known
        if known is not None:
            self._open.pop(number).close()
        reader = self._open[number] = SegmentReader(path, sealed=sealed)
        while len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return reader
