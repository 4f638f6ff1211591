"""The definition of a query: what is wrong is named by its field, and what is right comes back as it was written."""

from typing import Any

import pytest

from weft.core.errors import Invalid
from weft.stream.engine.plan import plan
from weft.stream.query import read_query

WHOLE: dict[str, Any] = {
    "name": "errors-by-room",
    "from": "events",
    "where": "type == 'error'",
    "key": ["data.room"],
    "window": {"sliding": "10m", "slide": "1m"},
    "lateness": "30s",
    "select": {"n": "count", "worst": "max(value)"},
    "having": "n > 3",
    "emit": "revisions",
    "every": "10s",
    "start": "earliest",
    "description": "Errors",
}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in WHOLE.items() if name not in names}


def test_a_definition_comes_back_as_it_was_written() -> None:
    assert read_query(WHOLE).written() == WHOLE


@pytest.mark.parametrize("window", ["5m", {"sliding": "10m", "slide": "1m"}, {"session": "30s"}])
def test_every_form_of_window_comes_back(window: object) -> None:
    written = {"name": "q", "from": "events", "window": window, "select": {"n": "count"}}

    assert read_query(written).written() == written


def test_a_tumbling_window_may_be_said_in_two_ways() -> None:
    long = read_query({"name": "q", "from": "events", "window": {"tumbling": "5m"}, "select": {"n": "count"}})

    assert long.window.written() == "5m"
    assert long == read_query(long.written())


def test_what_is_not_said_has_a_stated_value() -> None:
    query = read_query(without("where", "key", "lateness", "having", "emit", "every", "start", "description"))

    assert (query.lateness_us, query.every_us, query.emit, query.start, query.key) == (0, None, "final", "latest", ())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Errors"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": None}, "name"),
        ({"from": "../x"}, "from"),
        ({"from": "analytics.errors-by-room"}, "from"),
        ({"window": None}, "window"),
        ({"window": "90"}, "window.tumbling"),
        ({"window": {"sliding": "10m"}}, "window.slide"),
        ({"window": {"sliding": "10m", "slide": "3m"}}, "window.slide"),
        ({"window": {"sliding": "31d", "slide": "1s"}}, "window.slide"),
        ({"window": {"tumbling": "5m", "slide": "1m"}}, "window.slide"),
        ({"window": {"session": "5m", "tumbling": "1m"}}, "window"),
        ({"window": {"tumbling": "5m", "offset": "1m"}}, "window"),
        ({"window": 300}, "window"),
        ({"window": {"session": "30s"}, "every": None}, "emit"),
        ({"window": {"session": "30s"}, "emit": "final"}, "every"),
        ({"lateness": "-5s"}, "lateness"),
        ({"every": "7s"}, "every"),
        ({"every": "2m"}, "every"),
        ({"emit": "sometimes"}, "emit"),
        ({"start": "now"}, "start"),
        ({"key": ["a", "a"]}, "key"),
        ({"key": [f"k{number}" for number in range(9)]}, "key"),
        ({"key": [7]}, "key"),
        ({"select": {}}, "select"),
        ({"select": {"N": "count"}}, "select"),
        ({"select": {"n": 5}}, "select.n"),
        ({"select": {f"n{number}": "count" for number in range(65)}}, "select"),
        ({"where": ""}, "where"),
        ({"where": 5}, "where"),
        ({"description": "x" * 1001}, "description"),
        ({"group_by": "source"}, "group_by"),
    ],
)
def test_a_fault_names_its_field(change: dict[str, Any], field: str) -> None:
    written = {name: value for name, value in (WHOLE | change).items() if value is not None}

    with pytest.raises(Invalid) as refused:
        read_query(written)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"where": "value >"}, "where"),
        ({"where": "avg(value) > 5"}, "where"),
        ({"select": {"n": "countt"}, "having": None}, "select.n"),
        ({"select": {"n": "value"}, "having": None}, "select.n"),
        ({"having": "m > 3"}, "having"),
        ({"having": "n"}, "having"),
        ({"key": ["tags"]}, "key"),
        ({"key": ["source) == text(subject"]}, "key"),
        ({"key": ["lower(source)"]}, "key"),
    ],
)
def test_a_fault_in_an_expression_names_its_field_when_it_is_to_run(change: dict[str, Any], field: str) -> None:
    query = read_query({name: value for name, value in (WHOLE | change).items() if value is not None})

    with pytest.raises(Invalid) as refused:
        plan(query, 1)

    assert refused.value.field == field


def test_queries_that_may_share_a_pass_are_told_from_those_that_may_not() -> None:
    def pass_key(**change: Any) -> object:
        return plan(read_query(WHOLE | change), 1).pass_key

    assert pass_key() == pass_key(where="type == 'warning'", select={"n": "count", "low": "min(value)"})
    assert pass_key() != pass_key(key=["source"])
    assert pass_key() != pass_key(lateness="31s")

    def session(where: str) -> object:
        return plan(read_query(without("emit", "every") | {"window": {"session": "30s"}, "where": where}), 1).pass_key

    assert session("type == 'error'") == session("type=='error'")
    assert session("type == 'error'") != session("type == 'warning'"), "sessions are made of the events that count"
