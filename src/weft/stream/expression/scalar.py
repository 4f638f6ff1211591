"""What every operator and function means, on one value at a time. None is unknown.

This is the definition; `columnar` does the same for whole columns and is tested against it.
"""

import math
import operator
import re
from collections.abc import Callable
from typing import Any, Final

from weft.stream.expression.typed import Value

Scalar = Callable[..., Value]

# A number as text: what JSON calls a number, a sign and a leading point allowed.
NUMBER_PATTERN: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER: Final = re.compile(r"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+")
_EXACT: Final = 2.0**53


def conjunction(*terms: Value) -> bool | None:
    """False where any is, else unknown where any is."""
    if False in terms:
        return False
    return None if None in terms else True


def disjunction(*terms: Value) -> bool | None:
    """True where any is, else unknown where any is."""
    if True in terms:
        return True
    return None if None in terms else False


def coalesce(*values: Value) -> Value:
    """The first that is known."""
    return next((value for value in values if value is not None), None)


def finite(value: float) -> float | None:
    """Numbers are finite; what is not is unknown. There is one zero, which has no sign."""
    return value + 0.0 if math.isfinite(value) else None


def divide(left: float, right: float) -> float | None:
    """x/0 is unknown."""
    return finite(left / right) if right else None


def remainder(left: float, right: float) -> float | None:
    """What is left of a division that rounds towards zero; it has the sign of the left side."""
    return finite(math.fmod(left, right)) if right else None


def negative(value: float) -> float | None:
    """With the other sign."""
    return finite(-value)


def lower(text: str) -> str:
    """In small letters, one for one."""
    return text.lower() if text.isascii() else "".join(sign.lower()[0] for sign in text)


def to_number(text: str) -> float | None:
    """The number a text writes, spaces around it allowed."""
    bare = text.strip(" ")
    return finite(float(bare)) if _NUMBER.fullmatch(bare) else None


def to_text(value: Value) -> str:
    """How a number or a truth is written: whole numbers in digits, others as short as they can be read back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return str(value)


def within(item: Value, *items: Value) -> bool:
    """Whether the item is one of the others."""
    return item in items


def _known(function: Callable[..., Any]) -> Scalar:
    """Unknown where any argument is."""

    def strict(*values: Value) -> Value:
        return None if None in values else function(*values)

    return strict


def _arithmetic(function: Callable[[float, float], float]) -> Scalar:
    """What is too large for a float is unknown."""

    def calculate(left: float, right: float) -> float | None:
        return finite(function(left, right))

    return _known(calculate)


def _is_null(value: Value) -> bool:
    return value is None


OPERATIONS: Final[dict[str, Scalar]] = {
    "and": conjunction,
    "or": disjunction,
    "not": _known(operator.not_),
    "==": _known(operator.eq),
    "!=": _known(operator.ne),
    "<": _known(operator.lt),
    "<=": _known(operator.le),
    ">": _known(operator.gt),
    ">=": _known(operator.ge),
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _known(divide),
    "%": _known(remainder),
    "negative": _known(negative),
    "abs": _known(abs),
    "in": _known(within),
    "tagged": _known(operator.contains),
    "startswith": _known(str.startswith),
    "endswith": _known(str.endswith),
    "contains": _known(operator.contains),
    "lower": _known(lower),
    "coalesce": coalesce,
    "is_null": _is_null,
    "to_number": _known(to_number),
    "to_text": _known(to_text),
    "as_number": _known(float),
}
