"""An expression as a sentence a person would say."""

from typing import Final

from weft.stream.expression.functions import FUNCTIONS, METRICS, QUANTILE, find_aggregate
from weft.stream.expression.parser import RATIO
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
from weft.stream.expression.write import write_name, write_text

_COMPARED: Final = {
    "==": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}
_CALCULATED: Final = {"+": "plus", "-": "less", "*": "times", "/": "divided by", "%": "modulo"}
_UNITS: Final = {"ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day"}
_OWN_WORDS: Final = ("the ", "no ", "an ", "events ", "it is ", "minus ")
"""How a sentence may begin with a capital: with a word of ours, not with the name of a field."""

_OPPOSITES: Final = {
    "contains": "{0} does not contain {1}",
    "endswith": "{0} does not end with {1}",
    "is_null": "{0} is known",
    "startswith": "{0} does not begin with {1}",
    "absent": "an event came{with}",
}


def sentence(node: Node, *, window: bool = False) -> str:
    """What a tree says, as a sentence: `The error rate is above 5 % and the average of temperature is above 30.`

    In an expression over a `window` the names of metrics are spelt out.
    """
    text = _condition(node, window=window)
    return (text[:1].upper() + text[1:] if text.startswith(_OWN_WORDS) else text) + "."


def _condition(node: Node, *, window: bool) -> str:
    """A node that is true or false, where it stands as a clause."""
    match node:
        case Logical():
            return f" {node.word} ".join(_clause(term, window=window) for term in node.terms)
        case Not():
            return _denied(node.operand, window=window)
        case Comparison(sign=sign, left=left, right=right):
            return f"{_value(left, window=window)} {_COMPARED[sign]} {_value(right, window=window)}"
        case Membership():
            return _belonging(node, "is", window=window)
        case Name() if node.path[0] not in METRICS or not window:
            return f"{_value(node, window=window)} is true"
        case _:
            return _value(node, window=window)


def _clause(node: Node, *, window: bool) -> str:
    text = _condition(node, window=window)
    return f"({text})" if isinstance(node, Logical) else text


def _denied(node: Node, *, window: bool) -> str:
    match node:
        case Membership():
            return _belonging(node, "is not", window=window)
        case Name():
            return f"{_value(node, window=window)} is not true"
        case Call() if node.function in _OPPOSITES:
            return _phrase(_OPPOSITES[node.function], node, window=window)
        case _:
            return f"it is not so that {_clause(node, window=window)}"


def _belonging(node: Membership, verb: str, *, window: bool) -> str:
    item, group = _value(node.item, window=window), node.group
    if isinstance(group, Listing):
        return f"{item} {verb} one of {', '.join(_value(choice, window=window) for choice in group.items)}"
    return f"{item} {verb} among the {_value(group, window=window)}"


def _value(node: Node, *, window: bool) -> str:
    """A node as the subject or object of a clause."""
    match node:
        case Number():
            return _number(node.text)
        case Text():
            return write_text(node.value)
        case Truth():
            return "true" if node.value else "false"
        case Name():
            return _named(node, window=window)
        case _:
            return _composed(node, window=window)


def _composed(node: Node, *, window: bool) -> str:
    match node:
        case Negative():
            return f"minus {_operand(node.operand, window=window)}"
        case Arithmetic():
            return f"{_operand(node.left, window=window)} {_CALCULATED[node.sign]} {_operand(node.right, window=window)}"
        case Call() if node.function in METRICS and find_aggregate(node.function) is None:
            return METRICS[node.function].phrase + _restricted(node)
        case Call():
            function = FUNCTIONS.get(node.function) or find_aggregate(node.function)
            return node.function if function is None else _phrase(function.phrase, node, window=window)
        case Logical() | Not() | Comparison() | Membership():
            return f"whether {_condition(node, window=window)}"
        case _:
            return "null"


def _operand(node: Node, *, window: bool) -> str:
    text = _value(node, window=window)
    return f"({text})" if isinstance(node, Arithmetic) else text


def _named(node: Name, *, window: bool) -> str:
    first, *rest = node.path
    if window and not rest and first in METRICS:
        return METRICS[first].phrase
    return write_name(rest) if first == "data" and rest and rest[0].isidentifier() else write_name(node.path)


def _phrase(phrase: str, node: Call, *, window: bool) -> str:
    """What a function is in words, with what it takes put in."""
    inner = window and node.function in {RATIO, *FUNCTIONS}
    taken = [_taken(argument, node.function, window=inner) for argument in node.arguments]
    quantile = node.function[1:] + ("th" if find_aggregate(node.function) is find_aggregate(QUANTILE) else "")
    given = f" with {taken[0]}" if taken else ""
    if not taken and "{0}" in phrase:
        taken = ["events"]
    return phrase.format(*taken, all=_enumerated(taken), quantile=quantile, **{"with": given}) + _restricted(node)


def _taken(node: Node, function: str, *, window: bool) -> str:
    """An argument; a condition in a ratio stands for the events of which it is true."""
    if function == RATIO and isinstance(node, Comparison | Logical | Membership | Not):
        return f"events where {_condition(node, window=False)}"
    return _value(node, window=window)


def _enumerated(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + f" and {texts[-1]}" if texts else ""


def _restricted(node: Call) -> str:
    return "" if node.where is None else f" where {_condition(node.where, window=False)}"


def _number(text: str) -> str:
    digits = text.rstrip("%msdh")
    unit = text[len(digits) :]
    if unit == "%":
        return f"{digits} %"
    return f"{digits} {_UNITS[unit]}{'' if digits == '1' else 's'}" if unit else digits
