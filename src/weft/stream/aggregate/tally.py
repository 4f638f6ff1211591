"""Tally: what is kept for each cell, for one aggregate function or several. A cell is one key in one pane or session.

Every step is over whole columns: many cells at once. Adding and merging give the same whatever the order.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s
from weft.stream.column import Column

Saved = Mapping[str, Any]
"""Arrays and plain values by name, as a snapshot keeps them."""


class Occurrences:
    """How often each cell occurs among some events, worked out once for everybody who counts them."""

    def __init__(self, cells: Int64s) -> None:
        self._cells = cells

    def add_to(self, counts: Int64s) -> None:
        """Add to the count of each cell."""
        by_cell = self._by_cell
        if by_cell is None:
            np.add.at(counts, self._cells, 1)
        else:
            counts[: len(by_cell)] += by_cell

    @cached_property
    def _by_cell(self) -> Int64s | None:
        """How often for each cell from 0 on; None where most of them would be none."""
        return np.bincount(self._cells) if self._cells.max(initial=0) < 2 * len(self._cells) else None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The events of a batch that an aggregate takes: the cell of each, its value where it takes one, and its place.

    `values` are known, one for each cell; of a text column they are codes into its words.
    """

    cells: Int64s
    times_us: Int64s
    partition: int
    offsets: Int64s
    occurrences: Occurrences
    column: Column | None = None

    @property
    def values(self) -> npt.NDArray[Any]:
        """The values themselves."""
        assert self.column is not None, "this aggregate takes no value"  # noqa: S101 - the binder gave it one
        return self.column.values


class Tally(ABC):
    """What is kept of some values. Cells up to the number last grown to may be used; a cell that was never used is empty."""

    @abstractmethod
    def grow(self, cells: int) -> None:
        """Make room for this many cells."""

    @abstractmethod
    def add(self, chosen: Chosen) -> None:
        """Take in events."""

    @abstractmethod
    def merge(self, into: Int64s, other: Int64s) -> None:
        """Take what each of `other` holds into the cell of `into` beside it; one of `into` may stand there several times."""

    @abstractmethod
    def clear(self, cells: Int64s) -> None:
        """Make cells empty again."""

    @abstractmethod
    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """What an aggregate function says about these cells; `length_us` is how long their windows are."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """About what it holds in memory."""

    @abstractmethod
    def save(self, cells: Int64s) -> Saved:
        """What these cells hold, in this order."""

    @abstractmethod
    def load(self, cells: int, saved: Saved) -> None:
        """Hold what was saved in the cells from 0 on, in place of everything."""


def grown(array: npt.NDArray[Any], cells: int, empty: Any) -> npt.NDArray[Any]:
    """A longer array with the same beginning."""
    longer = np.full(cells, empty, dtype=array.dtype)
    longer[: len(array)] = array
    return longer
