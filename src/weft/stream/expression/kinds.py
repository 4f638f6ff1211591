"""Kinds: how the type of a value is settled from both of its sides.

A field of `data` has no declared kind. It stays open until something it is compared or combined with decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from weft.core.errors import Invalid
from weft.stream.column import Kind
from weft.stream.expression.fault import excerpt, fault
from weft.stream.expression.tree import Node
from weft.stream.expression.typed import Constant, Operation, Typed
from weft.stream.expression.write import write

WORDS: Final[dict[Kind, str]] = {
    "integer": "a number",
    "number": "a number",
    "text": "a text",
    "boolean": "true or false",
    "texts": "a list of texts",
}
_NUMERIC: Final = frozenset[Kind]({"integer", "number"})


@dataclass(frozen=True, slots=True)
class Open:
    """A part whose kind is still open; `settle` makes it one of the given kind."""

    node: Node
    settle: Callable[[Kind], Typed]


Draft = Typed | Open


def settled(draft: Draft, kind: Kind) -> Typed | None:
    """The part as this kind, or None where it is of another one. An integer is a number too."""
    if isinstance(draft, Open):
        return draft.settle(kind)
    if draft.kind == kind:
        return draft
    return as_number(draft) if kind == "number" and draft.kind == "integer" else None


def as_number(typed: Typed) -> Typed:
    """An integer as the float that is nearest."""
    if isinstance(typed, Constant) and isinstance(typed.value, int):
        return Constant(typed.node, "number", float(typed.value))
    return Operation(typed.node, "number", "as_number", (typed,))


def common_kind(drafts: Sequence[Draft]) -> Kind | None:
    """The one kind all parts can have; None where they differ. Raises LookupError where nothing decides."""
    kinds: set[Kind] = {draft.kind for draft in drafts if not isinstance(draft, Open)}
    if not kinds:
        raise LookupError
    if kinds <= _NUMERIC and (len(kinds) > 1 or any(isinstance(draft, Open) for draft in drafts)):
        return "number"
    return next(iter(kinds)) if len(kinds) == 1 else None


def described(draft: Draft) -> str:
    """`source is a text`."""
    name = excerpt(write(draft.node))
    return f"nothing says what {name} is" if isinstance(draft, Open) else f"{name} is {WORDS[draft.kind]}"


def undecided(draft: Draft, text: str) -> Invalid:
    """Refuses a part of which nothing says what it is, with what to write instead."""
    name = write(draft.node)
    return fault(
        f"nothing says whether {excerpt(name)} is a number or a text; write number({excerpt(name)}) or text({excerpt(name)})",
        text,
        draft.node.column,
        draft.node.length,
        expected=f"number({name}) or text({name})",
    )
