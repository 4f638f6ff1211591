"""The value of an expression: for every row of a batch at once, or for one row with the value of each part."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from weft.stream.column import Column, Field, Kind
from weft.stream.expression import columnar, scalar
from weft.stream.expression.read import read
from weft.stream.expression.typed import Aggregate, Constant, Expression, Operation, Read, Typed, Value
from weft.stream.expression.write import write


class Step(msgspec.Struct, frozen=True):
    """A part of an expression and what it was worth; None is unknown. `depth` says which part it belongs to."""

    text: str
    column: int
    length: int
    depth: int
    kind: Kind
    value: Any


class Trace(msgspec.Struct, frozen=True):
    """What an expression was worth for one row, and how that came about, from the outside in."""

    value: Any
    steps: list[Step]


def evaluate(expression: Expression, columns: Mapping[Field, Column], count: int) -> Column:
    """Its value for each of `count` rows. `columns` holds every field of `expression.fields`."""
    return columnar.spread(_column(expression.root, columns), count)


def select(expression: Expression, columns: Mapping[Field, Column], count: int) -> npt.NDArray[np.bool_]:
    """The rows of which a condition is true; where it is unknown it is not true."""
    return columnar.truths(evaluate(expression, columns, count))


def evaluate_row(expression: Expression, values: Mapping[str, object]) -> Value:
    """Its value for one row. `values` holds JSON values by the whole names of fields; one that is not there is unknown."""
    return _Row(values).value(expression.root)


def trace(expression: Expression, values: Mapping[str, object]) -> Trace:
    """Its value for one row, with the value of every part."""
    row = _Row(values)
    return Trace(row.traced(expression.root, 0), row.steps)


def _column(typed: Typed, columns: Mapping[Field, Column]) -> Column:
    match typed:
        case Constant():
            return columnar.constant(typed.kind, typed.value)
        case Read():
            return columns[typed.field]
        case Operation():
            return columnar.OPERATIONS[typed.name](*(_column(argument, columns) for argument in typed.arguments))
        case Aggregate():
            raise _not_split(typed)


def _not_split(typed: Aggregate) -> TypeError:
    return TypeError(f"{typed.function} is worked out by an engine; only what is left after the split is evaluated")


class _Row:
    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self.steps: list[Step] = []

    def value(self, typed: Typed) -> Value:
        match typed:
            case Constant():
                return typed.value
            case Read():
                return read(typed.field.reading, self._values.get(typed.field.name))
            case Operation():
                return scalar.OPERATIONS[typed.name](*map(self.value, typed.arguments))
            case Aggregate():
                raise _not_split(typed)

    def traced(self, typed: Typed, depth: int) -> Value:
        """The value, after a step for it and for every part of it that the text shows."""
        if isinstance(typed, Operation) and typed.name == "as_number":
            return scalar.OPERATIONS[typed.name](self.traced(typed.arguments[0], depth))
        if not isinstance(typed, Operation):
            value = self.value(typed)
            self.steps.append(self._step(typed, depth, value))
            return value
        place = len(self.steps)
        arguments = [self._argument(typed, argument, depth) for argument in typed.arguments]
        value = scalar.OPERATIONS[typed.name](*arguments)
        self.steps.insert(place, self._step(typed, depth, value))
        return value

    def _argument(self, parent: Operation, typed: Typed, depth: int) -> Value:
        """Conversions have no text of their own and make no step."""
        if typed.node is parent.node:
            return self._hidden(typed, depth)
        return self.traced(typed, depth + 1)

    def _hidden(self, typed: Typed, depth: int) -> Value:
        if not isinstance(typed, Operation):
            return self.value(typed)
        return scalar.OPERATIONS[typed.name](*(self._argument(typed, argument, depth) for argument in typed.arguments))

    def _step(self, typed: Typed, depth: int, value: Value) -> Step:
        node = typed.node
        return Step(write(node), node.column, node.length, depth, typed.kind, value)
