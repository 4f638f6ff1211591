"""What an expression is worth: on columns, on one row and by a naive oracle it must be the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stream.expression.columns import columns_of, values_of
from tests.unit.stream.expression.written import EVENTS, Written, conditions, numbers, texts
from weft.core.errors import Invalid
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.evaluate import evaluate, evaluate_row, select, trace
from weft.stream.expression.names import EventNames

EXPRESSIONS = st.one_of(conditions(3), numbers(3), texts(2))


def read_as_bound(written: Written) -> Any:
    return bind(written.text, EventNames())


@given(EXPRESSIONS, st.lists(EVENTS, max_size=6))
def test_columns_rows_and_the_oracle_agree(written: Written, events: list[Mapping[str, Any]]) -> None:
    expression = bind(written.text, EventNames())
    expected = [written.meaning(event) for event in events]
    assert [evaluate_row(expression, event) for event in events] == expected
    column = evaluate(expression, columns_of(events, expression.fields), len(events))
    assert column.kind == expression.kind
    assert values_of(column) == expected
