"""Binding: from a tree and the names it may use to a typed tree, or to the sentence that says what is wrong."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from weft.core.errors import Invalid
from weft.stream.column import Field, Kind
from weft.stream.expression.fault import did_you_mean, excerpt, fault
from weft.stream.expression.functions import FUNCTIONS, METRICS, find_aggregate
from weft.stream.expression.kinds import WORDS, Draft, Open, common_kind, described, settled, undecided
from weft.stream.expression.names import EventNames, Found, Names
from weft.stream.expression.parser import parse
from weft.stream.expression.tree import (
    Arithmetic,
    Call,
    Comparison,
    Listing,
    Logical,
    Membership,
    Name,
    Negative,
    Node,
    Not,
    Null,
    Number,
    Text,
    Truth,
)
from weft.stream.expression.typed import Constant, Expression, Operation, Read, Typed, fields_of
from weft.stream.expression.write import write

_ORDERING: Final = frozenset({"<", "<=", ">", ">="})
_TESTS: Final = frozenset({"contains", "endswith", "startswith"})
_STRICT: Final[dict[str, tuple[Kind, str]]] = {
    "abs": ("number", "abs"),
    "boolean": ("boolean", "coalesce"),
    "lower": ("text", "lower"),
}
"""Functions that take and give one kind, and what they are in the typed tree."""

_SETTLING: Final = 'a comparison, as in temperature > 30, or a condition such as contains(source, "lab")'


def bind(text: str, names: Names, kind: Kind | None = None) -> Expression:
    """A typed expression over single rows, of the given kind if one is given. Raises Invalid."""
    binder = Binder(text, names)
    node = parse(text)
    root = binder.decided(node) if kind is None else binder.wanted(node, kind, "this")
    return Expression(text, root, fields_of(root))


def bind_condition(text: str, names: Names | None = None) -> Expression:
    """A condition over single events, such as a query's `where`. Raises Invalid."""
    binder = Binder(text, names or EventNames())
    root = binder.condition(parse(text))
    return Expression(text, root, fields_of(root))


class Binder:
    """Binds the nodes of one expression over single rows."""

    def __init__(self, text: str, names: Names) -> None:
        self.text = text
        self.names = names

    def condition(self, node: Node) -> Typed:
        """A node that must be true or false."""
        draft = self.draft(node)
        typed = settled(draft, "boolean")
        if typed is None:
            raise self.fault(f"{described(draft)} and no condition; expected {_SETTLING}", node, expected=_SETTLING)
        return typed

    def wanted(self, node: Node, kind: Kind, user: str) -> Typed:
        """A node that must be of this kind, because `user` takes nothing else."""
        return self._settled(self.draft(node), kind, user)

    def _settled(self, draft: Draft, kind: Kind, user: str) -> Typed:
        typed = settled(draft, kind)
        if typed is None:
            raise self.fault(f"{described(draft)}; {user} takes {WORDS[kind]}", draft.node, expected=WORDS[kind])
        return typed

    def decided(self, node: Node) -> Typed:
        """A node whose kind it must say itself."""
        draft = self.draft(node)
        if isinstance(draft, Open):
            raise undecided(draft, self.text)
        return draft

    def draft(self, node: Node) -> Draft:
        """A node, its kind perhaps still open."""
        match node:
            case Number() | Text() | Truth() | Null():
                return self._literal(node)
            case Name():
                return self.name(node)
            case Call():
                return self.call(node)
            case _:
                return self._composed(node)

    def fault(self, message: str, node: Node, *, expected: str | None = None) -> Invalid:
        """What is wrong with a node."""
        return fault(message, self.text, node.column, node.length, expected=expected)

    def name(self, node: Name) -> Draft:
        """A name: what stands for it, as the names say."""
        found = self.names.find(node.path)
        if found is None:
            raise self.fault(f"there is no {excerpt(write(node))} here{self.names.hint(node.path)}", node)
        if found.kind is not None:
            return self._read(node, found, found.kind)
        return Open(node, partial(self._read, node, found))

    def call(self, node: Call) -> Draft:
        """A function of single values."""
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise self._no_function(node)
        if node.where is not None:
            raise self.fault(f"{node.function} looks at one event and takes no where", node.where)
        count, takes = len(node.arguments), len(function.takes)
        if node.function == "coalesce":
            if count < 2:
                raise self.fault("coalesce takes two values or more", node, expected=function.signature)
            return self._coalesce(node)
        if count != takes:
            raise self.fault(f"{function.signature} takes {takes} and was given {count}", node, expected=function.signature)
        return self._function(node)

    def _function(self, node: Call) -> Draft:
        argument = node.arguments[0]
        if node.function in _TESTS:
            return self._text_test(node)
        if node.function == "is_null":
            return self._is_null(node, argument)
        if node.function == "number":
            return self._as_number(node, self.draft(argument))
        if node.function == "text":
            return self._as_text(node, self.draft(argument))
        kind, operation = _STRICT[node.function]
        return Operation(node, kind, operation, (self.wanted(argument, kind, node.function),))

    def _text_test(self, node: Call) -> Typed:
        text, part = map(self.draft, node.arguments)
        if not isinstance(text, Open) and text.kind == "texts":
            name = write(text.node)
            raise self.fault(f'ask for one of {name} with in, as in "night" in {name}', node, expected="in")
        arguments = (self._settled(text, "text", node.function), self._settled(part, "text", node.function))
        return Operation(node, "boolean", node.function, arguments)

    def _literal(self, node: Node) -> Draft:
        match node:
            case Number():
                return Constant(node, "integer" if isinstance(node.value, int) else "number", node.value)
            case Text():
                return Constant(node, "text", node.value)
            case Truth():
                return Constant(node, "boolean", node.value)
            case _:
                return Open(node, lambda kind: Constant(node, kind, None))

    def _read(self, node: Node, found: Found, kind: Kind) -> Typed:
        return Read(node, kind, Field(found.name, kind, found.path))

    def _negative(self, node: Negative) -> Typed:
        """A number that stands in the text stays one, so that it may stand in a list."""
        draft = self.draft(node.operand)
        if isinstance(draft, Constant) and draft.kind in {"integer", "number"} and isinstance(draft.value, int | float):
            return Constant(node, draft.kind, 0 - draft.value)
        return Operation(node, "number", "negative", (self._settled(draft, "number", "a minus sign"),))

    def _composed(self, node: Node) -> Typed:
        match node:
            case Negative():
                return self._negative(node)
            case Not():
                return Operation(node, "boolean", "not", (self.condition(node.operand),))
            case Logical():
                return Operation(node, "boolean", node.word, tuple(map(self.condition, node.terms)))
            case Arithmetic():
                sides = tuple(self.wanted(side, "number", node.sign) for side in (node.left, node.right))
                return Operation(node, "number", node.sign, sides)
            case Comparison():
                return self._comparison(node)
            case Membership():
                return self._membership(node)
            case _:
                raise self.fault("a list stands only after in", node)

    def _comparison(self, node: Comparison) -> Typed:
        for side in (node.left, node.right):
            if isinstance(side, Null):
                other = write(node.right if side is node.left else node.left)
                better = f"is_null({other})" if node.sign == "==" else f"not is_null({other})"
                raise self.fault(f"nothing compares with null; write {excerpt(better)}", node, expected=better)
        sides = (self.draft(node.left), self.draft(node.right))
        kind = self._common(sides, node, "compared")
        if kind == "texts":
            raise self.fault('tags are asked with in, as in "night" in tags', node, expected="in")
        if node.sign in _ORDERING:
            self._check_order(node, kind)
        return Operation(node, "boolean", node.sign, self._settle_all(sides, kind))

    def _check_order(self, node: Comparison, kind: Kind) -> None:
        sides = (node.left, node.right)
        if kind == "boolean":
            raise self.fault("true and false have no order; write == or !=", node, expected="== or !=")
        if any(isinstance(side, Name) and side.path == ("severity",) for side in sides) and isinstance(self.names, EventNames):
            raise self.fault(
                'severities are texts and have no order; write severity in ["high", "critical"]', node, expected="in [...]"
            )
        for side in sides:
            if isinstance(side, Text) and side.value.strip().replace(".", "", 1).lstrip("+-").isdecimal():
                raise self.fault(f"{write(side)} is a text; write {side.value.strip()} to compare numbers", side)

    def _membership(self, node: Membership) -> Typed:
        if isinstance(node.group, Listing):
            drafts = (self.draft(node.item), *map(self._choice, node.group.items))
            kind = self._common(drafts, node, "compared")
            return Operation(node, "boolean", "in", self._settle_all(drafts, kind))
        group = self.draft(node.group)
        if isinstance(group, Open) or group.kind != "texts":
            raise self.fault(
                f"{described(group)}; after in stands a list, as in [1, 2], or tags", node.group, expected="[...] or tags"
            )
        return Operation(node, "boolean", "tagged", (group, self.wanted(node.item, "text", "in tags")))

    def _choice(self, node: Node) -> Draft:
        """An item of a list: a value that stands there, so that belonging to it is one look-up."""
        if isinstance(node, Null):
            raise self.fault("null is never in a list; write is_null(...) beside it", node, expected="a value")
        draft = self.draft(node)
        if not isinstance(draft, Constant):
            raise self.fault(f"a list holds plain values; {excerpt(write(node))} is none", node, expected="a number or a text")
        return draft

    def _common(self, drafts: Sequence[Draft], node: Node, joined: str) -> Kind:
        try:
            kind = common_kind(drafts)
        except LookupError:
            raise undecided(drafts[0], self.text) from None
        if kind is None:
            first = next(draft for draft in drafts if not isinstance(draft, Open))
            other = next(draft for draft in drafts if not isinstance(draft, Open) and common_kind((first, draft)) is None)
            raise self.fault(f"{described(first)} and {described(other)}; they cannot be {joined}", node)
        return kind

    def _settle_all(self, drafts: Sequence[Draft], kind: Kind) -> tuple[Typed, ...]:
        return tuple(typed for draft in drafts if (typed := settled(draft, kind)) is not None)

    def _coalesce(self, node: Call) -> Draft:
        drafts = tuple(map(self.draft, node.arguments))
        if all(isinstance(draft, Open) for draft in drafts):
            return Open(node, lambda kind: Operation(node, kind, "coalesce", self._settle_all(drafts, kind)))
        kind = self._common(drafts, node, "combined")
        if kind == "texts":
            raise self.fault("coalesce takes numbers, texts or truths, not tags", node)
        return Operation(node, kind, "coalesce", self._settle_all(drafts, kind))

    def _is_null(self, node: Node, argument: Node) -> Typed:
        """Whether a value is missing; of a field of data whether it is absent or null, whatever its type."""
        if isinstance(argument, Name):
            found = self.names.find(argument.path)
            if found is not None and found.kind is None:
                present = Read(node, "boolean", Field(found.name, "present", found.path))
                return Operation(node, "boolean", "not", (present,))
        draft = self.draft(argument)
        if isinstance(draft, Open):
            raise undecided(draft, self.text)
        return Operation(node, "boolean", "is_null", (draft,))

    def _as_number(self, node: Node, draft: Draft) -> Typed:
        """A number stays, an open field is read as one, a text is searched for one."""
        if not isinstance(draft, Open) and draft.kind == "text":
            return Operation(node, "number", "to_number", (draft,))
        typed = settled(draft, "number")
        if typed is None:
            raise self.fault(f"{described(draft)}; number takes a text or a number", draft.node, expected="a text or a number")
        return Operation(node, "number", "coalesce", (typed,))

    def _as_text(self, node: Node, draft: Draft) -> Typed:
        """A text stays, an open field is read as one, a number or a truth is written as one."""
        if not isinstance(draft, Open) and draft.kind == "texts":
            raise self.fault('tags are a list of texts; ask with in, as in "night" in tags', draft.node, expected="in")
        if not isinstance(draft, Open) and draft.kind != "text":
            return Operation(node, "text", "to_text", (draft,))
        return Operation(node, "text", "coalesce", (draft.settle("text") if isinstance(draft, Open) else draft,))

    def _no_function(self, node: Call) -> Invalid:
        if find_aggregate(node.function) is not None or node.function in METRICS:
            return self.fault(
                f"{node.function} looks at a whole window; it belongs into select, having or a rule's condition", node
            )
        hint = did_you_mean(node.function, FUNCTIONS) or f"; there are {', '.join(FUNCTIONS)}"
        return fault(f"there is no function {excerpt(node.function)}{hint}", self.text, node.column, len(node.function))
