"""Histograms: quantiles that are near enough, and the same however the values came."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.stream.aggregate.histogram import Histogram

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.fractions(min_value=Fraction(1, 1000), max_value=1)


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values, dtype=np.float64))
    return histogram


@given(st.lists(FINITE, min_size=1, max_size=200), SHARES)
def test_a_quantile_is_at_most_a_five_hundredth_away_from_the_true_one(values: list[float], share: Fraction) -> None:
    ordered = sorted(values)
    true = ordered[-(-len(ordered) * share.numerator // share.denominator) - 1]

    assert of(values).value(share) == pytest.approx(true, rel=0.002, abs=1e-300)


@given(st.lists(FINITE, min_size=2, max_size=100), st.data())
def test_cutting_and_putting_together_and_saving_change_nothing(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    shuffled = data.draw(st.permutations(values))
    whole, first, second = of(values), of(shuffled[:cut]), of(shuffled[cut:])
    first.merge(Histogram.load(second.save()))

    for share in (Fraction(1, 100), Fraction(1, 2), Fraction(99, 100), Fraction(1)):
        assert first.value(share) == whole.value(share)
    assert first.size_bytes == whole.size_bytes


def test_one_value_is_told_exactly_and_there_is_one_zero() -> None:
    assert of([20.123] * 5).value(Fraction(1, 2)) == 20.123
    assert str(of([-0.0, 0.0, 0.0]).value(Fraction(1, 2))) == "0.0"
    assert of([-1.0, 0.0, 1.0]).value(Fraction(1, 2)) == 0.0
