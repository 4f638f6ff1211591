"""Quantile: the value at or below which a share of all values lies. Exact up to 1,024 values, then a KLL sketch."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.bag import Bag
from weft.stream.aggregate.sketch import QuantileSketch
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column

MOST_EXACT: Final = 1_024
"""How many values of a cell are kept one by one."""


class Quantiles(Tally):
    """Values. Answers p1 to p99.999: the smallest value that at least this share of the values does not exceed."""

    def __init__(self) -> None:
        self._bag = Bag(np.float64)
        self._sketches: dict[int, QuantileSketch] = {}

    def grow(self, cells: int) -> None:
        """There is room."""

    def add(self, chosen: Chosen) -> None:
        """Keep the values."""
        self._bag.add(chosen.cells, chosen.values)
        self._condense()

    def _condense(self) -> None:
        """Put into sketches what is too much to be kept one by one."""
        if self._bag.size_bytes <= 16 * MOST_EXACT:
            return
        large = [*self._bag.larger(MOST_EXACT), *self._sketches]
        cells = np.unique(np.array(large, dtype=np.int64))
        if not len(cells):
            return
        values, starts, ends = self._bag.spans(cells)
        for cell, start, end in zip(cells.tolist(), starts.tolist(), ends.tolist(), strict=True):
            if start < end:
                self._sketch(cell).add(values[start:end])
        self._bag.clear(cells)

    def _sketch(self, cell: int) -> QuantileSketch:
        found = self._sketches.get(cell)
        if found is None:
            found = self._sketches[cell] = QuantileSketch()
        return found

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Put the values together."""
        self._bag.merge(into, other)
        if self._sketches:
            for target, cell in zip(into.tolist(), other.tolist(), strict=True):
                if cell in self._sketches:
                    self._sketch(target).merge(self._sketches[cell])
        self._condense()

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._bag.clear(cells)
        if self._sketches:
            for cell in cells.tolist():
                self._sketches.pop(cell, None)

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
        for at in self._sketched(cells):
            found[at] = self._sketches[int(cells[at])].value(float(share))
            known[at] = True
        return Column("number", found, None if known.all() else known)

    def _sketched(self, cells: Int64s) -> Sequence[int]:
        """The places of cells that have a sketch."""
        return [at for at, cell in enumerate(cells.tolist()) if cell in self._sketches] if self._sketches else ()

    @property
    def size_bytes(self) -> int:
        """Values and sketches."""
        return self._bag.size_bytes + QuantileSketch.SIZE_BYTES * len(self._sketches)

    def save(self, cells: Int64s) -> Saved:
        """Values and sketches."""
        sketches = [[at, self._sketches[int(cells[at])].save()] for at in self._sketched(cells)]
        return {"bag": self._bag.save(cells), "sketches": sketches}

    def load(self, cells: int, saved: Saved) -> None:
        """Values and sketches."""
        self._bag.load(saved["bag"])
        self._sketches = {at: QuantileSketch.load(sketch) for at, sketch in saved["sketches"]}
