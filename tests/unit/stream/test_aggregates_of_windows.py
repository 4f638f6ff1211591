"""Each aggregate gives what its values say: in one pane, over panes and sessions put together, and after a restart."""

import math
import random
from typing import Any

import numpy as np
import pytest

from tests.unit.stream.engine import EngineUnderTest, event
from weft.core.times import SECOND_US
from weft.stream.aggregate.distinct import MOST_EXACT as MOST_DISTINCT
from weft.stream.aggregate.quantile import MOST_EXACT as MOST_VALUES

WINDOWS: list[Any] = ["60s", {"sliding": "60s", "slide": "10s"}, {"session": "30s"}]
READINGS = [(1, 4), (5, None), (9, "x"), (12, 0.5), (25, 8), (26, -3), (49, 4)]
"""Seconds and values; the window from 0 to 60, and one session."""


def answer(select: str, readings: list[tuple[float, Any]], window: Any, *, where: str | None = None) -> Any:
    """The value for the events of the first minute, which come in two batches with a restart between them, out of order."""
    query = {"window": window, "select": {"value": select}} | ({} if where is None else {"where": where})
    engine = EngineUnderTest(query, bound_us=100 * SECOND_US)
    shuffled = random.Random(1).sample(readings, len(readings))
    half = len(shuffled) // 2
    engine.take([event(time_s, value=value) for time_s, value in shuffled[:half]])
    engine.restart()
    engine.take([event(time_s, value=value) for time_s, value in shuffled[half:]])
    whole = [result for result in engine.tick(10_000 * SECOND_US) if result.events == max(1, len(readings)) or where]
    return whole[0].values["value"]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("count", 7),
        ("count(value)", 6),
        ("sum(value)", 13.5),
        ("avg(value)", 2.7),
        ("min(value)", -3.0),
        ("max(value)", 8.0),
        ("stddev(value)", math.sqrt(np.var([4, 0.5, 8, -3, 4]))),
        ("first(number(value))", 4.0),
        ("last(abs(value))", 4.0),
        ("delta(value)", 0.0),
        ("distinct(number(value))", 4),
        ("p50(value)", 4.0),
        ("p1(value)", -3.0),
        ("p99.9(value)", 8.0),
        ("ratio(value > 3, count)", 3 / 7),
        ("absent(value)", False),
        ("absent where value > 100", True),
        ("max(value) - min(value)", 11.0),
        ("sum(value where value > 100)", None),
        ("p50(value where value > 100)", None),
        ("stddev(value where value > 100)", None),
        ("first(number(value) where value > 100)", None),
        ("avg(value) / count(where value > 100)", None),
    ],
)
def test_an_aggregate_of_known_values(select: str, expected: Any, window: Any) -> None:
    assert answer(select, READINGS, window) == expected


def test_rates_are_for_each_second_of_the_window() -> None:
    assert answer("rate()", READINGS, "60s") == 7 / 60
    assert answer("rate(value)", [(1, 10), (5, 40), (9, 5), (12, 20)], "60s") == (30 + 5 + 15) / 60
    assert answer("rate(value)", [(1, 10)], "60s") is None


def test_first_and_last_are_told_by_time_then_partition_then_offset() -> None:
    engine = EngineUnderTest(
        {"window": "60s", "select": {"first": "first(subject)", "last": "last(subject)", "value": "last(abs(value))"}},
        bound_us=60 * SECOND_US,
    )
    engine.take([(SECOND_US, event(0)[1] | {"subject": name}) for name in ("d", "e")], partition=1)
    engine.take([(SECOND_US, event(0, value=5)[1] | {"subject": name}) for name in ("b", "c")], partition=0)
    engine.tick(1_000 * SECOND_US, partition=0)
    (result,) = engine.tick(1_000 * SECOND_US, partition=1)

    assert result.values == {"first": "b", "last": "e", "value": 5.0}


def test_a_sum_no_float_can_hold_is_unknown_not_infinite() -> None:
    readings: list[tuple[float, Any]] = [(1, 1.7e308), (2, 1.7e308)]

    assert answer("sum(value)", readings, "60s") is None
    assert answer("avg(value)", readings, "60s") == 1.7e308
    assert answer("delta(value)", [(1, -1.7e308), (2, 1.7e308)], "60s") is None


def test_one_tenth_ten_times_is_one() -> None:
    assert answer("sum(value)", [(second, 0.1) for second in range(10)], "60s") == 1.0


def test_many_different_values_are_estimated_within_what_is_promised_whatever_their_order() -> None:
    many = MOST_DISTINCT * 20
    readings = [(second / 1_000, second) for second in range(many)]
    found = answer("distinct(number(value))", readings, "60s")

    assert found == pytest.approx(many, rel=0.05)
    assert found == answer("distinct(number(value))", readings[::-1], "60s")
    assert answer("distinct(number(value))", readings[:MOST_DISTINCT], "60s") == MOST_DISTINCT


def test_percentiles_of_many_values_are_within_what_is_promised_whatever_their_order() -> None:
    many = MOST_VALUES * 20
    readings = [(second / 1_000, second) for second in range(many)]

    for share, name in ((0.5, "p50"), (0.99, "p99")):
        found = answer(f"{name}(value)", readings, "60s")
        assert found == pytest.approx(share * many, rel=0.002)
        assert found == answer(f"{name}(value)", readings[::-1], "60s")
    assert answer("p50(value)", readings[:MOST_VALUES], "60s") == MOST_VALUES // 2 - 1
