"""Readings of JSON values: what a value is worth to someone who asks for a number, a text and so on."""

from collections.abc import Sequence
from typing import cast

from weft.stream.column import Reading
from weft.stream.expression.scalar import finite
from weft.stream.expression.typed import Value

_LEAST, _MOST = -(2**63), 2**63 - 1


def read(reading: Reading, value: object) -> Value:
    """The value in this reading; None where it is missing, null or of another type. Nothing is converted."""
    match reading:
        case "present":
            return value is not None
        case "number":
            return _number(value)
        case "integer":
            return value if isinstance(value, int) and not isinstance(value, bool) and _LEAST <= value <= _MOST else None
        case "text":
            return value if isinstance(value, str) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "texts":
            return _texts(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return finite(number)


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        return None
    texts = tuple(cast("Sequence[object]", value))
    return cast("tuple[str, ...]", texts) if all(isinstance(text, str) for text in texts) else None
