"""Distinct: how many different values. Exact up to 1,024 of them, then a HyperLogLog sketch."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from weft.core.batch import Int64s
from weft.stream.aggregate.bag import Bag
from weft.stream.aggregate.sketch import DistinctSketch
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column

UInt64s = npt.NDArray[np.uint64]

MOST_EXACT: Final = 1_024
"""How many different values of a cell are counted one by one, by 64 bits of hash each."""


class Distinct(Tally):
    """Hashes of values. The same whatever the order they came in, sketches included."""

    def __init__(self) -> None:
        self._bag = Bag(np.uint64, unique=True)
        self._sketches: dict[int, DistinctSketch] = {}

    def grow(self, cells: int) -> None:
        """There is room."""

    def add(self, chosen: Chosen) -> None:
        """Keep what is new."""
        self._bag.add(chosen.cells, _hashes(chosen))
        self._condense()

    def _condense(self) -> None:
        """Put into sketches what is too much to be counted one by one."""
        if self._bag.size_bytes <= 16 * MOST_EXACT:
            return
        large = [*self._bag.larger(MOST_EXACT), *self._sketches]
        cells = np.unique(np.array(large, dtype=np.int64))
        if not len(cells):
            return
        values, starts, ends = self._bag.spans(cells)
        for cell, start, end in zip(cells.tolist(), starts.tolist(), ends.tolist(), strict=True):
            if cell not in self._sketches:
                self._sketches[cell] = DistinctSketch()
            self._sketches[cell].add(values[start:end].tolist())
        self._bag.clear(cells)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Put the values together."""
        self._bag.merge(into, other)
        if self._sketches:
            for target, cell in zip(into.tolist(), other.tolist(), strict=True):
                if cell in self._sketches:
                    self._sketches[target] = self._sketches.get(target, DistinctSketch()).with_other(self._sketches[cell])
        self._condense()

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._bag.clear(cells)
        if self._sketches:
            for cell in cells.tolist():
                self._sketches.pop(cell, None)

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """How many."""
        self._condense()
        _, starts, ends = self._bag.spans(cells)
        counts = ends - starts
        for at in self._sketched(cells):
            counts[at] = self._sketches[int(cells[at])].estimate()
        return Column("integer", counts)

    def _sketched(self, cells: Int64s) -> Sequence[int]:
        """The places of cells that have a sketch."""
        return [at for at, cell in enumerate(cells.tolist()) if cell in self._sketches] if self._sketches else ()

    @property
    def size_bytes(self) -> int:
        """Hashes and sketches."""
        return self._bag.size_bytes + DistinctSketch.SIZE_BYTES * len(self._sketches)

    def save(self, cells: Int64s) -> Saved:
        """Hashes and sketches."""
        sketches = [[at, self._sketches[int(cells[at])].save()] for at in self._sketched(cells)]
        return {"bag": self._bag.save(cells), "sketches": sketches}

    def load(self, cells: int, saved: Saved) -> None:
        """Hashes and sketches."""
        self._bag.load(saved["bag"])
        self._sketches = {at: DistinctSketch.load(sketch) for at, sketch in saved["sketches"]}


def _hashes(chosen: Chosen) -> UInt64s:
    """64 bits for each value, the same for the same value."""
    column = chosen.column
    words = None if column is None else column.words
    if words is None:
        return _mixed(chosen.values)
    codes, places = np.unique(chosen.values, return_inverse=True)
    numbers: list[int] = codes.tolist()
    hashes = [xxh3_64_intdigest(words[number].encode()) for number in numbers]
    return np.array(hashes, dtype=np.uint64)[places]


def _mixed(values: npt.NDArray[np.float64] | Int64s | npt.NDArray[np.bool_]) -> UInt64s:
    """The bits of numbers, mixed (splitmix64); there is one zero."""
    bits = (values + 0.0).view(np.uint64) if values.dtype == np.float64 else values.astype(np.int64).view(np.uint64)
    mixed = bits + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
