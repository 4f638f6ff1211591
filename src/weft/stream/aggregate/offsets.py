"""Offsets: where in each partition the events of a cell lie, from the first to the last."""

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Chosen, Saved, Tally, grown
from weft.stream.column import Column

_NONE = 2**62


class Offsets(Tally):
    """The first and the last offset for each partition that ever had an event here."""

    def __init__(self) -> None:
        self._cells = 0
        self._firsts: dict[int, Int64s] = {}
        self._lasts: dict[int, Int64s] = {}

    def grow(self, cells: int) -> None:
        """Make room."""
        self._cells = cells
        self._firsts = {partition: grown(firsts, cells, _NONE) for partition, firsts in self._firsts.items()}
        self._lasts = {partition: grown(lasts, cells, -1) for partition, lasts in self._lasts.items()}

    def add(self, chosen: Chosen) -> None:
        """Note the places; those of one partition come in their order."""
        if chosen.partition not in self._firsts:
            self._firsts[chosen.partition] = np.full(self._cells, _NONE, dtype=np.int64)
            self._lasts[chosen.partition] = np.full(self._cells, -1, dtype=np.int64)
        firsts, cells, offsets = self._firsts[chosen.partition], chosen.cells, chosen.offsets
        held = firsts.take(cells)
        if held.max(initial=-1) == _NONE:
            new = np.flatnonzero(held == _NONE)[::-1]
            firsts[cells[new]] = offsets[new]  # of the offsets for one cell the one assigned last stays: the first
        self._lasts[chosen.partition][cells] = offsets

    def merge(self, into: Int64s, other: Int64s) -> None:
        """From the first of all to the last of all."""
        for firsts in self._firsts.values():
            np.minimum.at(firsts, into, firsts[other])
        for lasts in self._lasts.values():
            np.maximum.at(lasts, into, lasts[other])

    def clear(self, cells: Int64s) -> None:
        """Nowhere."""
        for firsts in self._firsts.values():
            firsts[cells] = _NONE
        for lasts in self._lasts.values():
            lasts[cells] = -1

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """How many offsets lie between first and last, of all partitions."""
        spans = np.zeros(len(cells), dtype=np.int64)
        for _, first, last in self.places(cells):
            spans += np.maximum(last - first + 1, 0)
        return Column("integer", spans)

    def places(self, cells: Int64s) -> list[tuple[int, Int64s, Int64s]]:
        """For each partition the first and the last offset of each cell; the last is -1 where there is none."""
        found = ((partition, firsts[cells], self._lasts[partition][cells]) for partition, firsts in self._firsts.items())
        return [place for place in found if place[2].max(initial=-1) >= 0]

    @property
    def size_bytes(self) -> int:
        """Sixteen bytes for each cell and partition."""
        return 16 * self._cells * len(self._firsts)

    def save(self, cells: Int64s) -> Saved:
        """Firsts and lasts."""
        return {
            "partitions": [
                [partition, self._firsts[partition][cells], self._lasts[partition][cells]] for partition in self._firsts
            ]
        }

    def load(self, cells: int, saved: Saved) -> None:
        """Firsts and lasts."""
        self._cells = cells
        self._firsts = {partition: grown(firsts, cells, _NONE) for partition, firsts, _ in saved["partitions"]}
        self._lasts = {partition: grown(lasts, cells, -1) for partition, _, lasts in saved["partitions"]}
