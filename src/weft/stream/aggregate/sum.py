"""Sum and mean, exactly rounded."""

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.count import Count
from weft.stream.aggregate.exact import ExactSums, Floats
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column


class Sum(Tally):
    """All values together. Answers sum and avg; unknown where there is no value, or no float is large enough."""

    def __init__(self) -> None:
        self._sums = ExactSums()
        self._count = Count()

    def grow(self, cells: int) -> None:
        """Make room."""
        self._sums.grow(cells)
        self._count.grow(cells)

    def add(self, chosen: Chosen) -> None:
        """Add the values."""
        self._sums.add(chosen.cells, chosen.values)
        self._count.add(chosen)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Add up."""
        self._sums.merge(into, other)
        self._count.merge(into, other)

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._sums.clear(cells)
        self._count.clear(cells)

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The sum, or the sum divided by the number of values and rounded once."""
        counts = self._count.counts(cells)
        if function == "avg":
            return finite(self._sums.means(cells, np.maximum(counts, 1)), counts > 0)
        return finite(self._sums.rounded(cells), counts > 0)

    @property
    def size_bytes(self) -> int:
        """Limbs and counts."""
        return self._sums.size_bytes + self._count.size_bytes

    def save(self, cells: Int64s) -> Saved:
        """Sums and counts."""
        return {"sums": self._sums.save(cells), "count": self._count.save(cells)}

    def load(self, cells: int, saved: Saved) -> None:
        """Sums and counts."""
        self._sums.load(cells, saved["sums"])
        self._count.load(cells, saved["count"])


def finite(values: Floats, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Column:
    """A column of numbers, unknown where they are not finite."""
    known = known & np.isfinite(values)
    return Column("number", values, None if known.all() else known)
