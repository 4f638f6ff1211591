"""The live segment: the newest of a partition, the only one that is appended to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import apsw

from weft.core.clock import Clock
from weft.core.errors import Unavailable
from weft.log.group import Stored
from weft.log.settings import LogSettings
from weft.log.sqlite.checkpoint import Checkpointer
from weft.log.sqlite.mend import mend
from weft.log.sqlite.partition import Ownership, remove_segment, segments_in
from weft.log.sqlite.recover import ends_of_trimmed, raise_to_floors, recover_ends
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
from weft.log.sqlite.segment_reader import UNREADABLE

_CHECKED_BYTES: Final = 16 * 1024 * 1024


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

    def open(self, floors: Mapping[str, int]) -> None:
        """Recover what the last owner left and go on from there.

        `floors` are offsets that groups have committed: what they consumed was there, so no offset below is given again.
        """
        numbers = self._recover()
        if not numbers:
            self.ends = ends_of_trimmed(self._ownership.ledger.gone())
            raise_to_floors(self.ends, floors)
            self._begin()
            return
        sealed = self._ownership.ledger.sealed()
        recovered = recover_ends(self._folder, self._ownership.partition, numbers, sealed=sealed)
        self.ends = recovered.ends
        is_behind = raise_to_floors(self.ends, floors)
        newest = numbers[-1]
        path = self._folder / file_name(newest)
        if newest in sealed or recovered.is_damaged or is_behind or not _is_sound(path):
            self._leave_recovered(newest, is_lost=recovered.is_lost, is_sealed=newest in sealed)
            self._begin()
            return
        self._use(newest, self._take_over(newest), path.stat().st_size)

    def _leave_recovered(self, number: int, *, is_lost: bool, is_sealed: bool) -> None:
        if is_lost:
            self._ownership.ledger.seal(number)
        elif not is_sealed:
            self._take_over(number).close(True)
            self._checkpointer.seal(number)

    def _take_over(self, number: int) -> apsw.Connection:
        """From now on an owner of before that still writes is stopped at its next commit."""
        connection = open_live(self._folder / file_name(number))
        take_over(connection, self._ownership.epoch)
        return connection

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
        begun = ledger.last_begun()
        while numbers and numbers[-1] > begun and not _is_whole(self._folder / file_name(numbers[-1])):
            remove_segment(self._folder, numbers.pop())
        if begun > max(numbers, default=trimmed):
            numbers.append(begun)
        sealed = ledger.sealed()
        for number in numbers:
            if number not in sealed:
                mend(self._folder / file_name(number))
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
            self._ownership.ledger.begin(number)
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
        whole = connection.execute("PRAGMA user_version").get != 0
        if whole:
            connection.execute("PRAGMA journal_mode=WAL")
    except UNREADABLE:
        return False
    finally:
        connection.close(True)
    return whole


def _is_sound(path: Path) -> bool:
    """Whether a segment may be gone on with: small enough to look at every page of it, and every page is in order."""
    log = Path(f"{path}-wal")
    if path.stat().st_size + (log.stat().st_size if log.exists() else 0) > _CHECKED_BYTES:
        return False
    connection = open_live(path)
    try:
        return connection.execute("PRAGMA quick_check(1)").get == "ok"
    except UNREADABLE:
        return False
    finally:
        connection.close(True)
