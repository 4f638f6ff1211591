"""Sums of floats: the last bit is right and the order of values makes no difference."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.stream.aggregate.exact import ExactSums, nearest

USUAL = st.floats(-1e6, 1e6, allow_nan=False)
WIDE = st.floats(allow_nan=False, allow_infinity=False)
HARD = st.sampled_from([1e308, -1e308, 5e-324, 1e16, 1.0, -1e16, 0.1, 2.0**-900, 2.0**900, 1.7976931348623157e308])
PARTS = st.lists(st.lists(st.tuples(st.integers(0, 3), st.one_of(USUAL, WIDE, HARD)), min_size=1, max_size=12), max_size=6)
ALL = np.arange(4)


def added(parts: list[list[tuple[int, float]]]) -> tuple[ExactSums, list[Fraction], list[int]]:
    sums, exact, counts = ExactSums(), [Fraction(0)] * 4, [0] * 4
    sums.grow(4)
    for part in parts:
        sums.add(np.array([cell for cell, _ in part]), np.array([value for _, value in part]))
        for cell, value in part:
            exact[cell] += Fraction(value)
            counts[cell] += 1
    return sums, exact, counts


@given(PARTS)
def test_sums_and_means_are_rounded_once(parts: list[list[tuple[int, float]]]) -> None:
    sums, exact, counts = added(parts)
    divisors = np.maximum(np.array(counts), 1)

    assert sums.fractions(ALL) == exact
    assert sums.rounded(ALL).tolist() == [nearest(value) for value in exact]
    assert sums.means(ALL, divisors).tolist() == [nearest(value / int(n)) for value, n in zip(exact, divisors, strict=True)]


@given(PARTS, PARTS)
def test_cells_are_merged_saved_and_cleared_without_rounding(
    first: list[list[tuple[int, float]]], second: list[list[tuple[int, float]]]
) -> None:
    sums, exact, _ = added(first)
    sums.merge(np.array([0, 0]), np.array([1, 2]))
    exact[0] += exact[1] + exact[2]
    sums.clear(np.array([1]))
    exact[1] = Fraction(0)
    loaded = ExactSums()
    loaded.load(4, sums.save(ALL))
    for part in second:
        loaded.add(np.array([cell for cell, _ in part]), np.array([value for _, value in part]))
        for cell, value in part:
            exact[cell] += Fraction(value)

    assert loaded.fractions(ALL) == exact


@pytest.mark.parametrize("exponent", [-30, 0, 200])
def test_a_million_values_in_one_cell_stay_exact(exponent: int) -> None:
    """A limb is full long before it overflows; what fills it moves up."""
    chance = np.random.default_rng(exponent + 100)
    sums, exact, one = ExactSums(), 0, np.array([0])
    sums.grow(1)
    for step in range(40):
        whole = chance.integers(-(2**52), 2**53, 70_000)
        sums.add(np.zeros(len(whole), dtype=np.int64), whole * 2.0**exponent)
        exact += sum(whole.tolist())
        if step % 10 == 0:
            sums.merge(one, one)
            exact *= 2

    assert sums.fractions(one) == [exact * Fraction(2) ** exponent]


def test_a_sum_beyond_all_floats_is_infinite_and_comes_back() -> None:
    sums = ExactSums()
    sums.grow(1)
    sums.add(np.zeros(3, dtype=np.int64), np.array([1.7e308, 1.7e308, 1.0]))
    assert sums.rounded(np.array([0])).tolist() == [np.inf]

    sums.add(np.zeros(2, dtype=np.int64), np.array([-1.7e308, -1.7e308]))
    assert sums.rounded(np.array([0])).tolist() == [1.0]


@pytest.mark.parametrize("values", [[0.1] * 10, [1e16, 1.0, -1e16], [1e308, 1e-308, -1e308]])
def test_what_a_loop_gets_wrong_is_right(values: list[float]) -> None:
    sums = ExactSums()
    sums.grow(1)
    sums.add(np.zeros(len(values), dtype=np.int64), np.array(values))

    assert sums.rounded(np.array([0])).tolist() == [nearest(sum(map(Fraction, values), Fraction(0)))]
