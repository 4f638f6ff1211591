"""What a question may say, and what it then asks the store."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from weft.core import times
from weft.core.errors import Invalid, Malformed
from weft.core.times import HOUR_US
from weft.query.parameters import AggregationsQuery, EventsQuery, HistoryQuery, SeriesQuery, data_value

START = "2026-01-31T12:00:00Z"
END = "2026-01-31T13:00:00Z"
START_US = times.parse(START)


def events(**given: Any) -> EventsQuery:
    return EventsQuery.model_validate(given)


@pytest.mark.contract("SF-D39")
def test_the_end_of_an_events_query_belongs_to_it() -> None:
    asked = events(start=START, end=START).filter()

    assert (asked.start_us, asked.end_us) == (START_US, START_US + 1), "an event of exactly `end` would be left out"


def test_a_range_that_runs_backward_contradicts_itself() -> None:
    with pytest.raises(Malformed, match="after end"):
        events(start=END, end=START)
    with pytest.raises(Malformed):
        HistoryQuery.model_validate({"start": END, "end": START})
    with pytest.raises(Malformed):
        SeriesQuery.model_validate({"from": START, "to": START, "field": "data.x"})


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31", "2026-01-31T12:00:00", "", "1780000000", "2026-13-01T00:00:00Z"])
def test_a_time_without_an_offset_or_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        events(start=text)
    assert refused.value.errors()[0]["loc"] == ("start",)


def test_a_plus_sign_that_a_url_turned_into_a_space_is_understood() -> None:
    assert events(start="2026-01-31T13:00:00 01:00").start == START_US


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(Invalid) as refused:
        events(tpye="web.click")
    assert refused.value.field == "tpye"
    assert {"type", "start", "end", "page", "limit", "data.<path>"} <= set(refused.value.details["allowed_values"])


def test_a_series_lists_its_parameters_by_their_names_in_the_url() -> None:
    with pytest.raises(Invalid) as refused:
        SeriesQuery.model_validate({"from": START, "to": END, "field": "data.x", "start": START})
    assert "from" in refused.value.details["allowed_values"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("200", 200.0),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ('"200"', "200"),
        ('"a\\"b"', 'a"b'),
        ('"', '"'),
        ('"a"b"', '"a"b"'),
        ("007", "007"),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("", ""),
        ("null", "null"),
    ],
)
def test_a_condition_on_data_compares_with_what_the_text_looks_like(text: str, value: object) -> None:
    found = data_value("data.x", text)

    assert found == value
    assert type(found) is type(value)


@given(st.text(max_size=30))
def test_any_text_in_quotes_is_that_text(text: str) -> None:
    assert data_value("data.x", json.dumps(text)) == text


def test_conditions_on_data_are_given_by_their_path() -> None:
    asked = events(**{"data.sensor.value": "3", "data.page": "/home"}).filter()

    assert asked.data == (("sensor.value", 3.0), ("page", "/home"))


@pytest.mark.parametrize("name", ["data.", "data..x", "data.x.", 'data.a"b', "data." + ".".join("abcdefghijklmnopqrst")])
def test_a_path_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        events(**{name: "1"}).filter()


def test_a_condition_given_twice_contradicts_itself() -> None:
    with pytest.raises(Malformed):
        events(**{"data.x": ["1", "2"]}).filter()


def test_more_conditions_than_a_person_writes_are_refused() -> None:
    with pytest.raises(Invalid):
        events(**{f"data.x{number}": "1" for number in range(17)})


@pytest.mark.contract("SF-87", "SF-88")
def test_a_page_skips_the_pages_before_it_and_counts_the_total() -> None:
    select = events(page=3, limit=20).select(1000)

    assert (select.skip, select.limit, select.with_total, select.after) == (40, 20, True, None)
    assert (events().select(0).limit, events().select(0).skip) == (100, 0)


@pytest.mark.parametrize("given", [{"page": 0}, {"page": -1}, {"limit": 0}, {"limit": 1001}, {"page": "x"}, {"order": "up"}])
def test_a_page_outside_the_bounds_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        events(**given)
    assert refused.value.errors()[0]["loc"] == (next(iter(given)),)


def test_a_page_deeper_than_pages_reach_is_refused_with_the_way_on() -> None:
    with pytest.raises(Invalid, match="cursor") as refused:
        events(page=12, limit=100).select(1000)
    assert refused.value.details["highest"] == 11


def test_a_cursor_counts_no_total_and_excludes_a_page_number() -> None:
    assert events(cursor="abc").select(0).after == "abc"
    assert not events(cursor="abc").select(0).with_total
    first = events(cursor="").select(0)
    assert (first.after, first.with_total) == (None, False)
    with pytest.raises(Malformed):
        events(cursor="abc", page=2)


@pytest.mark.contract("SF-97", "SF-98", "SF-D41")
def test_an_aggregation_counts_by_type_unless_told_otherwise() -> None:
    asked = AggregationsQuery().aggregate()

    assert (asked.metric, asked.group_by, asked.field) == ("count", ("type",), None)


@pytest.mark.contract("SF-97", "SF-98", "SF-D41")
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"group_by": ["colour"]}, "group_by"),
        ({"group_by": ["data."]}, None),
        ({"metric": "sum"}, "field"),
        ({"metric": "p99"}, None),
    ],
)
def test_an_aggregation_that_cannot_be_is_refused(given: dict[str, Any], field: str | None) -> None:
    with pytest.raises((Invalid, ValidationError)) as refused:
        AggregationsQuery.model_validate(given)
    if isinstance(refused.value, Invalid):
        assert refused.value.field == field


@pytest.mark.parametrize("given", [{"group_by": ["interval"]}, {"interval": "5m"}, {"group_by": ["type", "type"]}])
def test_an_aggregation_that_contradicts_itself_is_malformed(given: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        AggregationsQuery.model_validate(given)


def test_the_total_of_an_aggregation_has_no_groups() -> None:
    query = AggregationsQuery.model_validate({"metric": "avg", "field": "data.x", "group_by": ["interval"], "interval": "1h"})

    assert query.aggregate().interval_us == HOUR_US
    assert query.aggregate(grouped=False).group_by == ()
