"""What an expression is worth: on columns, on one row and by a naive oracle it must be the same."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stream.expression.columns import columns_of, values_of
from tests.unit.stream.expression.written import EVENTS, Written, conditions, numbers, texts
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.evaluate import evaluate, evaluate_row, select, trace
from weft.stream.expression.names import EventNames

EXPRESSIONS = st.one_of(conditions(3), numbers(3), texts(2))


@given(EXPRESSIONS, st.lists(EVENTS, max_size=6))
def test_columns_rows_and_the_oracle_agree(written: Written, events: list[Mapping[str, Any]]) -> None:
    expression = bind(written.text, EventNames())
    expected = [written.meaning(event) for event in events]
    assert [evaluate_row(expression, event) for event in events] == expected
    column = evaluate(expression, columns_of(events, expression.fields), len(events))
    assert column.kind == expression.kind
    assert values_of(column) == expected


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("open and x > 1", {(True, 2): True, (True, 0): False, (True, None): None, (False, None): False, (None, 0): False}),
        ("open or x > 1", {(False, 0): False, (False, None): None, (True, None): True, (None, 2): True, (None, None): None}),
        ("not open", {(True, 0): False, (False, 0): True, (None, 0): None}),
        ("not (open and x > 1)", {(None, 0): True, (None, 2): None}),
        ("is_null(x)", {(True, None): True, (True, 0): False, (True, "text"): False}),
        ("is_null(x + 1)", {(True, None): True, (True, 0): False, (True, "text"): True}),
    ],
)
def test_unknown_is_neither_true_nor_false(text: str, truth: dict[tuple[Any, Any], bool | None]) -> None:
    expression = bind_condition(text)
    for (opened, x), expected in truth.items():
        values = {"data.open": opened, "data.x": x}
        assert evaluate_row(expression, values) is expected
        assert select(expression, columns_of([values], expression.fields), 1).tolist() == [expected is True]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / 0", None),
        ("0 / 0", None),
        ("1 / (1 / 0)", None),
        ("5 % 0", None),
        ("1e308 * 10", None),
        ("1 / (1e308 * 10)", None),
        ("-7 % 3", -1.0),
        ("7 / 2", 3.5),
        ("9223372036854775807 + 1", 2.0**63),
        ("5 in [5, 5.5]", True),
        ("9007199254740993 == 9007199254740993", True),
        ("9007199254740993 == 9007199254740992", False),
        ("9007199254740993 == 9007199254740992.0", True),
        ("'Z' < 'a' and 'a' < 'ä' and 'ä' < '\U0001f9ea'", True),
        ("'' in tags", None),
        ("number(text(1)) == 1", True),
        ("number(' 2.5e1 ')", 25.0),
        ("number('1_000')", None),
        ("number('nan')", None),
        ("text(2.50)", "2.5"),
        ("text(1e300)", "1e+300"),
        ("text(-0.0)", "0"),
        ("lower('ÄİΣ')", "äi\u03c3"),
        ("coalesce(1 / 0, 3)", 3.0),
        ("contains('abc', '')", True),
        ("-2.5 in [1, -2.5]", True),
        ("-(-5) == 5 and -(-2.5) == 2.5", True),
    ],
)
def test_what_is_worked_out_is_pinned(text: str, value: Any) -> None:
    expression = bind(text, EventNames())
    assert evaluate_row(expression, {}) == value
    assert values_of(evaluate(expression, columns_of([{}], expression.fields), 1)) == [value]


@pytest.mark.parametrize("text", ["0 * -1", "-x", "-7 % 7", "0 / -3", "number('-0')", "x", "coalesce(x, 1)"])
def test_there_is_one_zero(text: str) -> None:
    """Otherwise two values that are equal would be told apart where they are counted or written."""
    expression = bind(text, EventNames(), "number")
    values = [{"data.x": 0}, {"data.x": -0.0}] if "-" not in text else [{"data.x": 0}]
    columns = columns_of(values, expression.fields)
    assert [str(evaluate_row(expression, value)) for value in values] == ["0.0"] * len(values)
    assert [str(value) for value in values_of(evaluate(expression, columns, len(values)))] == ["0.0"] * len(values)


def test_a_value_of_another_type_is_unknown() -> None:
    expression = bind_condition("x > 1")
    values = [2, 2.5, "2", True, None, [2], {}, 10**400, float("inf"), float("nan")]
    assert [evaluate_row(expression, {"data.x": value}) for value in values] == [True, True, *[None] * 8]


def test_a_constant_is_as_long_as_its_columns() -> None:
    column = evaluate(bind_condition("1 < 2"), {}, 3)
    assert values_of(column) == [True, True, True]
    assert values_of(evaluate(bind_condition("x > 2"), columns_of([], bind_condition("x > 2").fields), 0)) == []


def test_columns_of_another_length_than_asked_for_are_an_error() -> None:
    expression = bind_condition("x > 2")
    with pytest.raises(ValueError, match="broadcast"):
        evaluate(expression, columns_of([{}, {}], expression.fields), 3)


def test_a_trace_shows_what_every_part_was_worth() -> None:
    expression = bind_condition('temperature > 20 + 10 and not (source == "b") or is_null(door)')
    values = {"data.temperature": 31, "source": "a", "data.door": True}
    shown = [(step.depth, step.text, step.value) for step in trace(expression, values).steps]
    assert trace(expression, values).value is True
    assert shown == [
        (0, 'temperature > 20 + 10 and not source == "b" or is_null(door)', True),
        (1, 'temperature > 20 + 10 and not source == "b"', True),
        (2, "temperature > 20 + 10", True),
        (3, "temperature", 31.0),
        (3, "20 + 10", 30.0),
        (4, "20", 20),
        (4, "10", 10),
        (2, 'not source == "b"', True),
        (3, 'source == "b"', False),
        (4, "source", "a"),
        (4, '"b"', "b"),
        (1, "is_null(door)", False),
    ]
    columns = [step.column for step in trace(expression, values).steps]
    assert columns == [1, 1, 1, 1, 15, 15, 20, 27, 32, 32, 42, 50]


@given(conditions(2), EVENTS)
def test_a_trace_ends_where_the_row_does(written: Written, event: Mapping[str, Any]) -> None:
    expression = bind_condition(written.text)
    found = trace(expression, event)
    assert found.value == evaluate_row(expression, event)
    assert found.steps[0].value == found.value
