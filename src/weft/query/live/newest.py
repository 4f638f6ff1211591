"""Newest: the newest event of each key, bounded in bytes. What a snapshot shows and what a slow reader gets."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

Key = tuple[str | None, ...]

_OVERHEAD_BYTES: Final = 300  # of one entry beside its text: the key, the tuple, the slot


class Entry(NamedTuple):
    """One event: its number in the order of the view, its place, its text, and whether it ends what its key stands for."""

    number: int
    partition: int
    offset: int
    line: bytes
    is_over: bool


class Newest:
    """Entries in the order in which they came; one for each key, the longest unchanged let go when there is no room."""

    def __init__(self, limit_bytes: Callable[[], int]) -> None:
        self._limit_bytes = limit_bytes
        self._entries: dict[Key, Entry] = {}
        self.size_bytes = 0
        self.number = 0
        """How many events were put here in all."""

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def put(self, key: Key, *, partition: int, offset: int, line: bytes, is_over: bool = False) -> None:
        """Take an event; the one before of its key is forgotten."""
        self.number += 1
        known = self._entries.pop(key, None)
        if known is not None:
            self.size_bytes -= len(known.line) + _OVERHEAD_BYTES
        self._entries[key] = Entry(self.number, partition, offset, line, is_over)
        self.size_bytes += len(line) + _OVERHEAD_BYTES
        self._make_room()

    def since(self, number: int, upto: int, positions: Mapping[int, int]) -> list[Entry]:
        """What came after an event's number, up to another's, and stands at or behind the positions; oldest first."""
        found: list[Entry] = []
        for entry in reversed(self._entries.values()):
            if entry.number <= number:
                break
            if entry.number <= upto and entry.offset >= positions.get(entry.partition, 0):
                found.append(entry)
        found.reverse()
        return found

    def standing(self) -> list[bytes]:
        """The newest texts of all that is not over, in the order of their events."""
        return [entry.line for entry in self._entries.values() if not entry.is_over]

    def entries(self) -> Iterable[tuple[Key, Entry]]:
        """Every entry with its key, in the order of their events."""
        return self._entries.items()

    def precede(self, earlier: "Newest") -> None:
        """Take what happened before everything here; it stands where nothing newer does, and counts as event 0."""
        later, self._entries = self._entries, {}
        for key, entry in earlier.entries():
            if key not in later:
                self._entries[key] = entry._replace(number=0)
                self.size_bytes += len(entry.line) + _OVERHEAD_BYTES
        self._entries.update(later)
        self._make_room()

    def clear(self) -> None:
        """Forget everything, after an erasure."""
        self._entries.clear()
        self.size_bytes = 0

    def _make_room(self) -> None:
        while self.size_bytes > self._limit_bytes() and len(self._entries) > 1:
            oldest = self._entries.pop(next(iter(self._entries)))
            self.size_bytes -= len(oldest.line) + _OVERHEAD_BYTES
