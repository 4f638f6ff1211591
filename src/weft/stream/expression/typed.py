"""The typed tree: what an expression means, once every name and every type in it is settled."""

from dataclasses import dataclass

from weft.stream.column import Field, Kind
from weft.stream.expression.tree import Node

Value = int | float | str | bool | tuple[str, ...] | None
"""What an expression is worth for one row; None is unknown."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the text; None only where null does."""

    node: Node
    kind: Kind
    value: Value


@dataclass(frozen=True, slots=True)
class Read:
    """The value of a field, in one reading of it."""

    node: Node
    kind: Kind
    field: Field


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or a function over what it takes; the name is that of `weft.stream.expression.scalar.OPERATIONS`."""

    node: Node
    kind: Kind
    name: str
    arguments: tuple["Typed", ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate over the events of a window. Its arguments and its condition are about single events."""

    node: Node
    kind: Kind
    function: str
    arguments: tuple["Typed", ...]
    where: "Typed | None"


Typed = Constant | Read | Operation | Aggregate


@dataclass(frozen=True, slots=True)
class Expression:
    """A bound expression. `fields` is all it reads: nothing else of an event is ever looked at."""

    text: str
    root: Typed
    fields: frozenset[Field]

    @property
    def kind(self) -> Kind:
        """The kind of its value."""
        return self.root.kind


def fields_of(typed: Typed) -> frozenset[Field]:
    """Every field that is read in it."""
    match typed:
        case Read():
            return frozenset((typed.field,))
        case Operation():
            return frozenset[Field]().union(*map(fields_of, typed.arguments))
        case Aggregate():
            whole = frozenset[Field]().union(*map(fields_of, typed.arguments))
            return whole if typed.where is None else whole | fields_of(typed.where)
        case Constant():
            return frozenset()
