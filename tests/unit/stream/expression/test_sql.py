"""Expressions as SQL: DuckDB must find the same, and a text in an expression must stay a text."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stream.expression.written import EVENTS, Written, conditions, numbers, texts
from weft.core.errors import TooLarge
from weft.stream.column import Field
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.evaluate import evaluate_row
from weft.stream.expression.names import EventNames
from weft.stream.expression.read import read
from weft.stream.expression.sql import identifier, literal, render
from weft.stream.expression.typed import Expression

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
    rows = [[place, *(_plain(read(field.reading, event.get(field.name))) for field in fields)] for place, event in enumerate(events)]
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
