"""The tree of an expression as it was written. Two trees are equal where they say the same, wherever it stood."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

Comparator = Literal["==", "!=", "<", "<=", ">", ">="]
ArithmeticSign = Literal["+", "-", "*", "/", "%"]
LogicalWord = Literal["and", "or"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of an expression; `column` counts from 1."""

    column: int = field(compare=False)
    length: int = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    """`30`, `0.5`, `5%` (0.05), `5m` (300 seconds). `value` is an int where it is whole and has 64 bits."""

    text: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    """`"door"` or `'door'`."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Null(Node):
    """`null`: no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    """`source`, `data.temperature`, `data["gyro-x"].rms`."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Node):
    """`[1, 2, 3]`, after `in`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative(Node):
    """`-x`."""

    operand: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Node):
    """`not x`; also what `x not in [..]` is."""

    operand: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic(Node):
    """`a + b`."""

    sign: ArithmeticSign
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Node):
    """`a < b`."""

    sign: Comparator
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Node):
    """`x in [..]` or `x in tags`."""

    item: Node
    group: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Logical(Node):
    """`a and b and c`: two terms or more, without parentheses between them."""

    word: LogicalWord
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """`lower(source)`, `avg(temperature where type == "reading")`, `count where severity == "high"`."""

    function: str
    arguments: tuple[Node, ...]
    where: Node | None = None


def children(node: Node) -> tuple[Node, ...]:
    """The parts a node is directly made of, in the order they are written."""
    parts: tuple[Node | None, ...] = ()
    match node:
        case Listing():
            parts = node.items
        case Negative() | Not():
            parts = (node.operand,)
        case Arithmetic() | Comparison():
            parts = (node.left, node.right)
        case Membership():
            parts = (node.item, node.group)
        case Logical():
            parts = node.terms
        case Call():
            parts = (*node.arguments, node.where)
        case _:
            pass
    return tuple(part for part in parts if part is not None)


def walk(node: Node) -> Iterator[tuple[int, Node]]:
    """Every node below and including this one, from the outside in, with its depth; this one has depth 1."""
    waiting = [(1, node)]
    while waiting:
        depth, part = waiting.pop()
        yield depth, part
        waiting += [(depth + 1, child) for child in reversed(children(part))]


def rewritten(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with `change` applied to every node, from the inside out."""

    def inner(part: Node) -> Node:
        return rewritten(part, change)

    before = children(node)
    after = tuple(map(inner, before))
    if any(new is not old for new, old in zip(after, before, strict=True)):
        node = _remade(node, after)
    return change(node)


def _remade(node: Node, parts: tuple[Node, ...]) -> Node:
    """The node made of other parts, which stand in the order of `children`."""
    made = node
    match node:
        case Listing():
            made = replace(node, items=parts)
        case Negative() | Not():
            made = replace(node, operand=parts[0])
        case Arithmetic() | Comparison():
            made = replace(node, left=parts[0], right=parts[1])
        case Membership():
            made = replace(node, item=parts[0], group=parts[1])
        case Logical():
            made = replace(node, terms=parts)
        case Call():
            count = len(node.arguments)
            made = replace(node, arguments=parts[:count], where=None if node.where is None else parts[count])
        case _:
            pass
    return made
