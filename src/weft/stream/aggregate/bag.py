"""Bag: single values of each cell, kept in the order of cell and value."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Saved

Values = npt.NDArray[Any]

_FEW: Final = 1 << 16
"""So many values may wait to be put in order, or as many as there are already."""


class Bag:
    """The values of all cells. With `unique` the same value of a cell is kept once."""

    def __init__(self, dtype: type[np.generic], *, unique: bool = False) -> None:
        self._dtype = dtype
        self._unique = unique
        self._cells = np.zeros(0, dtype=np.int64)
        self._values: Values = np.zeros(0, dtype=dtype)
        self._waiting: list[tuple[Int64s, Values]] = []
        self._waiting_count = 0

    @property
    def size_bytes(self) -> int:
        """Sixteen bytes for each value."""
        return 16 * (len(self._cells) + self._waiting_count)

    def add(self, cells: Int64s, values: Values) -> None:
        """Put values into cells."""
        self._waiting.append((cells.copy(), values.astype(self._dtype)))
        self._waiting_count += len(cells)
        if self._waiting_count > max(_FEW, len(self._cells)):
            self.settle()

    def settle(self) -> tuple[Int64s, Values]:
        """All cells and their values, in order."""
        if self._waiting:
            cells = np.concatenate([self._cells, *(cells for cells, _ in self._waiting)])
            values = np.concatenate([self._values, *(values for _, values in self._waiting)])
            order = np.lexsort((values, cells))
            cells, values = cells[order], values[order]
            if self._unique and len(cells):
                first = np.ones(len(cells), dtype=np.bool_)
                first[1:] = (cells[1:] != cells[:-1]) | (values[1:] != values[:-1])
                cells, values = cells[first], values[first]
            self._cells, self._values = cells, values
            self._waiting, self._waiting_count = [], 0
        return self._cells, self._values

    def spans(self, cells: Int64s) -> tuple[Values, Int64s, Int64s]:
        """All values, and for each of these cells where its own begin and end."""
        held, values = self.settle()
        return values, np.searchsorted(held, cells), np.searchsorted(held, cells, side="right")

    def larger(self, most: int) -> list[int]:
        """The cells that hold more than `most` values."""
        cells, counts = np.unique(self.settle()[0], return_counts=True)
        return cells[counts > most].tolist()

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Put what each of `other` holds, which occurs once there, into the cell beside it too."""
        values, starts, ends = self.spans(other)
        counts = ends - starts
        total = int(counts.sum())
        if total:
            places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(total)
            self.add(np.repeat(into, counts), values[places])

    def clear(self, cells: Int64s) -> None:
        """Take everything out of these cells."""
        held, values = self.settle()
        if len(held):
            kept = ~np.isin(held, cells)
            self._cells, self._values = held[kept], values[kept]

    def save(self, cells: Int64s) -> Saved:
        """What these cells hold, in their order."""
        values, starts, ends = self.spans(cells)
        counts = ends - starts
        places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
        return {"counts": counts, "values": values[places]}

    def load(self, saved: Saved) -> None:
        """Hold what was saved in the cells from 0 on."""
        self._cells = np.repeat(np.arange(len(saved["counts"]), dtype=np.int64), saved["counts"])
        self._values = saved["values"].astype(self._dtype)
        self._waiting, self._waiting_count = [], 0
