"""Count: how many events, or how many in which a value is known. `absent` is whether there was none."""

import numpy as np

from weft.core.batch import Int64s
from weft.core.times import SECOND_US
from weft.stream.aggregate.tally import Chosen, Saved, Tally, grown
from weft.stream.column import Column


class Count(Tally):
    """One integer for each cell."""

    def __init__(self) -> None:
        self._counts = np.zeros(0, dtype=np.int64)

    def grow(self, cells: int) -> None:
        """Make room."""
        self._counts = grown(self._counts, cells, 0)

    def add(self, chosen: Chosen) -> None:
        """One more for each event."""
        np.add.at(self._counts, chosen.cells, 1)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Add up."""
        np.add.at(self._counts, into, self._counts[other])

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._counts[cells] = 0

    def read(self, cells: Int64s, length_us: int | Int64s) -> Column:
        """How many."""
        return Column("integer", self._counts[cells])

    @property
    def size_bytes(self) -> int:
        """Eight bytes for each cell."""
        return self._counts.nbytes

    def save(self, cells: Int64s) -> Saved:
        """The counts."""
        return {"counts": self._counts[cells]}

    def load(self, cells: int, saved: Saved) -> None:
        """The counts."""
        self._counts = grown(saved["counts"], cells, 0)


class Absent(Count):
    """Whether no event came."""

    def read(self, cells: Int64s, length_us: int | Int64s) -> Column:
        """True where none did."""
        return Column("boolean", self._counts[cells] == 0)


class Frequency(Count):
    """How many events for each second of the window."""

    def read(self, cells: Int64s, length_us: int | Int64s) -> Column:
        """The events of a second."""
        return Column("number", self._counts[cells] / (length_us / SECOND_US))
