"""Quantile: the value at or below which a share of all values lies. Exact up to 1,024 values, then from a histogram."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.bag import Bag
from weft.stream.aggregate.histogram import Histogram
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column

MOST_EXACT: Final = 1_024
"""How many values of a cell are kept one by one."""


class Quantiles(Tally):
    """Values. Answers p1 to p99.999: the smallest value that at least this share of the values does not exceed."""

    def __init__(self) -> None:
        self._bag = Bag(np.float64)
        self._histograms: dict[int, Histogram] = {}

    def grow(self, cells: int) -> None:
        """There is room."""

    def add(self, chosen: Chosen) -> None:
        """Keep the values."""
        self._bag.add(chosen.cells, chosen.values)
        self._condense()

    def _condense(self) -> None:
        """Put into histograms what is too much to be kept one by one."""
        if self._bag.size_bytes <= 16 * MOST_EXACT:
            return
        large = [*self._bag.larger(MOST_EXACT), *self._histograms]
        cells = np.unique(np.array(large, dtype=np.int64))
        if not len(cells):
            return
        values, starts, ends = self._bag.spans(cells)
        for cell, start, end in zip(cells.tolist(), starts.tolist(), ends.tolist(), strict=True):
            if start < end:
                self._histogram(cell).add(values[start:end])
        self._bag.clear(cells)

    def _histogram(self, cell: int) -> Histogram:
        found = self._histograms.get(cell)
        if found is None:
            found = self._histograms[cell] = Histogram()
        return found

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Put the values together."""
        self._bag.merge(into, other)
        if self._histograms:
            for target, cell in zip(into.tolist(), other.tolist(), strict=True):
                if cell in self._histograms:
                    self._histogram(target).merge(self._histograms[cell])
        self._condense()

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._bag.clear(cells)
        if self._histograms:
            for cell in cells.tolist():
                self._histograms.pop(cell, None)

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The value of `p99` and the like; unknown where there is none."""
        self._condense()
        share = Fraction(function[1:]) / 100
        values, starts, ends = self._bag.spans(cells)
        counts = ends - starts
        ranks = -(-counts * share.numerator // share.denominator)
        known = counts > 0
        found = np.zeros(len(cells), dtype=np.float64)
        found[known] = values[(starts + ranks - 1)[known]]
        for at in self._condensed(cells):
            found[at] = self._histograms[int(cells[at])].value(share)
            known[at] = True
        return Column("number", found, None if known.all() else known)

    def _condensed(self, cells: Int64s) -> Sequence[int]:
        """The places of cells that have a histogram."""
        return [at for at, cell in enumerate(cells.tolist()) if cell in self._histograms] if self._histograms else ()

    @property
    def size_bytes(self) -> int:
        """Values and histograms."""
        return self._bag.size_bytes + sum(one.size_bytes for one in self._histograms.values())

    def save(self, cells: Int64s) -> Saved:
        """Values and histograms."""
        histograms = [[at, self._histograms[int(cells[at])].save()] for at in self._condensed(cells)]
        return {"bag": self._bag.save(cells), "histograms": histograms}

    def load(self, cells: int, saved: Saved) -> None:
        """Values and histograms."""
        self._bag.load(saved["bag"])
        self._histograms = {at: Histogram.load(histogram) for at, histogram in saved["histograms"]}
