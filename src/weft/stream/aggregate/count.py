"""Count: how many events. It also answers whether there was none, and how many there were for each second."""

import numpy as np

from weft.core.batch import Int64s
from weft.core.times import SECOND_US
from weft.stream.aggregate.tally import Chosen, Saved, Tally, grown
from weft.stream.column import Column


class Count(Tally):
    """One integer for each cell. Answers count, absent and rate."""

    def __init__(self) -> None:
        self._counts = np.zeros(0, dtype=np.int64)

    def grow(self, cells: int) -> None:
        """Make room."""
        self._counts = grown(self._counts, cells, 0)

    def add(self, chosen: Chosen) -> None:
        """One more for each event."""
        chosen.occurrences.add_to(self._counts)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Add up."""
        np.add.at(self._counts, into, self._counts[other])

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._counts[cells] = 0

    def counts(self, cells: Int64s) -> Int64s:
        """How many."""
        return self._counts[cells]

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """How many, whether there were none, or how many a second."""
        counts = self._counts[cells]
        if function == "absent":
            return Column("boolean", counts == 0)
        if function == "rate":
            return Column("number", counts / (length_us / SECOND_US))
        return Column("integer", counts)

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
