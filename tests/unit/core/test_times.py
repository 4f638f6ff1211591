"""Times: a reading must not move by a microsecond or an hour between the door and the answer."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core import times
from weft.core.errors import Invalid


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 - zone added below
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_survives_text_and_back_in_any_zone(moment: datetime, offset_min: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    time_us = times.from_datetime(aware)
    assert times.to_datetime(time_us) == aware
    assert times.parse(aware.isoformat()) == time_us
    assert times.parse(times.to_text(time_us)) == time_us


def test_times_before_1970_are_counted_downward() -> None:
    assert times.parse("1969-12-31T23:59:59.999999Z") == -1


def test_text_is_utc_and_ends_in_z() -> None:
    assert times.to_text(times.parse("2026-01-31T13:00:00+01:00")) == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "2026-01-31", "yesterday", "", "2026-13-01T00:00:00Z"])
def test_a_time_that_could_mean_two_moments_is_refused_and_the_field_named(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        times.parse(text, field="start")
    assert refusal.value.field == "start"


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(Invalid):
        times.from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
    assert times.from_datetime(datetime(1970, 1, 1, tzinfo=UTC)) == 0
