"""What an aggregate of a window is, computed over all its events at once."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from tests.conformance.stream.reference_expression import Node, Value, arithmetic, evaluate, is_number, parse, to_text
from tests.conformance.stream.transcript import Entry

ValueOf = Callable[[Entry, str], Value]
Values = Sequence[Value]


def aggregate(text: str, entries: Sequence[Entry], value_of: ValueOf, seconds: float) -> Value:
    """One named value of a result: aggregates and what is calculated from them. Entries are in the order of time."""
    return _value(parse(text), entries, value_of, seconds)


def _value(node: Node, entries: Sequence[Entry], value_of: ValueOf, seconds: float) -> Value:  # noqa: C901, PLR0911 - one for each form
    match node:
        case ("call", name, ("where", None, condition)):
            return _value(("where", ("call", name), condition), entries, value_of, seconds)
        case ("where", inner, condition):
            return _value(inner, [entry for entry in entries if _of(condition, entry, value_of) is True], value_of, seconds)
        case ("arithmetic", sign, one, other):
            return arithmetic(sign, *(_value(side, entries, value_of, seconds) for side in (one, other)))
        case ("value", value):
            return value
        case ("name", name):
            return _metric(name, entries, value_of, seconds)
        case ("call", "count"):
            return len(entries)
        case ("call", "count", ("where", value, condition)):
            return _value(("where", ("call", "count", value), condition), entries, value_of, seconds)
        case ("call", "count", value):
            return sum(_of(value, entry, value_of) is not None for entry in entries)
        case ("call", "ratio", one, other):
            return _ratio((one, other), entries, value_of)
        case ("call", "rate"):
            return len(entries) / seconds
        case _:
            return _over_values(node, entries, value_of, seconds)


def _over_values(node: Node, entries: Sequence[Entry], value_of: ValueOf, seconds: float) -> Value:
    _, name, argument = node
    if argument[0] == "where":
        entries = [entry for entry in entries if _of(argument[2], entry, value_of) is True]
        argument = argument[1]
    values = [value for entry in entries if (value := _of(argument, entry, value_of)) is not None]
    if name == "rate":
        return _growth([value for value in values if is_number(value)], seconds)
    if name.startswith("p"):
        return _percentile(Fraction(name[1:]) / 100, [value for value in values if is_number(value)])
    return _AGGREGATES[name](values)


def _metric(name: str, entries: Sequence[Entry], value_of: ValueOf, seconds: float) -> Value:
    return _value(parse(_METRICS[name]), entries, value_of, seconds)


def _growth(numbers: Sequence[float], seconds: float) -> Value:
    """How much a counter grew in a second; where it fell it had begun anew from 0."""
    if len(numbers) < 2:
        return None
    grown = [new - old if new >= old else new for old, new in pairwise(numbers)]
    return math.fsum(grown) / seconds


def _percentile(share: Fraction, numbers: Sequence[float]) -> Value:
    """The least value that so many are not above."""
    return sorted(numbers)[max(math.ceil(share * len(numbers)) - 1, 0)] if numbers else None


def _of(node: Node, entry: Entry, value_of: ValueOf) -> Value:
    return evaluate(node, lambda name: value_of(entry, name))


def _ratio(arguments: Sequence[Node], entries: Sequence[Entry], value_of: ValueOf) -> Value:
    return arithmetic("/", *(_part(node, entries, value_of) for node in arguments))


def _part(node: Node, entries: Sequence[Entry], value_of: ValueOf) -> Value:
    """A side of a ratio: an aggregate, or how many events meet a condition."""
    if node[0] == "name" or (node[0] == "call" and (node[1] in _AGGREGATES or node[1] == "count")):
        return _value(node, entries, value_of, 1)
    return sum(_of(node, entry, value_of) is True for entry in entries)


def _sum(values: Values) -> Value:
    """The sum as if computed without end, then rounded once."""
    numbers = [Fraction(value) for value in values if is_number(value)]
    return rounded(Fraction(sum(numbers))) if numbers else None


def rounded(exact: Fraction) -> float | None:
    """The nearest float."""
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return None


def _average(values: Values) -> Value:
    numbers = [Fraction(value) for value in values if is_number(value)]
    return rounded(sum(numbers) / len(numbers)) if numbers else None


def _deviation(values: Values) -> Value:
    numbers = [Fraction(value) for value in values if is_number(value)]
    if not numbers:
        return None
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((number - mean) ** 2 for number in numbers) / len(numbers))


def _of_numbers(function: Callable[[Values], Value]) -> Callable[[Values], Value]:
    def taken(values: Values) -> Value:
        numbers = [value for value in values if is_number(value)]
        return function(numbers) if numbers else None

    return taken


_METRICS: Final = {
    "count": "count()",
    "error_count": "count(where type == 'error')",
    "error_rate": "ratio(type == 'error', count())",
    "event_rate": "rate()",
    "unique_users": "distinct(user_id)",
}
_AGGREGATES: Final[Mapping[str, Callable[[Values], Any]]] = {
    "sum": _sum,
    "avg": _average,
    "min": _of_numbers(min),
    "max": _of_numbers(max),
    "stddev": _deviation,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "delta": _of_numbers(lambda numbers: arithmetic("-", numbers[-1], numbers[0])),
    "distinct": lambda values: len(set(map(to_text, values))),
}
