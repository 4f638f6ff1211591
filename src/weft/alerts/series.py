"""Series: numbers over time in few words, for tests of rules: `20x4 25+5x3 _ 0`.

The notation of Prometheus' rule tests: `a` once; `axn` a and n times more; `a+bxn` a, then n times b more than before (`a-bxn`
less); `_` nothing at that moment, `_xn` n moments without anything.
"""

import re
from collections.abc import Iterator
from typing import Final

from weft.core.errors import Invalid

MOST_VALUES: Final = 100_000

_NUMBER: Final = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_PART: Final = re.compile(
    rf"(?:(?P<value>{_NUMBER})(?P<step>[+-](?:\d+(?:\.\d*)?|\.\d+))?|(?P<gap>_))(?:x(?P<more>\d{{1,6}}))?", re.ASCII
)


def read_series(text: str, *, field: str) -> list[float | None]:
    """The values one after the other; None is a moment without one. Raises Invalid that names the part."""
    values: list[float | None] = []
    for part in text.split():
        values.extend(_read(part, field))
        if len(values) > MOST_VALUES:
            raise Invalid(f"a series has at most {MOST_VALUES} values", field=field, limit=MOST_VALUES)
    return values


def _read(part: str, field: str) -> Iterator[float | None]:
    found = _PART.fullmatch(part)
    if found is None:
        raise Invalid(f"'{part[:32]}' is no part of a series; write numbers, 5x3, 1+2x3 or _", field=field)
    more = int(found["more"] or 0)
    if found["gap"]:
        yield from [None] * max(more, 1)
        return
    if found["step"] and found["more"] is None:
        raise Invalid(f"'{part[:32]}' says no number of steps; write for example 1+2x3", field=field)
    first, step = _number(found["value"]), _number(found["step"] or "0")
    for index in range(more + 1):
        yield first + index * step


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number
