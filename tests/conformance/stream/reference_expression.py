"""What an expression means, said a second time and as plainly as possible: one event, one value, None for unknown.

Written from the design and docs, not from `weft.stream.expression`, so that two readings of the language check each other. It
is slow, knows no types in advance and accepts more than the real one, which refuses what it cannot type.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Node = tuple[Any, ...]
Value = Any
_WRITTEN: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.\d+|\d+)(?:[eE][+-]?\d+)?(?P<unit>[smhd](?![\w.])|%)?)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<name>p\d+(?:\.\d+)?(?=\()|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\["[^"]+"\])*)
  | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!()\[\],])
)""",
    re.VERBOSE,
)
ATTRIBUTES: Final = frozenset(
    ("id", "type", "source", "subject", "time", "received_at", "severity", "user_id", "session_id", "correlation_id", "topic")
)
"""Names whose kind is known; what a field of `data` is, is said by what it is used with."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")


class _Parser:
    """A parser by precedence, for texts that are known to be right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, Any]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            assert found, f"not an expression: {text[place:]!r} in {text!r}"
            place = found.end()
            self._tokens.append(self._token(found))
        self._tokens.append(("end", None))

    @staticmethod
    def _token(found: re.Match[str]) -> tuple[str, Any]:
        unit = found["unit"]
        if found["number"]:
            digits = found["number"].removesuffix(unit or "")
            number: int | float = int(digits) if digits.isdigit() else float(digits)
            return "number", float(number) / 100 if unit == "%" else number * _UNITS[unit] if unit else number
        if found["text"]:
            return "text", re.sub(r"\\(.)", r"\1", found["text"][1:-1])
        if found["name"]:
            words = {"and": "&&", "or": "||", "not": "!"}
            name = found["name"]
            return ("sign", words[name]) if name in words else ("name", name)
        return "sign", found["sign"]

    def _take(self, *signs: str) -> str | None:
        kind, value = self._tokens[0]
        if value in signs and kind in ("sign", "name"):
            self._tokens.pop(0)
            return str(value)
        return None

    def whole(self) -> Node:
        node = self.either()
        condition = self.either() if self._take("where") else None
        assert self._tokens[0][0] == "end", self._tokens
        return node if condition is None else ("where", node, condition)

    def either(self) -> Node:
        node = self.both()
        while self._take("||"):
            node = ("or", node, self.both())
        return node

    def both(self) -> Node:
        node = self.negated()
        while self._take("&&"):
            node = ("and", node, self.negated())
        return node

    def negated(self) -> Node:
        return ("not", self.negated()) if self._take("!") else self.compared()

    def compared(self) -> Node:
        node = self.summed()
        if sign := self._take(*_COMPARISONS):
            return ("compare", sign, node, self.summed())
        if self._take("in"):
            return ("in", node, self.summed())
        return node

    def summed(self) -> Node:
        node = self.multiplied()
        while sign := self._take("+", "-"):
            node = ("arithmetic", sign, node, self.multiplied())
        return node

    def multiplied(self) -> Node:
        node = self.signed()
        while sign := self._take("*", "/", "%"):
            node = ("arithmetic", sign, node, self.signed())
        return node

    def signed(self) -> Node:
        return ("arithmetic", "-", ("value", 0), self.signed()) if self._take("-") else self.single()

    def single(self) -> Node:
        kind, value = self._tokens.pop(0)
        if kind in ("number", "text"):
            return ("value", value)
        if kind == "sign" and value == "(":
            node = self.either()
            assert self._take(")")
            return node
        if kind == "sign" and value == "[":
            return ("list", *self._listed("]"))
        assert kind == "name", (kind, value)
        if value in _CONSTANTS:
            return ("value", _CONSTANTS[value])
        return ("call", value, *self._listed(")")) if self._take("(") else ("name", value)

    def _listed(self, end: str) -> list[Node]:
        nodes: list[Node] = []
        while not self._take(end):
            if self._take("where"):  # count(where x > 5): of events, not of a value
                nodes.append(("where", None, self.either()))
                continue
            node = self.either()
            nodes.append(("where", node, self.either()) if self._take("where") else node)
            self._take(",")
        return nodes


def parse(text: str) -> Node:
    """The tree of an expression."""
    return _Parser(text).whole()


def is_number(value: Value) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite(value: float) -> float | None:
    """A number as Weft holds it; what is infinite or no number is unknown."""
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def as_number(value: Value) -> float | None:
    """A number of an event is a float."""
    try:
        return finite(float(value)) if is_number(value) else None
    except OverflowError:
        return None


def to_number(value: Value) -> float | None:
    """A number, or the one that a text writes."""
    if isinstance(value, str):
        return finite(float(value.strip(" "))) if _WRITTEN.fullmatch(value.strip(" ")) else None
    return as_number(value)


def to_text(value: Value) -> str | None:
    """A text, or how a number or a truth is written."""
    if isinstance(value, bool):
        return str(value).lower()
    if is_number(value):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else str(float(value))
    return value if isinstance(value, str) else None


def evaluate(node: Node, name: Callable[[str], Value]) -> Value:
    """The value of a tree, where `name` says what names stand for."""
    return _FORMS[node[0]](node, name)


def _and(node: Node, name: Callable[[str], Value]) -> Value:
    sides = [_truth(evaluate(side, name)) for side in node[1:]]
    return False if False in sides else None if None in sides else True


def _or(node: Node, name: Callable[[str], Value]) -> Value:
    sides = [_truth(evaluate(side, name)) for side in node[1:]]
    return True if True in sides else None if None in sides else False


def _not(node: Node, name: Callable[[str], Value]) -> Value:
    value = _truth(evaluate(node[1], name))
    return None if value is None else not value


def _truth(value: Value) -> bool | None:
    return value if isinstance(value, bool) else None


def compare(sign: str, one: Value, other: Value) -> bool | None:
    """A comparison; unknown where a side is unknown or they are of different kinds."""
    alike = (is_number(one) and is_number(other)) or (type(one) is type(other) and isinstance(one, str | bool))
    if not alike:
        return None
    return {
        "==": one == other,
        "!=": one != other,
        "<": one < other,
        "<=": one <= other,
        ">": one > other,
        ">=": one >= other,
    }[sign]


def arithmetic(sign: str, one: Value, other: Value) -> Value:
    """A calculation; unknown where a side is unknown or no number, and for x / 0."""
    if not is_number(one) or not is_number(other):
        return None
    try:
        if sign in "/%":
            if other == 0:
                return None
            return finite(one / other if sign == "/" else math.fmod(one, other))
        return finite({"+": one + other, "-": one - other, "*": one * other}[sign])
    except OverflowError:
        return None


def _in(node: Node, name: Callable[[str], Value]) -> Value:
    one = evaluate(node[1], name)
    if node[2][0] != "list":
        listed = evaluate(node[2], name)
        return None if one is None or listed is None else one in listed
    found = [compare("==", one, evaluate(item, name)) for item in node[2][1:]]
    return True if True in found else None if None in found else False


def _call(node: Node, name: Callable[[str], Value]) -> Value:
    values = [evaluate(argument, name) for argument in node[2:]]
    if node[1] in ("number", "text") and node[2][0] == "name" and node[2][1] not in ATTRIBUTES:
        return as_number(values[0]) if node[1] == "number" else values[0] if isinstance(values[0], str) else None
    if node[1] == "coalesce":
        return next((value for value in values if value is not None), None)
    if node[1] == "is_null":
        return values[0] is None
    if any(value is None for value in values):
        return None
    return _FUNCTIONS[node[1]](*values)


def _texts(function: Callable[..., Value]) -> Callable[..., Value]:
    return lambda *values: function(*values) if all(isinstance(value, str) for value in values) else None


_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "startswith": _texts(str.startswith),
    "endswith": _texts(str.endswith),
    "contains": _texts(str.__contains__),
    "lower": _texts(lambda value: "".join(sign.lower()[0] for sign in value)),
    "abs": lambda value: finite(abs(value)) if is_number(value) else None,
    "number": to_number,
    "text": to_text,
}
_FORMS: Final[Mapping[str, Callable[[Node, Callable[[str], Value]], Value]]] = {
    "value": lambda node, _: node[1],
    "name": lambda node, name: name(node[1]),
    "and": _and,
    "or": _or,
    "not": _not,
    "compare": lambda node, name: compare(node[1], evaluate(node[2], name), evaluate(node[3], name)),
    "arithmetic": lambda node, name: arithmetic(node[1], evaluate(node[2], name), evaluate(node[3], name)),
    "in": _in,
    "call": _call,
}
