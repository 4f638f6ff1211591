"""Deviation: how far values lie from their mean, of all of them (divided by n, not n - 1). Exact but for the last rounding."""

import math
from fractions import Fraction
from typing import Final

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.count import Count
from weft.stream.aggregate.exact import ExactSums, Floats, nearest, two_product
from weft.stream.aggregate.sum import finite
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column

_LARGEST: Final = 2.0**400
_SMALLEST: Final = 2.0**-400
"""Squares of what lies between, and what rounding them takes away, are floats."""


class Deviation(Tally):
    """Values, their squares and their number. The square of a float is kept as two floats, so that nothing of it is lost."""

    def __init__(self) -> None:
        self._sums = ExactSums()
        self._squares = ExactSums()
        self._count = Count()

    def grow(self, cells: int) -> None:
        """Make room."""
        for part in (self._sums, self._squares, self._count):
            part.grow(cells)

    def add(self, chosen: Chosen) -> None:
        """Add values and squares."""
        self._count.add(chosen)
        self._sums.add(chosen.cells, chosen.values)
        size = np.abs(chosen.values)
        usual = ((size < _LARGEST) & (size > _SMALLEST)) | (size == 0)
        if usual.all():
            self._add_squares(chosen.cells, chosen.values)
            return
        self._add_squares(chosen.cells[usual], chosen.values[usual])
        for cell, value in zip(chosen.cells[~usual].tolist(), chosen.values[~usual].tolist(), strict=True):
            self._squares.add_fraction(cell, Fraction(value) ** 2)

    def _add_squares(self, cells: Int64s, values: Floats) -> None:
        squares, lost = two_product(values, values)
        self._squares.add(cells, squares)
        self._squares.add(cells, lost)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Add up."""
        for part in (self._sums, self._squares, self._count):
            part.merge(into, other)

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        for part in (self._sums, self._squares, self._count):
            part.clear(cells)

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The root of the mean square less the squared mean; unknown where there is no value."""
        counts = self._count.counts(cells)
        found = zip(self._sums.fractions(cells), self._squares.fractions(cells), counts.tolist(), strict=True)
        deviations = [
            math.sqrt(nearest((squares - sums * sums / count) / count)) if count else 0.0 for sums, squares, count in found
        ]
        return finite(np.array(deviations, dtype=np.float64), counts > 0)

    @property
    def size_bytes(self) -> int:
        """Limbs and counts."""
        return self._sums.size_bytes + self._squares.size_bytes + self._count.size_bytes

    def save(self, cells: Int64s) -> Saved:
        """Sums, squares and counts."""
        return {"sums": self._sums.save(cells), "squares": self._squares.save(cells), "count": self._count.save(cells)}

    def load(self, cells: int, saved: Saved) -> None:
        """Sums, squares and counts."""
        self._sums.load(cells, saved["sums"])
        self._squares.load(cells, saved["squares"])
        self._count.load(cells, saved["count"])
