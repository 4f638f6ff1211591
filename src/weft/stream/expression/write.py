"""From a tree back to text: one way to write each expression, which parses to the same tree."""

from collections.abc import Sequence
from typing import Final

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
    Number,
    Text,
    Truth,
)

_OR, _AND, _NOT, _COMPARING, _ADDING, _MULTIPLYING, _SIGNED, _OPERAND = range(8)
_SIGNS: Final = {"+": _ADDING, "-": _ADDING, "*": _MULTIPLYING, "/": _MULTIPLYING, "%": _MULTIPLYING}


def write(node: Node) -> str:
    """The expression as text."""
    return _write(node)[0]


def write_name(path: Sequence[str]) -> str:
    """`data.temperature`; a part that is no plain word stands in brackets and quotes."""
    first, *rest = path
    return first + "".join(f".{part}" if part.isidentifier() else f"[{write_text(part)}]" for part in rest)


def write_text(text: str) -> str:
    """A text in double quotes, readable by the parser."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    return f"\\u{ord(sign):04x}" if sign < " " else sign


def _write(node: Node) -> tuple[str, int]:
    """The text of a node and how strongly it binds."""
    match node:
        case Negative():
            return f"-{_within(node.operand, _SIGNED)}", _SIGNED
        case Not():
            return f"not {_within(node.operand, _NOT)}", _NOT
        case Arithmetic():
            binds = _SIGNS[node.sign]
            return f"{_within(node.left, binds)} {node.sign} {_within(node.right, binds + 1)}", binds
        case Comparison():
            return f"{_within(node.left, _ADDING)} {node.sign} {_within(node.right, _ADDING)}", _COMPARING
        case Membership():
            return f"{_within(node.item, _ADDING)} in {_within(node.group, _ADDING)}", _COMPARING
        case _:
            return _several(node)


def _several(node: Node) -> tuple[str, int]:
    if isinstance(node, Logical):
        binds = _OR if node.word == "or" else _AND
        return f" {node.word} ".join(_within(term, binds + 1) for term in node.terms), binds
    return _operand(node), _OPERAND


def _operand(node: Node) -> str:
    text = "null"
    match node:
        case Number():
            text = node.text
        case Text():
            text = write_text(node.value)
        case Truth():
            text = "true" if node.value else "false"
        case Name():
            text = write_name(node.path)
        case Listing():
            text = "[" + ", ".join(_within(item, _ADDING) for item in node.items) + "]"
        case Call():
            text = _call(node)
        case _:
            pass
    return text


def _within(node: Node, least: int) -> str:
    text, binds = _write(node)
    return text if binds >= least else f"({text})"


def _call(node: Call) -> str:
    inside = ", ".join(map(write, node.arguments))
    if node.where is not None:
        inside += (" where " if inside else "where ") + write(node.where)
    return f"{node.function}({inside})"
