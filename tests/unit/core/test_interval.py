"""Intervals are written one way, so that a typing error never becomes another interval."""

import pytest

from weft.core.errors import Invalid
from weft.core.interval import parse_interval
from weft.core.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US


@pytest.mark.contract("SF-D25", "SF-137")
@pytest.mark.parametrize(
    ("text", "interval_us"),
    [("1s", SECOND_US), ("90s", 90 * SECOND_US), ("5m", 5 * MINUTE_US), ("1h", HOUR_US), ("31d", 31 * DAY_US)],
)
def test_a_number_and_a_unit_are_an_interval(text: str, interval_us: int) -> None:
    assert parse_interval(text) == interval_us


@pytest.mark.contract("SF-D25", "SF-137")
@pytest.mark.parametrize(
    "text",
    ["", "5", "h", "-3m", "+3m", "0s", "05m", "5 m", " 5m", "5m\n", "1.5h", "5w", "5M", "\u0665m", "1e3s", "9" * 40 + "s"],
)
def test_anything_else_is_refused_and_the_field_is_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_interval(text, field="window")
    assert refused.value.field == "window"


@pytest.mark.contract("SF-D25")
@pytest.mark.parametrize("text", ["32d", "745h", "2678401s"])
def test_longer_than_31_days_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="31d"):
        parse_interval(text)
