"""Bounds that JSON itself does not set: every number is finite as a 64-bit float, and nesting ends somewhere.

The decoder keeps `data` undecoded, so it has seen neither. Looking at every character in Python would cost more than
everything else at a door; here a few array operations over all payloads of a batch either prove that they are within the
bounds or say that they may not be, and then the exact functions look at each payload.
"""

import math
import re
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from weft.core.batch import Int64s

_Bytes = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]

_TEXT_OR_NUMBER: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|-?[0-9][0-9.eE+-]*+', re.DOTALL)
_BIG_EXPONENT: Final = re.compile(rb"[eE]\+?[0-9]{3,}+(?=[\s,\]}]|\Z)")
_MAY_BE_BIG_EXPONENT: Final = re.compile(rb"[0-9][eE]\+?[0-9]{3}")
_MAY_BE_LONG_RUN: Final = re.compile(rb"[0-9]{200}")

_LONG_RUN: Final = 200
"""A number overflows only with an exponent of three digits, or with more than 208 digits before an exponent of two."""
_STRIDE: Final = 32
_HITS: Final = _LONG_RUN // _STRIDE
"""A run of `_LONG_RUN` digits covers at least this many bytes that stand `_STRIDE` apart."""

_LINE_FEED: Final = np.uint8(ord("\n"))
_ZERO: Final = np.uint8(ord("0"))
_TEN: Final = np.uint8(10)
_LOWER: Final = np.uint8(0x20)
_QUOTE: Final = ord('"')
_EXPONENT: Final = np.uint8(ord("e"))
_OPENER: Final = np.uint8(ord("{"))  # `[` with the bit of lower case set is `{`


def as_bytes(text: bytes) -> _Bytes:
    """The characters of a text as an array, not copied."""
    return np.frombuffer(text, dtype=np.uint8)


def are_surely_finite(text: bytes, longest: int) -> bool:
    """Whether no number in valid JSON texts can be beyond a 64-bit float. False means: look closer.

    `longest` is the size of the longest piece of `text`; no number is longer than its piece.
    """
    characters = as_bytes(text)
    digits = (characters - _ZERO) < _TEN
    if longest >= _LONG_RUN and _has_long_run(digits):
        return False
    return not _has_big_exponent(characters, digits, text)


def openers(text: bytes) -> int:
    """How many `[` and `{` there are, in strings too."""
    return int(np.count_nonzero((as_bytes(text) | _LOWER) == _OPENER))


def starts_of(joined: bytes, pieces: Sequence[msgspec.Raw]) -> Int64s:
    """Where each piece begins in all of them joined by line feeds."""
    feeds = np.flatnonzero(as_bytes(joined) == _LINE_FEED)
    if len(feeds) == len(pieces) - 1:  # no piece has a line feed of its own
        starts = np.empty(len(pieces), dtype=np.int64)
        starts[0] = 0
        np.add(feeds, 1, out=starts[1:])
        return starts
    sizes = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)) + 1
    return np.cumsum(sizes) - sizes


def most_openers(text: bytes, starts: Int64s) -> int:
    """The largest number of `[` and `{` in any of the pieces of `text` that begin at `starts`."""
    marks = (as_bytes(text) | _LOWER) == _OPENER
    places = np.flatnonzero(marks)
    return int(np.bincount(np.searchsorted(starts, places, side="right")).max(initial=0))


def find_overflow(text: bytes) -> str | None:
    """The first number in one valid JSON text that is beyond a 64-bit float, shortened, or None."""
    may_be_long = len(text) >= _LONG_RUN and _MAY_BE_LONG_RUN.search(text)
    if not may_be_long and not _MAY_BE_BIG_EXPONENT.search(text):
        return None
    for match in _TEXT_OR_NUMBER.finditer(text):
        token = match.group()
        if token[0] != _QUOTE and math.isinf(float(token)):
            shown = token[:24].decode("ascii")
            return shown + "…" if len(token) > len(shown) else shown
    return None


def _has_long_run(digits: _Flags) -> bool:
    """Whether there may be `_LONG_RUN` digits in a row: every `_STRIDE`th byte is looked at."""
    samples = digits[::_STRIDE]
    ends = len(samples) - _HITS + 1
    if ends <= 0:
        return False
    run = samples[:ends].copy()
    for step in range(1, _HITS):
        run &= samples[step : ends + step]
    return bool(run.any())


def _has_big_exponent(characters: _Bytes, digits: _Flags, text: bytes) -> bool:
    """Whether there is a digit, an `e`, perhaps a `+`, and three digits that end like a number does."""
    if len(characters) < len("1e999"):
        return False
    hits = (characters[1:-3] | _LOWER) == _EXPONENT
    hits &= digits[:-4]
    hits &= digits[3:-1]  # the second character after the `e` is a digit with and without a `+`
    return bool(hits.any()) and any(_BIG_EXPONENT.match(text, int(place) + 1) for place in np.flatnonzero(hits))
