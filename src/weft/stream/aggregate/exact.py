"""Exact: sums of floats without any rounding, so that they do not depend on the order in which values come.

A sum is kept as a few floats, its limbs. Limb j holds multiples of a unit 2**(grid + 32 j) and stays so small beside it that
adding is exact; what no limb of sensible size can hold is kept as a fraction. Which grid is chosen changes nothing.
"""

import math
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s
from weft.stream.aggregate.tally import Saved, grown

Floats = npt.NDArray[np.float64]

_WIDTH: Final = 32
"""Bits from one limb to the next."""
_FIRST_BITS: Final = 27
"""How many bits of the largest of the first values the first limb takes: with the next limb's 32 that is any float's 53, and
values down to a 64th of it need no third."""
_MOST_BITS: Final = 34
"""How many bits of a value a limb may take; with 2**16 events at a time that stays below `_ROOM`."""
_ROOM: Final = 2.0**51
"""How many units a limb may hold: adding is exact below 2**53, cutting off a multiple of a larger unit below 2**51."""
_SETTLED: Final = 2.0 ** (_WIDTH - 1)
"""How many units a limb holds at most when what fills it was carried to the next one."""
_AT_A_TIME: Final = 1 << 16
_USUAL_EXPONENT: Final = 900
"""Values beyond 2**900, and what is left of them below 2**-900, are kept as fractions."""
_SPLITTER: Final = 2.0**27 + 1


class ExactSums:
    """An exact sum for each cell."""

    def __init__(self) -> None:
        self._cells = 0
        self._grid: int | None = None
        self._limbs: dict[int, Floats] = {}
        self._held: dict[int, float] = {}  # for each limb the most units a cell can hold by now
        self._rest: dict[int, Fraction] = {}  # by cell

    @property
    def size_bytes(self) -> int:
        """Eight bytes for each cell and limb."""
        return sum(limb.nbytes for limb in self._limbs.values()) + 300 * len(self._rest)

    def grow(self, cells: int) -> None:
        """Make room."""
        self._cells = cells
        for j, limb in self._limbs.items():
            self._limbs[j] = grown(limb, cells, 0.0)

    def add(self, cells: Int64s, values: Floats) -> None:
        """Add finite values to cells."""
        for start in range(0, len(values), _AT_A_TIME):
            self._add(cells[start : start + _AT_A_TIME], values[start : start + _AT_A_TIME])

    def add_fraction(self, cell: int, value: Fraction) -> None:
        """Add a value that may be no float."""
        self._rest[cell] = self._rest.get(cell, Fraction(0)) + value

    def _add(self, cells: Int64s, values: Floats) -> None:
        exponent = math.frexp(max(float(values.max()), -float(values.min())))[1]
        if exponent > _USUAL_EXPONENT:
            usual = np.abs(values) < 2.0 ** (_USUAL_EXPONENT - 1)
            self._add_fractions(cells[~usual], values[~usual])
            cells, values = cells[usual], values[usual]
            if len(values):
                self._add(cells, values)
            return
        if self._grid is None:
            self._grid = exponent - _FIRST_BITS
        j = -((self._grid + _MOST_BITS - exponent) // _WIDTH)
        self._split(cells, values, j, max(exponent - self._unit(j), 0))

    def _split(self, cells: Int64s, values: Floats, j: int, bits: int) -> None:
        """Add to limb j what of the values is a multiple of its unit, and what is left to the next lower ones.

        No value is larger than 2**bits units of limb j.
        """
        while self._unit(j) >= -_USUAL_EXPONENT:
            shift = math.ldexp(1.5, self._unit(j) + 52)
            part = values + shift
            part -= shift
            np.add.at(self._limb(j, math.ldexp(len(values), bits)), cells, part)
            values = np.subtract(values, part, out=part)
            is_left = values != 0
            left = int(np.count_nonzero(is_left))
            if not left:
                return
            if left * 4 < len(values):
                places = np.flatnonzero(is_left)
                cells, values = cells[places], values[places]
            j, bits = j - 1, _WIDTH - 1
        self._add_fractions(cells, values)

    def _limb(self, j: int, more: float) -> Floats:
        """Limb j, ready to take so many more units without rounding."""
        if j not in self._limbs:
            self._limbs[j] = np.zeros(self._cells, dtype=np.float64)
            self._held[j] = 0.0
        if self._held[j] + more > _ROOM:
            self._carry(j)
        self._held[j] += more
        return self._limbs[j]

    def _carry(self, j: int) -> None:
        """Move what fills limb j up to the next one."""
        limb = self._limbs[j]
        if self._unit(j + 1) > _USUAL_EXPONENT + _WIDTH:
            cells = np.flatnonzero(limb)
            self._add_fractions(cells, limb[cells])
            limb[cells] = 0.0
            self._held[j] = 0.0
            return
        shift = math.ldexp(1.5, self._unit(j + 1) + 52)
        part = (limb + shift) - shift
        units = math.ldexp(max(float(part.max()), -float(part.min())), -self._unit(j + 1))
        if units:
            above = self._limb(j + 1, units)
            above += part
            limb -= part
        self._held[j] = _SETTLED

    def _add_fractions(self, cells: Int64s, values: Floats) -> None:
        for cell, value in zip(cells.tolist(), values.tolist(), strict=True):
            self.add_fraction(cell, Fraction(value))

    def _unit(self, j: int) -> int:
        """The exponent of limb j's unit."""
        return (self._grid or 0) + _WIDTH * j

    def merge(self, into: Int64s, other: Int64s) -> None:
        """Add the sums of other cells to these."""
        for start in range(0, len(into), _AT_A_TIME):
            self._merge(into[start : start + _AT_A_TIME], other[start : start + _AT_A_TIME])

    def _merge(self, into: Int64s, other: Int64s) -> None:
        if max(self._held.values(), default=0.0) * (1 + len(into)) > _ROOM:
            for j in sorted(self._limbs):
                self._carry(j)
        for j, limb in self._limbs.items():
            np.add.at(limb, into, limb[other])
            self._held[j] *= 1 + len(into)
        if self._rest:
            for target, cell in zip(into.tolist(), other.tolist(), strict=True):
                if cell in self._rest:
                    self.add_fraction(target, self._rest[cell])

    def clear(self, cells: Int64s) -> None:
        """Back to 0."""
        for limb in self._limbs.values():
            limb[cells] = 0.0
        if self._rest:
            for cell in cells.tolist():
                self._rest.pop(cell, None)

    def _read(self, cells: Int64s) -> list[Floats]:
        """Floats whose exact sum is that of each cell, the rest apart; the largest first. At least one."""
        found = (self._limbs[j][cells] for j in sorted(self._limbs, reverse=True))
        return [limb for limb in found if limb.any()] or [np.zeros(len(cells), dtype=np.float64)]

    def _places_with_rest(self, cells: Int64s) -> list[int]:
        return [place for place, cell in enumerate(cells.tolist()) if cell in self._rest] if self._rest else []

    def fractions(self, cells: Int64s) -> list[Fraction]:
        """The exact sum of each cell."""
        columns = [limb.tolist() for limb in self._read(cells)]
        return [
            sum((Fraction(column[place]) for column in columns), self._rest.get(cell, Fraction(0)))
            for place, cell in enumerate(cells.tolist())
        ]

    def rounded(self, cells: Int64s) -> Floats:
        """The float nearest to each sum; infinite where it is beyond all floats."""
        limbs = self._read(cells)
        if len(limbs) <= 2:
            sums = limbs[0] if len(limbs) == 1 else limbs[0] + limbs[1]
        else:
            sums = np.fromiter(map(math.fsum, zip(*(limb.tolist() for limb in limbs), strict=True)), np.float64, len(cells))
        for place in self._places_with_rest(cells):
            sums[place] = nearest(self.fractions(cells[place : place + 1])[0])
        return sums

    def means(self, cells: Int64s, counts: Int64s) -> Floats:
        """The float nearest to each sum divided by its count, which is not 0."""
        limbs = self._read(cells)
        if len(limbs) == 1:
            means = limbs[0] / counts
            doubtful = np.zeros(0, dtype=np.int64)
        else:
            means, doubtful = _divide(limbs, counts.astype(np.float64))
        slow = sorted({*doubtful.tolist(), *self._places_with_rest(cells)})
        for place, exact in zip(slow, self.fractions(cells[slow]), strict=True):
            means[place] = nearest(exact / int(counts[place]))
        return means

    def save(self, cells: Int64s) -> Saved:
        """Limbs and rest of these cells."""
        places = self._places_with_rest(cells)
        return {
            "grid": self._grid,
            "limbs": [[j, self._held[j], limb[cells]] for j, limb in self._limbs.items()],
            "rest": [[place, str(self._rest[int(cells[place])])] for place in places],
        }

    def load(self, cells: int, saved: Saved) -> None:
        """Hold what was saved."""
        self._cells = cells
        self._grid = saved["grid"]
        self._limbs = {j: grown(limb, cells, 0.0) for j, _, limb in saved["limbs"]}
        self._held = {j: held for j, held, _ in saved["limbs"]}
        self._rest = {place: Fraction(text) for place, text in saved["rest"]}


def nearest(exact: Fraction) -> float:
    """The float nearest to a fraction; infinite where it is beyond all floats."""
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def two_sum(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """The rounded sum, and what rounding took away (Knuth)."""
    total = left + right
    other = total - left
    return total, (left - (total - other)) + (right - other)


def two_product(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """The rounded product, and what rounding took away (Dekker). Only for what stays far from the ends of the floats."""
    product = left * right
    left_high, left_low = _halves(left)
    right_high, right_low = _halves(right)
    error = ((left_high * right_high - product) + left_high * right_low + left_low * right_high) + left_low * right_low
    return product, error


def _halves(values: Floats) -> tuple[Floats, Floats]:
    spread = values * _SPLITTER
    high = spread - (spread - values)
    return high, values - high


def _divide(limbs: list[Floats], counts: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The exact sum of limbs divided by counts and rounded, and where this arithmetic cannot be sure of the last bit."""
    high, low = two_sum(limbs[0], limbs[1])
    lost = np.zeros(len(high), dtype=np.bool_)
    for limb in limbs[2:]:
        low, error = two_sum(low, limb)
        lost |= error != 0
    high, low = two_sum(high, low)
    quotient = high / counts
    product, error = two_product(quotient, counts)
    left, inexact = two_sum((high - product) - error, low)
    correction = left / counts
    product, error = two_product(correction, counts)
    whole = (product == left) & (error == 0) & (inexact == 0)  # then one addition rounds right, ties too
    means, error = two_sum(quotient, correction)
    half = np.abs(np.spacing(means)) / 2
    mantissa, exponent = np.frexp(means)
    tie = np.abs(np.abs(error) - half) <= half * 2.0**-30
    edge = (np.abs(mantissa) == 0.5) & (error != 0)
    extreme = np.abs(exponent) > _USUAL_EXPONENT
    return means, np.flatnonzero((lost | ((tie | edge) & ~whole) | extreme) & (means != 0))
