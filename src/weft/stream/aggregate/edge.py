"""Edge: the first or the last value by time; of two at the same time partition and offset decide, not who came first."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Chosen, Saved, Tally, grown
from weft.stream.column import Column, Kind

Side = Literal["first", "last"]

_NONE: Final = 2**62
_OFFSET_BITS: Final = 47
"""Partition and offset are one number: 16 bits and 47."""
_DTYPES: Final[dict[Kind, Any]] = {
    "integer": np.int64,
    "number": np.float64,
    "boolean": np.bool_,
    "text": np.int64,
    "texts": np.int64,
}


def place_of(chosen: Chosen) -> Int64s:
    """The place of each event as one number, in the order of partition and offset."""
    return (chosen.partition << _OFFSET_BITS) + chosen.offsets


class Edge(Tally):
    """One value for each cell, its time and its place. Both are kept so that the smallest wins, also for `last`."""

    def __init__(self, side: Side, kind: Kind) -> None:
        self._sign = 1 if side == "first" else -1
        self._kind: Kind = kind
        self._times = np.zeros(0, dtype=np.int64)
        self._places = np.zeros(0, dtype=np.int64)
        self._values: npt.NDArray[Any] = np.zeros(0, dtype=_DTYPES[kind])
        self._words: list[str] = []
        self._codes: dict[str, int] = {}

    def grow(self, cells: int) -> None:
        """Make room."""
        self._times = grown(self._times, cells, _NONE)
        self._places = grown(self._places, cells, _NONE)
        self._values = grown(self._values, cells, 0)

    def add(self, chosen: Chosen) -> None:
        """Keep the value that lies further out."""
        self._put(chosen.cells, self._sign * chosen.times_us, self._sign * place_of(chosen), chosen.values, chosen.column)

    def _put(self, cells: Int64s, times: Int64s, places: Int64s, values: npt.NDArray[Any], column: Column | None) -> None:
        better = np.flatnonzero(times <= self._times[cells])
        cells, times, places, values = cells[better], times[better], places[better], values[better]
        before = self._times[cells]
        np.minimum.at(self._times, cells, times)
        self._places[cells[self._times[cells] < before]] = _NONE
        ties = np.flatnonzero(times == self._times[cells])
        cells, places, values = cells[ties], places[ties], values[ties]
        before = self._places[cells]
        np.minimum.at(self._places, cells, places)
        won = np.flatnonzero((places == self._places[cells]) & (places < before))
        self._values[cells[won]] = values[won] if column is None else self._kept(values[won], column)

    def _kept(self, values: npt.NDArray[Any], column: Column) -> npt.NDArray[Any]:
        """Values as they are kept: words of the batch by codes of our own."""
        words = column.words
        if words is None:
            return values
        codes, at = np.unique(values, return_inverse=True)
        numbers: list[int] = codes.tolist()
        return np.array([self._code(words[number]) for number in numbers], dtype=np.int64)[at]

    def _code(self, word: str) -> int:
        code = self._codes.get(word)
        if code is None:
            code = self._codes[word] = len(self._words)
            self._words.append(word)
        return code

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Keep the value that lies further out."""
        held = self._times[other] < _NONE
        into, other = into[held], other[held]
        self._put(into, self._times[other], self._places[other], self._values[other], None)

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._times[cells] = _NONE
        self._places[cells] = _NONE
        if len(self._words) > 2 * len(self._times) + 1_000:
            self._forget_words()

    def _forget_words(self) -> None:
        """Keep only the words that stand in a cell."""
        held = np.flatnonzero(self._times < _NONE)
        codes, at = np.unique(self._values[held], return_inverse=True)
        numbers: list[int] = codes.tolist()
        self._words = [self._words[number] for number in numbers]
        self._codes = {word: code for code, word in enumerate(self._words)}
        self._values[held] = at

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The value; unknown where there is none."""
        known = self._times[cells] < _NONE
        words: Sequence[str] | None = tuple(self._words) if self._kind == "text" else None
        return Column(self._kind, self._values[cells], None if known.all() else known, words)

    @property
    def size_bytes(self) -> int:
        """Time, place and value of each cell."""
        return self._times.nbytes + self._places.nbytes + self._values.nbytes + 100 * len(self._words)

    def save(self, cells: Int64s) -> Saved:
        """Time, place and value."""
        return {"times": self._times[cells], "places": self._places[cells], "values": self._values[cells], "words": self._words}

    def load(self, cells: int, saved: Saved) -> None:
        """Time, place and value."""
        self._times = grown(saved["times"], cells, _NONE)
        self._places = grown(saved["places"], cells, _NONE)
        self._values = grown(saved["values"], cells, 0)
        self._words = list(saved["words"])
        self._codes = {word: code for code, word in enumerate(self._words)}


class Delta(Tally):
    """The last value less the first."""

    def __init__(self) -> None:
        self._first = Edge("first", "number")
        self._last = Edge("last", "number")

    def grow(self, cells: int) -> None:
        """Make room."""
        self._first.grow(cells)
        self._last.grow(cells)

    def add(self, chosen: Chosen) -> None:
        """Keep the outermost values."""
        self._first.add(chosen)
        self._last.add(chosen)

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Keep the outermost values."""
        self._first.merge(into, other)
        self._last.merge(into, other)

    def clear(self, cells: Int64s) -> None:
        """Back to nothing."""
        self._first.clear(cells)
        self._last.clear(cells)

    def read(self, function: str, cells: Int64s, length_us: int | Int64s) -> Column:
        """The difference; unknown where there is no value, or no float can hold it."""
        first, last = self._first.read(function, cells, length_us), self._last.read(function, cells, length_us)
        with np.errstate(over="ignore"):
            difference = last.values - first.values
        known = np.isfinite(difference) if first.known is None else np.isfinite(difference) & first.known
        return Column("number", difference, None if known.all() else known)

    @property
    def size_bytes(self) -> int:
        """Both edges."""
        return self._first.size_bytes + self._last.size_bytes

    def save(self, cells: Int64s) -> Saved:
        """Both edges."""
        return {"first": self._first.save(cells), "last": self._last.save(cells)}

    def load(self, cells: int, saved: Saved) -> None:
        """Both edges."""
        self._first.load(cells, saved["first"])
        self._last.load(cells, saved["last"])
