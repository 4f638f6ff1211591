"""A column of times gives what the single texts give, or nothing: a wrong guess would move events in time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.core import times
from weft.core.errors import Invalid
from weft.ingest.time_column import FEWEST, parse_column, parse_each

FIRST, LAST = datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30")
MOMENTS = st.datetimes(min_value=FIRST, max_value=LAST)
ZONES = st.sampled_from(["Z", "+00:00", "-00:00", "+01:00", "-09:30", "+14:00", "+23:59", "-23:59"])


def written(moment: datetime, fraction: int, zone: str) -> str:
    text = moment.strftime("%m-%dT%H:%M:%S")
    digits = f"{moment.microsecond:06d}123"[:fraction]
    return f"{moment.year:04d}-{text}{'.' if fraction else ''}{digits}{zone}"


@given(st.lists(MOMENTS, min_size=FEWEST, max_size=40), st.integers(0, 9), ZONES)
def test_a_uniform_column_is_parsed_at_once_and_right(moments: list[datetime], fraction: int, zone: str) -> None:
    texts = [written(moment, fraction, zone) for moment in moments]
    parsed = parse_column(texts)
    assert parsed is not None
    assert parsed.tolist() == [times.parse(text) for text in texts]


@given(st.dates(min_value=FIRST.date()), st.lists(st.times(), min_size=FEWEST, max_size=40))
def test_times_of_one_day_are_right(day: object, clock_times: list[object]) -> None:
    texts = [f"{day}T{clock_time:%H:%M:%S}Z" for clock_time in clock_times]
    parsed = parse_column(texts)
    assert parsed is not None
    assert parsed.tolist() == [times.parse(text) for text in texts]


GOOD = "2024-02-28T23:59:58.123456Z"
BAD = [
    "2023-02-29T23:59:58.123456Z",
    "2024-02-30T23:59:58.123456Z",
    "2024-13-01T23:59:58.123456Z",
    "2024-00-01T23:59:58.123456Z",
    "2024-01-00T23:59:58.123456Z",
    "2024-01-32T23:59:58.123456Z",
    "0000-01-01T23:59:58.123456Z",
    "1900-02-29T23:59:58.123456Z",
    "2024-01-01T24:59:58.123456Z",
    "2024-01-01T30:59:58.123456Z",
    "2024-01-01T23:60:58.123456Z",
    "2024-01-01T23:59:60.123456Z",
    "2024-01-01T23:59:58.12345xZ",
    "2024-01-01T23:59:58,123456Z",
    "2024-01-01 23:59:58.123456Z",
    "2024-01-01T23-59-58.123456Z",
    "2024-01-01T23:59:58.123456z",
    "2024-01-01T23:59:58.1234567",
    "+024-01-01T23:59:58.123456Z",
    "\uff12024-01-01T23:59:58.123456Z",
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 7, FEWEST - 1])
def test_one_doubtful_text_leaves_the_whole_column_to_the_slow_way(bad: str, place: int) -> None:
    texts = [GOOD] * FEWEST
    texts[place] = bad
    parsed = parse_column(texts)
    assert parsed is None or parsed.tolist() == parse_each(texts).tolist()
    with pytest.raises(Invalid):
        parse_each([*texts[:place], "nonsense", *texts[place + 1 :]])


def test_neighbours_that_lend_each_other_a_character_are_not_taken_for_good() -> None:
    texts = [GOOD] * FEWEST
    texts[3] = GOOD[:-1]
    texts[4] = "Z" + GOOD
    assert "".join(texts) == GOOD * FEWEST
    assert parse_column(texts) is None


@pytest.mark.parametrize("zone", ["+24:00", "+1:000", "+01.00", "+aa:bb", "+-1:00", " 01:00"])
def test_a_zone_that_is_none_is_left_to_the_slow_way(zone: str) -> None:
    texts = [f"2024-01-01T00:00:00{zone}"] * FEWEST
    assert parse_column(texts) is None


def test_leap_days_are_known() -> None:
    texts = [f"{year:04d}-02-29T00:00:00Z" for year in range(4, 2400, 4) if year % 100 or year % 400 == 0]
    parsed = parse_column(texts)
    assert parsed is not None
    expected = [(datetime(int(text[:4]), 2, 29, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) for text in texts]
    assert parsed.tolist() == [delta // timedelta(microseconds=1) for delta in expected]


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_any_text_is_parsed_right_or_left_alone(text: str) -> None:
    parsed = parse_column([text] * FEWEST) if text else None
    if parsed is not None:
        assert parsed.tolist() == [times.parse(text)] * FEWEST


def test_zones_are_subtracted() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 1, 1, 3, 0, tzinfo=zone)
    parsed = parse_column(["2026-01-01T03:00:00+05:30"] * FEWEST)
    assert parsed is not None
    assert parsed[0] == times.from_datetime(moment)
