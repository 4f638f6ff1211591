"""Columns out of events, one value at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from weft.stream.column import Column, Field
from weft.stream.expression.read import read

_EMPTY: Mapping[str, Any] = {"number": 0.0, "integer": 0, "boolean": False}
_DTYPES = {"number": np.float64, "integer": np.int64, "boolean": np.bool_}


def columns_of(events: Sequence[Mapping[str, Any]], fields: Iterable[Field]) -> dict[Field, Column]:
    """Every field as a column, in the reading it is wanted in."""
    return {field: column_of([read(field.reading, event.get(field.name)) for event in events], field) for field in fields}


def column_of(values: list[Any], field: Field) -> Column:
    known = np.array([value is not None for value in values], dtype=np.bool_)
    if field.reading == "present":
        return Column("boolean", np.array(values, dtype=np.bool_))
    if field.reading in {"text", "texts"}:
        different = list(dict.fromkeys(value for value in values if value is not None))
        codes = np.array([-1 if value is None else different.index(value) for value in values], dtype=np.int32)
        if field.reading == "text":
            return Column("text", codes, known, words=different)
        return Column("texts", codes, known, lists=different)
    filled = [_EMPTY[field.reading] if value is None else value for value in values]
    return Column(field.reading, np.array(filled, dtype=_DTYPES[field.reading]), None if known.all() else known)


def values_of(column: Column) -> list[Any]:
    """What a column says, None where it is unknown."""
    values = column.values.tolist()
    if column.kind == "text":
        values = [column.words[value] if column.words and 0 <= value < len(column.words) else None for value in values]
    return (
        values
        if column.known is None
        else [value if known else None for value, known in zip(values, column.known, strict=True)]
    )
