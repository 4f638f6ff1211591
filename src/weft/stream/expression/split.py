"""The split of an expression over a window: named aggregates, which an engine works out, and an expression over their names.

`error_rate > 0.05 and avg(temperature) > 30` needs `error_count`, `count` and `avg_temperature`; what is left over them is
small enough to be asked of every result, and to be explained.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from weft.stream.column import Field
from weft.stream.expression.aggregates import KEEPING, THRESHOLD, WindowBinder
from weft.stream.expression.fault import excerpt, fault
from weft.stream.expression.functions import METRICS
from weft.stream.expression.kinds import Open, described, settled
from weft.stream.expression.names import ATTRIBUTES, EventNames, Names
from weft.stream.expression.parser import parse
from weft.stream.expression.tree import Call, Comparison, Name, Negative, Node, Not, Number, children, walk
from weft.stream.expression.typed import Aggregate, Constant, Expression, Operation, Read, Typed, fields_of
from weft.stream.expression.write import write

_SHORT: Final = {metric.text: metric.name for metric in METRICS.values()}
_PLAIN: Final = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
_OTHER: Final = re.compile(r"[^a-z0-9]++")


@dataclass(frozen=True, slots=True)
class Split:
    """What an engine has to work out, by name, and the expression over those names."""

    expression: Expression
    aggregates: dict[str, Aggregate]

    @property
    def select(self) -> dict[str, str]:
        """The aggregates as a query's `select`."""
        return {name: write(aggregate.node) for name, aggregate in self.aggregates.items()}


def split(text: str, events: Names | None = None, names: Names | None = None) -> Split:
    """An expression over a window, such as an entry of a query's `select`. Raises Invalid.

    `names` are values that are handed in beside the aggregates; there are none by default.
    """
    binder = WindowBinder(text, events or EventNames(), names)
    return _split(text, binder.decided(parse(text)))


def split_condition(
    text: str, *, threshold: float | None = None, events: Names | None = None, names: Names | None = None
) -> Split:
    """A rule's condition. Raises Invalid.

    A condition that is a number is compared `> threshold`. A threshold that differs from every number in the condition is
    refused, unless the condition names it.
    """
    binder = WindowBinder(text, events or EventNames(), names, threshold)
    node = parse(text)
    draft = binder.draft(node)
    if not isinstance(draft, Open) and draft.kind in {"integer", "number"}:
        return _split(text, _over_threshold(text, draft, threshold))
    root = settled(draft, "boolean")
    if root is None:
        raise fault(f"{described(draft)} and no condition; compare it", text, node.column, node.length, expected="a comparison")
    if threshold is not None:
        _check_threshold(text, node, threshold)
    return _split(text, root)


def name_of(aggregate: Aggregate) -> str:
    """The name an aggregate goes by: a metric's, or one made of its text. Different aggregates have different names."""
    text = write(aggregate.node)
    if text in _SHORT:
        return _SHORT[text]
    function = aggregate.function.replace(".", "_")
    over = _over(aggregate)
    word = _plain_word(aggregate.function, over) if over is not None else None
    if word is not None:
        return f"{function}_{word}"
    if not children(aggregate.node):
        return function
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    words = _OTHER.sub("_", text.lower().replace("data.", ""))[:48].strip("_")
    return f"{words}_{digest}"


def _over(aggregate: Aggregate) -> Node | None:
    """The one value an aggregate is over, if nothing else is said of its events."""
    match children(aggregate.node):
        case (Not(operand=Call(function="is_null", arguments=(Name() as over,))),) if aggregate.where is not None:
            return over
        case (over,) if aggregate.where is None:
            return over
        case _:
            return None


def _plain_word(function: str, over: Node) -> str | None:
    """The own word of the field it is over, where no other field has the same."""
    said = ""
    if isinstance(over, Call) and function in KEEPING:
        said, (over, *_) = f"_{over.function}", (*over.arguments, over)
    if not isinstance(over, Name):
        return None
    first, *rest = over.path
    if not rest:
        return first + said
    word = rest[0] if first == "data" and len(rest) == 1 else ""
    return word + said if _PLAIN.fullmatch(word) and word not in ATTRIBUTES else None


def _over_threshold(text: str, typed: Typed, threshold: float | None) -> Typed:
    node = typed.node
    if threshold is None:
        name = excerpt(write(node))
        raise fault(
            f"{name} is a number; compare it, as in {name} > 5, or give the rule a threshold",
            text,
            node.column,
            node.length,
            expected="a comparison",
        )
    column, length = node.column, node.length
    number = Number(column=column, length=length, text=f"{threshold:g}", value=threshold)
    comparison = Comparison(column=column, length=length, sign=">", left=node, right=number)
    sides = (settled(typed, "number") or typed, Constant(number, "number", threshold))
    return Operation(comparison, "boolean", ">", sides)


def _check_threshold(text: str, node: Node, threshold: float) -> None:
    """Refuse a threshold that contradicts the numbers the window's values are compared with."""
    if any(isinstance(part, Name) and part.path == (THRESHOLD,) for _, part in walk(node)):
        return
    numbers = list(_compared(node))
    if not numbers or any(number == threshold for _, number in numbers):
        return
    place, number = numbers[0]
    raise fault(
        f"the condition compares with {number:g}, the threshold is {threshold:g}; make them equal or leave the threshold out",
        text,
        place.column,
        place.length,
        expected=THRESHOLD,
    )


def _compared(node: Node) -> Iterator[tuple[Node, float]]:
    """The numbers the window's values are compared with, and where they stand."""
    if isinstance(node, Comparison):
        for side in (node.left, node.right):
            if isinstance(side, Number):
                yield side, side.value
            elif isinstance(side, Negative) and isinstance(side.operand, Number):
                yield side, -side.operand.value
    if not isinstance(node, Call):
        for child in children(node):
            yield from _compared(child)


def _split(text: str, root: Typed) -> Split:
    aggregates: dict[str, Aggregate] = {}
    over = _replaced(root, aggregates)
    return Split(Expression(text, over, fields_of(over)), aggregates)


def _replaced(typed: Typed, aggregates: dict[str, Aggregate]) -> Typed:
    match typed:
        case Aggregate():
            name = name_of(typed)
            aggregates[name] = typed
            return Read(typed.node, typed.kind, Field(name, typed.kind, (name,)))
        case Operation():
            arguments = tuple(_replaced(argument, aggregates) for argument in typed.arguments)
            return Operation(typed.node, typed.kind, typed.name, arguments)
        case _:
            return typed
