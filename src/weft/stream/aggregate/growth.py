"""Growth: by how much a counter grew from its first value to its last. Where it fell it began again at 0."""

from typing import Final

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s
from weft.core.times import SECOND_US
from weft.stream.aggregate.edge import place_of
from weft.stream.aggregate.exact import ExactSums, Floats
from weft.stream.aggregate.sum import finite
from weft.stream.aggregate.tally import Chosen, Saved, Tally
from weft.stream.column import Column

MOST_VALUES: Final = 1 << 16
"""How many values of a cell are kept; with more its growth is unknown, because the order of all of them matters."""
_FEW: Final = 1 << 16


class Growth(Tally):
    """All values in the order of time, partition and offset. Answers rate."""

    def __init__(self) -> None:
        self._columns: tuple[Int64s, Int64s, Int64s, Floats] = _NOTHING
        self._waiting: list[tuple[Int64s, Int64s, Int64s, Floats]] = []
        self._waiting_count = 0
        self._lost: set[int] = set()

    def grow(self, cells: int) -> None:
        """There is room."""

    def add(self, chosen: Chosen) -> None:
        """Keep the values."""
        self._put(chosen.cells, chosen.times_us, place_of(chosen), chosen.values)

    def _put(self, cells: Int64s, times: Int64s, places: Int64s, values: Floats) -> None:
        self._waiting.append((cells.copy(), times.copy(), places, values.copy()))
        self._waiting_count += len(cells)
        if self._waiting_count > max(_FEW, len(self._columns[0])):
            self._settle()

    def _settle(self) -> tuple[Int64s, Int64s, Int64s, Floats]:
        """Cells, times, places and values, in order."""
        if self._waiting:
            parts = zip(self._columns, *self._waiting, strict=True)
            cells, times, places, values = (np.concatenate(part) for part in parts)
            order = np.lexsort((places, times, cells))
            self._columns = (cells[order], times[order], places[order], values[order])
            self._waiting, self._waiting_count = [], 0
            different, counts = np.unique(self._columns[0], return_counts=True)
            large = different[counts > MOST_VALUES]
            if len(large):
                self._drop(large)
                self._lost.update(large.tolist())
        return self._columns

    def _drop(self, dropped: Int64s) -> None:
        cells, times, places, values = self._columns
        kept = ~np.isin(cells, dropped)
        self._columns = (cells[kept], times[kept], places[kept], values[kept])

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Put the values together."""
        cells, times, places, values = self._settle()
        starts, ends = np.searchsorted(cells, other), np.searchsorted(cells, other, side="right")
        counts = ends - starts
        found = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
        self._put(np.repeat(into, counts), times[found], places[found], values[found])
        if self._lost:
            for target, cell in zip(into.tolist(), other.tolist(), strict=True):
                if cell in self._lost:
                    self._lost.add(target)

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._settle()
        self._drop(cells)
        self._lost.difference_update(cells.tolist())

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The growth for each second of the window; unknown where there are fewer than two values."""
        held, _, _, values = self._settle()
        known = np.searchsorted(held, cells, side="right") - np.searchsorted(held, cells) > 1
        if self._lost:
            known &= np.array([cell not in self._lost for cell in cells.tolist()], dtype=np.bool_)
        return finite(self._grown(held, values, cells) / (length_us / SECOND_US), known)

    def _grown(self, held: Int64s, values: Floats, cells: Int64s) -> Floats:
        """The sum of all steps within each cell, exact but for the last rounding."""
        place_in = np.full(int(max(held.max(initial=-1), cells.max(initial=-1))) + 1, -1, dtype=np.int64)
        place_in[cells] = np.arange(len(cells))
        targets = place_in[held[1:]]
        within = np.flatnonzero((held[1:] == held[:-1]) & (targets >= 0))
        with np.errstate(over="ignore"):
            steps = values[1:] - values[:-1]
        steps = np.where(steps < 0, values[1:], steps)[within]
        sums = ExactSums()
        sums.grow(len(cells))
        finite = np.isfinite(steps)
        sums.add(targets[within][finite], steps[finite])
        return sums.rounded(np.arange(len(cells)))

    @property
    def size_bytes(self) -> int:
        """Thirty-two bytes for each value."""
        return 32 * (len(self._columns[0]) + self._waiting_count)

    def save(self, cells: Int64s) -> Saved:
        """All values of these cells, in order."""
        held, times, places, values = self._settle()
        starts, ends = np.searchsorted(held, cells), np.searchsorted(held, cells, side="right")
        counts = ends - starts
        found = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
        lost = [at for at, cell in enumerate(cells.tolist()) if cell in self._lost]
        return {"counts": counts, "times": times[found], "places": places[found], "values": values[found], "lost": lost}

    def load(self, cells: int, saved: Saved) -> None:
        """All values, in order."""
        held = np.repeat(np.arange(len(saved["counts"]), dtype=np.int64), saved["counts"])
        self._columns = (held, saved["times"], saved["places"], saved["values"])
        self._waiting, self._waiting_count = [], 0
        self._lost = set(saved["lost"])


_NONE: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
_NOTHING: Final = (_NONE, _NONE, _NONE, np.zeros(0, dtype=np.float64))
