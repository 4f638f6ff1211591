"""Cells: dense numbers for what a window knows about a key, handed out, taken back and used again."""

from collections.abc import Iterable

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Tally, grown

FIRST_CELLS = 256


class Cells:
    """Hands out cells and keeps the tallies as long as there are cells. `limit_bytes` bounds what the tallies may hold."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._tallies: list[Tally] = []
        self._free = np.zeros(0, dtype=np.int64)
        self._used = 0
        self.keys = np.zeros(0, dtype=np.int64)
        """The key of each cell."""

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Everything that keeps something for each cell."""
        return tuple(self._tallies)

    def attach(self, tallies: Iterable[Tally]) -> None:
        """Say what keeps something for each cell."""
        self._tallies = list(tallies)
        for tally in self._tallies:
            tally.grow(len(self.keys))

    def attach_also(self, tallies: Iterable[Tally]) -> None:
        """Say what keeps something for each cell beside those there are."""
        for tally in tallies:
            tally.grow(len(self.keys))
            self._tallies.append(tally)

    @property
    def size_bytes(self) -> int:
        """About what all cells hold in memory."""
        return self.keys.nbytes * 2 + sum(tally.size_bytes for tally in self._tallies)

    def take(self, keys: Int64s, beside_bytes: int | None) -> Int64s:
        """One cell for each key, as many as there is room for; `beside_bytes` of the room are used by others.

        With None there is room for all: for cells that are given back at once.
        """
        count = self._room(len(keys), beside_bytes)
        again = min(count, len(self._free))
        split = len(self._free) - again
        cells = np.concatenate((self._free[split:], np.arange(self._used, self._used + count - again, dtype=np.int64)))
        self._free = self._free[:split]
        self._used += count - again
        self.keys[cells] = keys[:count]
        return cells

    def _room(self, count: int, beside_bytes: int | None) -> int:
        """How many of `count` cells there are, after making more where that is allowed."""
        there = len(self._free) + len(self.keys) - self._used
        if count > there:
            needed = self._used + count - len(self._free)
            each = max(self.size_bytes / max(len(self.keys), 1), 16.0)
            wanted = max(needed, 2 * len(self.keys), FIRST_CELLS)
            self._grow(needed if beside_bytes is None else min(wanted, int((self._limit_bytes - beside_bytes) / each)))
            there = len(self._free) + len(self.keys) - self._used
        return min(count, there)

    def _grow(self, cells: int) -> None:
        if cells > len(self.keys):
            self.keys = grown(self.keys, cells, -1)
            for tally in self._tallies:
                tally.grow(cells)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Take what `other` cells hold into the ones beside them."""
        for tally in self._tallies:
            tally.merge(into, other)

    def release(self, cells: Int64s) -> None:
        """Make cells empty and free."""
        if len(cells):
            for tally in self._tallies:
                tally.clear(cells)
            self._free = np.concatenate((self._free, cells))

    def renumber(self, numbers: Int64s) -> None:
        """Keys have new numbers; -1 is the number of those that are gone."""
        known = self.keys >= 0
        self.keys[known] = numbers[self.keys[known]]

    def load(self, keys: Int64s) -> None:
        """Hold these cells from 0 on, in place of all others; the tallies are loaded by themselves."""
        self.keys = grown(keys, max(len(keys), FIRST_CELLS), -1)
        self._used = len(keys)
        self._free = np.zeros(0, dtype=np.int64)
