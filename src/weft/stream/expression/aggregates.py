"""Binding of expressions over a window: aggregates and named metrics around expressions over its single events."""

from dataclasses import replace
from functools import cache
from typing import Final, cast

from weft.core.errors import Invalid
from weft.stream.column import Kind
from weft.stream.expression.bind import Binder
from weft.stream.expression.fault import did_you_mean, excerpt
from weft.stream.expression.functions import AGGREGATES, FUNCTIONS, METRICS, AggregateFunction, find_aggregate
from weft.stream.expression.kinds import Draft, Open, as_number
from weft.stream.expression.names import Names, ResultNames
from weft.stream.expression.parser import RATIO, parse
from weft.stream.expression.tree import (
    Call,
    Comparison,
    Logical,
    Membership,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Truth,
    rewritten,
)
from weft.stream.expression.typed import Aggregate, Constant, Operation, Typed
from weft.stream.expression.write import write, write_name

THRESHOLD: Final = "threshold"

_COUNTING: Final = frozenset({"absent", "count"})
KEEPING: Final = frozenset({"first", "last"})
_GIVES: Final[dict[str, Kind]] = {"absent": "boolean", "count": "integer", "distinct": "integer"}
_CONDITIONS: Final = (Comparison, Logical, Membership, Not, Truth)


class WindowBinder(Binder):
    """Binds the nodes of one expression over a window. `events` are the names of its single events.

    Every aggregate that comes out has whole names in it, so that two that mean the same are equal.
    """

    def __init__(self, text: str, events: Names, names: Names | None = None, threshold: float | None = None) -> None:
        super().__init__(text, names or ResultNames())
        self._events = events
        self._threshold = threshold
        self._metrics: dict[str, Typed] = {}

    def name(self, node: Name) -> Draft:
        """A value handed in, the threshold, or a named metric."""
        if self.names.find(node.path) is not None:
            return super().name(node)
        word = write_name(node.path)
        if word == THRESHOLD and self._threshold is not None:
            return Constant(node, "number", self._threshold)
        if word not in METRICS:
            raise self._no_aggregate(node)
        return self._metric(node, word, None)

    def call(self, node: Call) -> Draft:
        """An aggregate, a named metric with a condition of its own, or a function of values over the window."""
        aggregate = find_aggregate(node.function)
        if aggregate is not None:
            return self._aggregate(node, aggregate)
        if node.function in METRICS and not node.arguments:
            return self._metric(node, node.function, node.where)
        if node.function in FUNCTIONS:
            return super().call(node)
        known = (*AGGREGATES, *METRICS, *FUNCTIONS)
        hint = did_you_mean(node.function, known) or f"; there are {', '.join(AGGREGATES)}"
        raise self.fault(f"there is no aggregate {excerpt(node.function)}{hint}", node)

    def _metric(self, node: Node, name: str, where: Node | None) -> Draft:
        """The aggregate a named metric is short for, standing where its name stands."""
        aggregate = _parsed(name)
        if where is not None:
            return _placed(self.decided(_narrowed(aggregate, where)), node)
        if name not in self._metrics:
            self._metrics[name] = self.decided(aggregate)
        return _placed(self._metrics[name], node)

    def _aggregate(self, node: Call, function: AggregateFunction) -> Draft:
        count = len(node.arguments)
        if not function.least <= count <= len(function.takes):
            takes = function.least if function.least == len(function.takes) else f"{function.least} or {len(function.takes)}"
            raise self.fault(f"{function.signature} takes {takes} and was given {count}", node, expected=function.signature)
        if node.function == RATIO:
            return self._ratio(node)
        if node.function in _COUNTING and node.arguments:
            node = _with_value(node)
        return self._over_events(cast("Call", rewritten(node, self._whole)))

    def _over_events(self, node: Call) -> Draft:
        binder = _EventBinder(self.text, self._events, node.function)
        where = None if node.where is None else binder.condition(node.where)
        if node.function in KEEPING:
            draft = binder.draft(node.arguments[0])
            if isinstance(draft, Open):
                return Open(node, lambda kind: self._kept(_converted(node, kind), binder, where))
            return self._kept(node, binder, where)
        arguments = tuple(self._argument(binder, node.function, argument) for argument in node.arguments)
        return Aggregate(node, _GIVES.get(node.function, "number"), node.function, arguments, where)

    def _kept(self, node: Call, binder: Binder, where: Typed | None) -> Typed:
        """The first or last value, of whatever kind it is."""
        value = binder.decided(node.arguments[0])
        return Aggregate(node, value.kind, node.function, (value,), where)

    def _argument(self, binder: Binder, function: str, node: Node) -> Typed:
        return binder.decided(node) if function == "distinct" else binder.wanted(node, "number", function)

    def _ratio(self, node: Call) -> Typed:
        parts = tuple(as_number(self._part(part, node)) for part in node.arguments)
        return Operation(node, "number", "/", parts)

    def _part(self, part: Node, ratio: Call) -> Typed:
        """One side of a ratio: an aggregate, or a condition whose events are counted."""
        if isinstance(part, _CONDITIONS) or (isinstance(part, Call) and part.function in FUNCTIONS):
            part = Call(column=part.column, length=part.length, function="count", arguments=(), where=part)
        part = part if ratio.where is None else _narrowed(part, ratio.where)
        draft = self.draft(part)
        if isinstance(draft, Open) or not isinstance(draft, Aggregate | Operation) or draft.kind not in {"integer", "number"}:
            raise self.fault(
                f"{excerpt(write(part))} is neither an aggregate nor a condition", part, expected="an aggregate or a condition"
            )
        return draft

    def _whole(self, node: Node) -> Node:
        """A name as its whole name, and the threshold as its number, so that an aggregate means the same by itself."""
        if not isinstance(node, Name):
            return node
        if node.path == (THRESHOLD,) and self._threshold is not None:
            return _number(node, self._threshold)
        found = self._events.find(node.path)
        return node if found is None else replace(node, path=found.path)

    def _no_aggregate(self, node: Name) -> Invalid:
        name = excerpt(write(node))
        near = did_you_mean(name, [*METRICS, *(candidate.name for candidate in self.names.candidates())])
        return self.fault(
            f"{name} is a field of single events{near or f'; say what of the window, as in avg({name}) or max({name})'}",
            node,
            expected=f"avg({name}), max({name}), last({name}) or another aggregate",
        )


@cache
def _parsed(metric: str) -> Node:
    return parse(METRICS[metric].text)


def _placed(typed: Typed, node: Node) -> Typed:
    """What a metric is short for, standing where its name stands; in a share of two aggregates the name itself stands."""
    if isinstance(typed, Aggregate):
        return replace(typed, node=replace(typed.node, column=node.column, length=node.length))
    if not isinstance(typed, Operation):
        return typed
    shown = node if typed.name == "/" else replace(typed.node, column=node.column, length=node.length)
    return replace(typed, node=shown, arguments=tuple(_placed(argument, node) for argument in typed.arguments))


class _EventBinder(Binder):
    """Binds what stands inside an aggregate."""

    def __init__(self, text: str, names: Names, function: str) -> None:
        super().__init__(text, names)
        self._around = function

    def call(self, node: Call) -> Draft:
        if node.function in FUNCTIONS or find_aggregate(node.function) is None:
            return super().call(node)
        raise self._nested(node)

    def _nested(self, node: Call) -> Invalid:
        return self.fault(
            f"{node.function} cannot stand inside {self._around}; close it before, as in "
            f'{self._around}(... where type == "reading") and {node.function}(...)',
            node,
        )


def _with_value(node: Call) -> Call:
    """`count(x)` as what it is short for: `count(where not is_null(x))`."""
    (value,) = node.arguments
    column, length = value.column, value.length
    missing = Call(column=column, length=length, function="is_null", arguments=(value,))
    where: Node = Not(column=column, length=length, operand=missing)
    if node.where is not None:
        where = Logical(column=column, length=length, word="and", terms=(where, node.where))
    return replace(node, arguments=(), where=where)


def _number(node: Node, value: float) -> Node:
    """A number that stands where a node did."""
    number = Number(column=node.column, length=node.length, text=repr(abs(value)), value=abs(value))
    return Negative(column=node.column, length=node.length, operand=number) if value < 0 else number


def _converted(node: Call, kind: Kind) -> Call:
    """`last(x)` with its kind said, so that it means the same wherever it is read again."""
    (value,) = node.arguments
    said = Call(column=value.column, length=value.length, function=kind, arguments=(value,))
    return replace(node, arguments=(said,))


def _narrowed(node: Node, where: Node) -> Node:
    """An aggregate over only those of its events of which `where` is true as well."""
    if isinstance(node, Name) and node.path[0] in METRICS:
        node = Call(column=node.column, length=node.length, function=node.path[0], arguments=())
    if not isinstance(node, Call):
        return node
    if node.function == RATIO:
        return replace(node, arguments=tuple(_narrowed(argument, where) for argument in node.arguments))
    if node.where is not None:
        where = Logical(column=where.column, length=where.length, word="and", terms=(node.where, where))
    return replace(node, where=where)
