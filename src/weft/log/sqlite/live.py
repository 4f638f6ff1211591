"""The live segment: the newest of a partition, the only one that is appended to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw

from weft.core.clock import Clock
from weft.core.errors import Unavailable
from weft.log.settings import LogSettings
from weft.log.sqlite.checkpoint import Checkpointer
from weft.log.sqlite.group import Stored
from weft.log.sqlite.partition import Ownership, remove_segment, segments_in
from weft.log.sqlite.segment import (
    TopicEnd,
    create,
    file_name,
    insert_frame,
    insert_topic,
    open_live,
    owner_epoch,
    set_repeats,
    take_over,
)
from weft.log.sqlite.segment_reader import SegmentReader


class Fenced(Unavailable):
    """Another process owns the partition now. Nothing may be written any more, not even to seal a segment."""


class LiveSegment:
    """Writes groups, rolls to a new file by size, age or trouble. For one thread."""

    def __init__(self, ownership: Ownership, checkpointer: Checkpointer, settings: LogSettings, clock: Clock) -> None:
        self.number = 0
        self.ends: dict[str, TopicEnd] = {}
        self._ownership = ownership
        self._checkpointer = checkpointer
        self._settings = settings
        self._clock = clock
        self._folder: Path = ownership.folder
        self._connection: apsw.Connection | None = None
        self._size_bytes = 0
        self._began_s = 0.0

    def open(self) -> None:
        """Recover what the last owner left and go on from there."""
        numbers = self._recover()
        if not numbers:
            self._begin()
            return
        newest = numbers[-1]
        path = self._folder / file_name(newest)
        if newest in self._ownership.ledger.sealed():
            self.ends = _ends_of(path, sealed=True)
            self._begin()
            return
        connection = open_live(path)
        take_over(connection, self._ownership.epoch)
        self.ends = _ends_of(path, sealed=False)
        self._use(newest, connection, path.stat().st_size)

    def write(self, stored: Sequence[Stored], ends: Mapping[str, TopicEnd]) -> None:
        """Make a group durable, all or nothing. After an error the segment is left for good."""
        if self._connection is not None and self._is_full():
            self.leave()
        connection = self._connection or self._begin()
        connection.execute("BEGIN IMMEDIATE")
        if owner_epoch(connection) != self._ownership.epoch:
            raise Fenced(f"another process has taken partition {self._ownership.partition}; this one stops appending")
        for name, end in ends.items():
            known = self.ends.get(name)
            if known is None:
                insert_topic(connection, name, TopicEnd(end.number, repeats_total=end.repeats_total))
            elif known.repeats_total != end.repeats_total:
                set_repeats(connection, end)
        size = 0
        for item in stored:
            insert_frame(connection, ends[item.topic].number, item.frame)
            size += len(item.frame.body) + len(item.frame.keys or b"") + 100
        connection.execute("COMMIT")
        self.ends.update(ends)
        self._size_bytes += size
        self._checkpointer.written()

    def roll(self) -> None:
        """Seal the segment and begin the next, if there is anything in it."""
        if self._connection is None or self._connection.execute("SELECT 1 FROM batch LIMIT 1").get is not None:
            self.leave()
            self._begin()

    def leave(self) -> None:
        """Never append to this segment again."""
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None
            self._checkpointer.seal(self.number)

    def begin(self) -> None:
        """Begin a new segment if there is none."""
        if self._connection is None:
            self._begin()

    def close(self) -> None:
        """Let go of the file; the next owner goes on with it."""
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None

    def _is_full(self) -> bool:
        age_s = self._clock.steady_s() - self._began_s
        return self._size_bytes >= self._settings.segment_bytes or (
            self._size_bytes > 0 and age_s >= self._settings.segment_age_s
        )

    def _recover(self) -> list[int]:
        ledger = self._ownership.ledger
        trimmed = ledger.last_trimmed()
        for number in segments_in(self._folder):
            if number <= trimmed:
                remove_segment(self._folder, number)
        numbers = segments_in(self._folder)
        while numbers and not _is_whole(self._folder / file_name(numbers[-1])):
            remove_segment(self._folder, numbers.pop())
        sealed = ledger.sealed()
        for number in numbers[:-1]:
            if number not in sealed:
                self._checkpointer.seal(number)
        self.number = numbers[-1] if numbers else trimmed
        return numbers

    def _begin(self) -> apsw.Connection:
        number = self.number + 1
        path = self._folder / file_name(number)
        try:
            path.touch(exist_ok=False)
        except FileExistsError as taken:
            raise Fenced(f"another process has begun {path}; this one stops appending") from taken
        try:
            connection = create(path, self._ownership.epoch, self.ends)
        except BaseException:
            remove_segment(self._folder, number)
            raise
        self._use(number, connection, 0)
        return connection

    def _use(self, number: int, connection: apsw.Connection, size_bytes: int) -> None:
        self.number = number
        self._connection = connection
        self._size_bytes = size_bytes
        self._began_s = self._clock.steady_s()
        self._checkpointer.follow(number)


def _is_whole(path: Path) -> bool:
    """Whether the making of a segment was not cut short by a crash; before that nothing can be in it."""
    if path.stat().st_size == 0:
        return False
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        whole = connection.execute("PRAGMA user_version").fetchone() != (0,)
        if whole:
            connection.execute("PRAGMA journal_mode=WAL")
        return whole
    finally:
        connection.close(True)


def _ends_of(path: Path, *, sealed: bool) -> dict[str, TopicEnd]:
    reader = SegmentReader(path, sealed=sealed)
    try:
        return reader.ends()
    finally:
        reader.close()
