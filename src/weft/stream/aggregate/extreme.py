"""Extreme: the smallest or the largest value."""

from typing import Literal

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Chosen, Saved, Tally, grown
from weft.stream.column import Column


class Extreme(Tally):
    """One number for each cell; infinite where there is none, which no value is."""

    def __init__(self, side: Literal["min", "max"]) -> None:
        self._empty = np.inf if side == "min" else -np.inf
        self._choose = np.minimum if side == "min" else np.maximum
        self._values = np.zeros(0, dtype=np.float64)

    def grow(self, cells: int) -> None:
        """Make room."""
        self._values = grown(self._values, cells, self._empty)

    def add(self, chosen: Chosen) -> None:
        """The better of what was there and what came."""
        self._choose.at(self._values, chosen.cells, chosen.values)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """The better of both."""
        self._choose.at(self._values, into, self._values[other])

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._values[cells] = self._empty

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The value; unknown where there was none."""
        values = self._values[cells]
        known = np.isfinite(values)
        return Column("number", values, None if known.all() else known)

    @property
    def size_bytes(self) -> int:
        """Eight bytes for each cell."""
        return self._values.nbytes

    def save(self, cells: Int64s) -> Saved:
        """The values."""
        return {"values": self._values[cells]}

    def load(self, cells: int, saved: Saved) -> None:
        """The values."""
        self._values = grown(saved["values"], cells, self._empty)
