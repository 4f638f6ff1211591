"""Expressions as SQL: DuckDB must find the same, and a text in an expression must stay a text."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stream.expression.duckdb_sql import identifier, literal, render
from tests.unit.stream.expression.written import EVENTS, Written, conditions, numbers, texts
from weft.core.errors import TooLarge
from weft.stream.column import Field
from weft.stream.expression.bind import bind
from weft.stream.expression.evaluate import evaluate_row
from weft.stream.expression.names import EventNames
from weft.stream.expression.read import read
from weft.stream.expression.typed import Expression
from weft.stream.expression.write import write_text

TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN", "present": "BOOLEAN", "texts": "VARCHAR[]"}


def column(field: Field) -> str:
    return identifier(f"{field.name} as {field.reading}")


@functools.cache
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": "1"})


def answers(expression: Expression, events: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What DuckDB answers for each event."""
    fields = sorted(expression.fields)
    columns = ["0 AS place", *(f"CAST(NULL AS {TYPES[field.reading]}) AS {column(field)}" for field in fields)]
    rows = [
        [place, *(_plain(read(field.reading, event.get(field.name))) for field in fields)] for place, event in enumerate(events)
    ]
    casts = ", ".join(["?", *(f"CAST(? AS {TYPES[field.reading]})" for field in fields)])
    source = f"SELECT {', '.join(columns)} WHERE FALSE" + f" UNION ALL SELECT {casts}" * len(rows)
    text = f"SELECT {render(expression, column)} FROM ({source}) ORDER BY place"
    return [value for (value,) in connection().execute(text, [value for row in rows for value in row]).fetchall()]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@given(st.one_of(conditions(2), numbers(2), texts(2)), st.lists(EVENTS, min_size=1, max_size=4))
def test_duckdb_finds_what_rows_are_worth(written: Written, events: list[Mapping[str, Any]]) -> None:
    expression = bind(written.text, EventNames())
    assert answers(expression, events) == [evaluate_row(expression, event) for event in events]


@pytest.mark.parametrize("text", ["it's", "'; DROP TABLE x; --", 'a"b', "\\", "/*", "$1 ?", "\n", "{}", "Ω\U0001f9ea"])
def test_a_text_stays_a_text(text: str) -> None:
    assert connection().execute(f"SELECT {literal(text)}").fetchall() == [(text,)]
    assert connection().execute(f"SELECT * FROM (SELECT 1 AS {identifier(text)})").fetchall() == [(1,)]
    expression = bind(f"source == {write_text(text)}", EventNames())
    assert answers(expression, [{"source": text}, {"source": text + "x"}]) == [True, False]


def test_every_number_says_how_wide_it_is() -> None:
    assert render(bind("5 == 7", EventNames()), column) == "(CAST(5 AS BIGINT) = CAST(7 AS BIGINT))"
    assert render(bind("0.05 == 5", EventNames()), column) == "(CAST(0.05E0 AS DOUBLE) = CAST(5.0E0 AS DOUBLE))"


def test_two_signs_are_no_comment() -> None:
    assert render(bind("-(-2.5)", EventNames()), column) == "CAST(2.5E0 AS DOUBLE)"
    assert "--" not in render(bind("-(-x) - -(2.5)", EventNames(), "number"), column)


def test_sql_that_would_grow_without_end_is_refused() -> None:
    with pytest.raises(TooLarge, match="divisions"):
        render(bind("1 / (x + " * 15 + "1" + ")" * 15, EventNames()), column)
