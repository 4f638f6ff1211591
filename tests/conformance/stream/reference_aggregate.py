"""What an aggregate of a window is, computed over all its events at once."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from tests.conformance.stream.reference_expression import Node, Value, arithmetic, evaluate, finite, is_number, parse
from tests.conformance.stream.transcript import Entry

ValueOf = Callable[[Entry, str], Value]
Values = Sequence[Value]


def aggregate(text: str, entries: Sequence[Entry], value_of: ValueOf, seconds: float) -> Value:
    """One named value of a result: aggregates and what is calculated from them. Entries are in the order of time."""
    return _value(parse(text), entries, value_of, seconds)


def _value(node: Node, entries: Sequence[Entry], value_of: ValueOf, seconds: float) -> Value:
    form = node[0]
    if form == "where":
        kept = [entry for entry in entries if _of(node[2], entry, value_of) is True]
        return _value(node[1], kept, value_of, seconds)
    if form == "arithmetic":
        return arithmetic(node[1], *(_value(side, entries, value_of, seconds) for side in node[2:]))
    if form == "value":
        return node[1]
    if node == ("name", "count") or node[:2] == ("call", "count"):
        return len(entries) if len(node) == 2 else _count(node[2], entries, value_of)
    name, arguments = node[1], node[2:]
    if name == "ratio":
        return _ratio(arguments, entries, value_of)
    if name == "rate" and not arguments:
        return len(entries) / seconds
    argument = arguments[0]
    if argument[0] == "where":
        entries = [entry for entry in entries if _of(argument[2], entry, value_of) is True]
        argument = argument[1]
    values = [value for entry in entries if (value := _of(argument, entry, value_of)) is not None]
    return _AGGREGATES[name](values)


def _of(node: Node, entry: Entry, value_of: ValueOf) -> Value:
    return evaluate(node, lambda name: value_of(entry, name))


def _count(node: Node, entries: Sequence[Entry], value_of: ValueOf) -> int:
    if node[0] == "where":
        return sum(_of(node[2], entry, value_of) is True for entry in entries)
    return sum(_of(node, entry, value_of) is not None for entry in entries)


def _ratio(arguments: Sequence[Node], entries: Sequence[Entry], value_of: ValueOf) -> Value:
    one, other = (sum(_of(node, entry, value_of) is True for entry in entries) for node in arguments)
    return arithmetic("/", one, other)


def exact_sum(values: Values) -> Value:
    """The sum as if computed without end, then rounded once; whole numbers stay whole while 64 bits hold them."""
    numbers = [value for value in values if is_number(value)]
    if not numbers:
        return None
    if all(isinstance(value, int) for value in numbers):
        return finite(sum(numbers))
    return rounded(sum(map(Fraction, numbers)))


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


_AGGREGATES: Final[Mapping[str, Callable[[Values], Any]]] = {
    "sum": exact_sum,
    "avg": _average,
    "min": _of_numbers(min),
    "max": _of_numbers(max),
    "stddev": _deviation,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "delta": _of_numbers(lambda numbers: arithmetic("-", numbers[-1], numbers[0])),
    "distinct": lambda values: len({(type(value) is bool, value) for value in values}),
}
