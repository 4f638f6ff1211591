"""What every operator and function means, on whole columns at a time; `scalar` defines it.

A constant is a column of one row; numpy spreads it over the others. What a text becomes is worked out once for each
different text, not for each row.
"""

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weft.stream.column import Column, Kind, Known
from weft.stream.expression import scalar

Columnar = Callable[..., Column]
Values = npt.NDArray[Any]

_DTYPES: Final[dict[Kind, npt.DTypeLike]] = {
    "integer": np.int64,
    "number": np.float64,
    "boolean": np.bool_,
    "text": np.int32,
    "texts": np.int32,
}


def constant(kind: Kind, value: object) -> Column:
    """A column of one row; None is unknown."""
    if value is None:
        nothing: Values = np.zeros(1, dtype=_DTYPES[kind])
        return Column(kind, nothing, np.zeros(1, dtype=np.bool_))
    if isinstance(value, str):
        return Column(kind, np.zeros(1, dtype=np.int32), words=(value,))
    values: Values = np.full(1, value, dtype=_DTYPES[kind])
    return Column(kind, values)


def spread(column: Column, count: int) -> Column:
    """A constant as a column of `count` rows; a column of that many rows as it is."""
    known = None if column.known is None else np.broadcast_to(column.known, (count,))
    return Column(column.kind, np.broadcast_to(column.values, (count,)), known, column.words, column.lists)


def truths(column: Column) -> npt.NDArray[np.bool_]:
    """Where a boolean column is known and true."""
    return column.values if column.known is None else column.values & column.known


def _falsities(column: Column) -> npt.NDArray[np.bool_]:
    return ~column.values if column.known is None else ~column.values & column.known


def _all(*known: Known | None) -> Known | None:
    """Known where all are."""
    masks = [mask for mask in known if mask is not None]
    return reduce(np.logical_and, masks) if masks else None


def _conjunction(*terms: Column) -> Column:
    true = reduce(np.logical_and, map(truths, terms))
    if all(term.known is None for term in terms):
        return Column("boolean", true)
    return Column("boolean", true, true | reduce(np.logical_or, map(_falsities, terms)))


def _disjunction(*terms: Column) -> Column:
    true = reduce(np.logical_or, map(truths, terms))
    if all(term.known is None for term in terms):
        return Column("boolean", true)
    return Column("boolean", true, true | reduce(np.logical_and, map(_falsities, terms)))


def _not(column: Column) -> Column:
    return Column("boolean", ~column.values, column.known)


def _vocabulary(column: Column) -> Sequence[str]:
    """Its words; never none, so that what stands where nothing is known can be looked up too."""
    return column.words or ("",)


def _meanings(column: Column) -> Sequence[Any]:
    """What its codes stand for: texts, or lists of them."""
    return (column.lists or ((),)) if column.kind == "texts" else _vocabulary(column)


def _looked_up(table: Values, codes: Values) -> Values:
    """What the table says for each code; where nothing is known the code may be any number."""
    return np.take(table, codes, mode="clip")


def _each(column: Column, function: Callable[[Any], Any], dtype: npt.DTypeLike) -> Values:
    """What `function` makes of the text, or of the tags, of each row, asked once for each different one."""
    meanings = _meanings(column)
    table: Values = np.fromiter(map(function, meanings), dtype=dtype, count=len(meanings))
    return _looked_up(table, column.values)


def _test(function: Callable[[Any, str], bool]) -> Columnar:
    """A test of a text, or of tags, by a text. It is asked once for each pair that occurs."""

    def test(left: Column, right: Column) -> Column:
        words, known = _vocabulary(right), _all(left.known, right.known)
        if len(words) == 1:
            return Column("boolean", _each(left, lambda meaning: function(meaning, words[0]), np.bool_), known)
        meanings = _meanings(left)
        codes = np.clip(left.values, 0, len(meanings) - 1).astype(np.int64) * len(words)
        pairs, places = np.unique(codes + np.clip(right.values, 0, len(words) - 1), return_inverse=True)
        occurring: list[int] = pairs.tolist()
        met = (function(meanings[pair // len(words)], words[pair % len(words)]) for pair in occurring)
        return Column("boolean", np.fromiter(met, np.bool_, len(pairs))[places], known)

    return test


def _comparison(function: Callable[[Any, Any], Any]) -> Columnar:
    """Texts are compared by their rank among all words of both sides, or directly with a constant."""

    def compare(left: Column, right: Column) -> Column:
        first, second = left.values, right.values
        known = _all(left.known, right.known)
        if left.kind == "text":
            lefts, rights = _vocabulary(left), _vocabulary(right)
            if len(rights) == 1:
                return Column("boolean", _each(left, lambda word: function(word, rights[0]), np.bool_), known)
            ranks = {word: rank for rank, word in enumerate(sorted({*lefts, *rights}))}
            first, second = _each(left, ranks.__getitem__, np.int64), _each(right, ranks.__getitem__, np.int64)
        return Column("boolean", function(first, second), known)

    return compare


def _finite(values: Values, *known: Known | None) -> Column:
    values += 0.0  # so that there is one zero
    finite = np.isfinite(values)
    return Column("number", values, _all(*known) if finite.all() else _all(finite, *known))


def _arithmetic(function: Callable[[Values, Values], Values]) -> Columnar:
    def calculate(left: Column, right: Column) -> Column:
        with np.errstate(all="ignore"):
            return _finite(function(left.values, right.values), left.known, right.known)

    return calculate


def _within(item: Column, *items: Column) -> Column:
    if item.kind == "text":
        words = frozenset(_vocabulary(choice)[0] for choice in items)
        return Column("boolean", _each(item, words.__contains__, np.bool_), item.known)
    return Column("boolean", np.isin(item.values, np.concatenate([choice.values for choice in items])), item.known)


def _coalesce(*columns: Column) -> Column:
    return reduce(_or_else, columns)


def _or_else(first: Column, second: Column) -> Column:
    if first.known is None:
        return first
    known = first.known if second.known is None else first.known | second.known
    if first.kind == "text":
        words = tuple(dict.fromkeys((*_vocabulary(first), *_vocabulary(second))))
        codes = {word: code for code, word in enumerate(words)}
        values = np.where(first.known, first.values, _each(second, codes.__getitem__, np.int32))
        return Column("text", values, known if second.known is not None else None, words)
    values = np.where(first.known, first.values, second.values)
    return Column(first.kind, values, known if second.known is not None else None)


def _is_null(column: Column) -> Column:
    return Column("boolean", np.zeros(len(column.values), dtype=np.bool_) if column.known is None else ~column.known)


def _lower(column: Column) -> Column:
    return _worded([scalar.lower(word) for word in _vocabulary(column)], column.values, column.known)


def _worded(words: Sequence[str], codes: Values, known: Known | None) -> Column:
    """A text column of words that may occur twice."""
    different = tuple(dict.fromkeys(words))
    if len(different) == len(words):
        return Column("text", codes, known, different)
    places = {word: place for place, word in enumerate(different)}
    table = np.fromiter(map(places.__getitem__, words), dtype=np.int32, count=len(words))
    return Column("text", _looked_up(table, codes), known, different)


def _to_number(column: Column) -> Column:
    read = (scalar.to_number(word) for word in _vocabulary(column))
    table = np.array([np.nan if number is None else number for number in read], dtype=np.float64)
    return _finite(_looked_up(table, column.values), column.known)


def _to_text(column: Column) -> Column:
    different, codes = np.unique(column.values, return_inverse=True)
    return _worded([scalar.to_text(value) for value in different.tolist()] or [""], codes.astype(np.int32), column.known)


def _negative(column: Column) -> Column:
    return Column("number", 0.0 - column.values, column.known)


def _absolute(column: Column) -> Column:
    return Column("number", np.abs(column.values), column.known)


def _as_number(column: Column) -> Column:
    return Column("number", column.values.astype(np.float64), column.known)


OPERATIONS: Final[dict[str, Columnar]] = {
    "and": _conjunction,
    "or": _disjunction,
    "not": _not,
    "==": _comparison(operator.eq),
    "!=": _comparison(operator.ne),
    "<": _comparison(operator.lt),
    "<=": _comparison(operator.le),
    ">": _comparison(operator.gt),
    ">=": _comparison(operator.ge),
    "+": _arithmetic(np.add),
    "-": _arithmetic(np.subtract),
    "*": _arithmetic(np.multiply),
    "/": _arithmetic(np.divide),
    "%": _arithmetic(np.fmod),
    "negative": _negative,
    "abs": _absolute,
    "in": _within,
    "tagged": _test(operator.contains),
    "startswith": _test(str.startswith),
    "endswith": _test(str.endswith),
    "contains": _test(operator.contains),
    "lower": _lower,
    "coalesce": _coalesce,
    "is_null": _is_null,
    "to_number": _to_number,
    "to_text": _to_text,
    "as_number": _as_number,
}
