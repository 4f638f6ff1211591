"""Checking a text while it is typed: what it means, what is wrong with it, what could come next. All of it is data."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from weft.core.errors import Invalid
from weft.core.event import SEVERITIES
from weft.stream.column import Kind
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.complete import Completion, complete
from weft.stream.expression.fault import did_you_mean
from weft.stream.expression.functions import METRICS
from weft.stream.expression.names import EventNames, ResultNames
from weft.stream.expression.parser import MAX_LENGTH, parse
from weft.stream.expression.sentence import sentence
from weft.stream.expression.split import Split, split, split_condition
from weft.stream.expression.tree import Comparison, Listing, Membership, Name, Node, Text, children, walk
from weft.stream.expression.typed import Aggregate, Operation, Typed, fields_of
from weft.stream.expression.write import write

Purpose = Literal["where", "select", "having", "rule"]
Name256 = Annotated[str, Meta(max_length=256)]
Kinds = Annotated[dict[Name256, Kind], Meta(max_length=1_000)]


_MOST_HINTS: Final = 4
"""How many different names are compared with those that were seen: comparing is slow."""


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An expression to look at. `purpose` says where it stands: in a query's `where` (about single events), `select` or
    `having`, or as a rule's condition.

    `fields` are fields of events that were seen, by whole names (`data.temperature`); they serve suggestions. `values` are
    the names `having` may use. `cursor` counts the characters before the place to complete.
    """

    expression: Annotated[str, Meta(max_length=MAX_LENGTH * 2)]
    purpose: Purpose = "where"
    fields: Kinds = {}
    values: Kinds = {}
    threshold: float | None = None
    cursor: int | None = None


class Fault(msgspec.Struct, frozen=True):
    """Something wrong, and where; columns count from 1."""

    message: str
    column: int
    length: int
    expected: str | None = None


class Part(msgspec.Struct, frozen=True):
    """A node of the tree. `kind` is the type of its value, null where the node has none of its own."""

    node: str
    text: str
    column: int
    length: int
    kind: Kind | None
    parts: list["Part"]


class NamedAggregate(msgspec.Struct, frozen=True):
    """An aggregate that the expression needs of the window."""

    name: str
    text: str
    kind: Kind


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about an expression. Without errors it is valid; one that can be read has a tree all the same."""

    valid: bool
    kind: Kind | None = None
    sentence: str | None = None
    tree: Part | None = None
    fields: list[str] = []
    aggregates: list[NamedAggregate] = []
    errors: list[Fault] = []
    warnings: list[Fault] = []
    completions: list[Completion] = []


def check(question: Question) -> Answer:
    """Everything there is to say. Nothing is raised: what is wrong stands in the answer."""
    events = EventNames(question.fields)
    values = ResultNames(question.values)
    completions = _completions(question, events, values)
    tree: Node | None = None
    try:
        tree = parse(question.expression)
        meaning = _meaning(question, events, values)
    except Invalid as wrong:
        shown = None if tree is None else _part(tree, {})
        return Answer(valid=False, tree=shown, errors=[_fault(wrong)], completions=completions)
    kinds = _kinds(meaning)
    return Answer(
        valid=True,
        kind=meaning.expression.kind,
        sentence=_sentence(question, tree, meaning),
        tree=_part(tree, kinds),
        fields=sorted(_fields(question, meaning)),
        aggregates=[NamedAggregate(name, write(each.node), each.kind) for name, each in meaning.aggregates.items()],
        warnings=[] if question.purpose == "having" else list(_warnings(tree, events, question)),
        completions=completions,
    )


def _meaning(question: Question, events: EventNames, values: ResultNames) -> Split:
    text = question.expression
    match question.purpose:
        case "where":
            return Split(bind_condition(text, events), {})
        case "having":
            return Split(bind(text, values, "boolean"), {})
        case "select":
            return split(text, events)
        case "rule":
            return split_condition(text, threshold=question.threshold, events=events)


def _completions(question: Question, events: EventNames, values: ResultNames) -> list[Completion]:
    if question.cursor is None:
        return []
    if question.purpose in {"where", "having"}:
        names = events if question.purpose == "where" else values
        return complete(question.expression, question.cursor, events=names)
    window = ResultNames() if question.threshold is None else ResultNames({"threshold": "number"})
    return complete(question.expression, question.cursor, events=events, window=window)


def _fault(wrong: Invalid) -> Fault:
    details = wrong.details
    return Fault(wrong.message, details.get("column", 1), details.get("length", 1), details.get("expected"))


def _sentence(question: Question, tree: Node, meaning: Split) -> str:
    if question.threshold is not None and question.purpose == "rule":
        tree = meaning.expression.root.node  # a number is compared with the threshold
    return sentence(tree, window=question.purpose in {"select", "rule"})


def _fields(question: Question, meaning: Split) -> set[str]:
    if question.purpose in {"where", "having"}:
        return {field.name for field in meaning.expression.fields}
    return {field.name for aggregate in meaning.aggregates.values() for field in fields_of(aggregate)}


def _kinds(meaning: Split) -> dict[tuple[str, int, int], Kind]:
    """The type of every node's value, by what the node is and where it stands."""
    found: dict[tuple[str, int, int], Kind] = {}
    for root in (*meaning.aggregates.values(), meaning.expression.root):
        for typed in _walk(root):
            found[_place(typed.node)] = typed.kind
    return found


def _walk(typed: Typed) -> Iterator[Typed]:
    """Every typed node, inner ones first, so that an outer one of the same place has the last word."""
    if isinstance(typed, Operation | Aggregate):
        for argument in typed.arguments:
            yield from _walk(argument)
    if isinstance(typed, Aggregate) and typed.where is not None:
        yield from _walk(typed.where)
    yield typed


def _place(node: Node) -> tuple[str, int, int]:
    return type(node).__name__, node.column, node.length


def _part(node: Node, kinds: dict[tuple[str, int, int], Kind]) -> Part:
    parts = [_part(child, kinds) for child in children(node)]
    return Part(type(node).__name__.lower(), write(node), node.column, node.length, kinds.get(_place(node)), parts)


def _warnings(tree: Node, events: EventNames, question: Question) -> Iterator[Fault]:
    """What can be asked but was hardly meant."""
    names: set[tuple[str, ...]] = set()
    for _, node in walk(tree):
        if isinstance(node, Name) and node.path not in names and len(names) < _MOST_HINTS:
            names.add(node.path)
            hint = _strange_name(node, events, question)
            if hint:
                yield Fault(f"no event was seen that has {write(node)}{hint}", node.column, node.length)
        for text in _severities(node):
            hint = did_you_mean(text.value, SEVERITIES) or f"; there are {', '.join(SEVERITIES)}"
            yield Fault(f"no event has the severity {write(text)}{hint}", text.column, text.length)


def _strange_name(node: Name, events: EventNames, question: Question) -> str:
    if question.purpose != "where" and len(node.path) == 1 and node.path[0] in {*METRICS, "threshold"}:
        return ""
    found = events.find(node.path)
    return "" if found is None or found.kind is not None else events.hint(node.path)


def _severities(node: Node) -> Iterator[Text]:
    """Texts the severity is compared with that no severity is."""
    sides: tuple[Node, ...] = ()
    if isinstance(node, Comparison):
        sides = (node.left, node.right)
    elif isinstance(node, Membership) and isinstance(node.group, Listing):
        sides = (node.item, *node.group.items)
    if any(isinstance(side, Name) and side.path == ("severity",) for side in sides):
        yield from (side for side in sides if isinstance(side, Text) and side.value not in SEVERITIES)
