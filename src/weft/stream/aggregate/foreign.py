"""Foreign: aggregate functions of other packages. Each cell has an object of theirs."""

import numpy as np

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column
from weft.stream.custom import CustomAggregate


class Foreign(Tally):
    """Objects of one class, one for each cell that has values."""

    def __init__(self, made: type[CustomAggregate]) -> None:
        self._made = made
        self._held: dict[int, CustomAggregate] = {}

    def grow(self, cells: int) -> None:
        """There is room."""

    def add(self, chosen: Chosen) -> None:
        """Give each object the values of its cell."""
        if not len(chosen.cells):
            return
        order = np.argsort(chosen.cells, kind="stable")
        cells, values = chosen.cells[order], chosen.values[order]
        starts = np.flatnonzero(np.concatenate((np.ones(1, dtype=np.bool_), cells[1:] != cells[:-1])))
        for cell, part in zip(cells[starts].tolist(), np.split(values, starts[1:]), strict=True):
            self._of(cell).add(part)

    def _of(self, cell: int) -> CustomAggregate:
        if cell not in self._held:
            self._held[cell] = self._made()
        return self._held[cell]

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Put together what both have seen."""
        for target, cell in zip(into.tolist(), other.tolist(), strict=True):
            if cell in self._held:
                self._of(target).merge(self._held[cell])

    def clear(self, cells: Int64s) -> None:
        """Let go of the objects."""
        for cell in cells.tolist():
            self._held.pop(cell, None)

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """What they answer; unknown where there are no values, or no finite answer."""
        held = [self._held.get(cell) for cell in cells.tolist()]
        answers = [None if one is None else one.value() for one in held]
        values = np.array([np.nan if answer is None else answer for answer in answers], dtype=np.float64)
        known = np.isfinite(values)
        return Column("number", values, None if known.all() else known)

    @property
    def size_bytes(self) -> int:
        """What they say."""
        return sum(one.size_bytes for one in self._held.values())

    def save(self, cells: Int64s) -> Saved:
        """All objects, as they save themselves."""
        found = ((at, self._held.get(cell)) for at, cell in enumerate(cells.tolist()))
        return {"held": [[at, one.save()] for at, one in found if one is not None]}

    def load(self, cells: int, saved: Saved) -> None:
        """All objects."""
        self._held = {at: self._made.load(one) for at, one in saved["held"]}
