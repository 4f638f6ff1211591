"""A column of time texts, parsed in a few array operations.

Clients write their times alike: all of one length, with one layout. Such a column is turned into digits, checked and
added up at once. Anything else is None here and is parsed text by text; both ways give the same microseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from weft.core import times
from weft.core.batch import Int64s
from weft.core.errors import Invalid
from weft.core.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US

FEWEST: Final = 12
"""Below this many texts the array operations cost more than they save."""

_Grid = npt.NDArray[np.uint8]

_DAY_LENGTH: Final = len("2026-01-31T")
_CLOCK_END: Final = len("2026-01-31T12:00:00")
_SHORTEST: Final = _CLOCK_END + 1
_LONGEST: Final = _CLOCK_END + len(".123456789+01:00")
_MICROSECOND_DIGITS: Final = 6
_DAYS_IN: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_FEBRUARY: Final = 2
_DIGIT: Final = 9
_LAST_HOUR: Final = 23
_LAST_TENS: Final = 5


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the digits of one kind of text stand, what each is worth in microseconds, and what stands between them."""

    clock_digits: npt.NDArray[np.intp]
    worth_us: npt.NDArray[np.float64]
    separators: npt.NDArray[np.intp]
    separator_bytes: _Grid
    offset_us: int


def parse_column(texts: Sequence[str]) -> Int64s | None:
    """Microseconds of every text, or None where the column is not uniform or not certainly right."""
    count = len(texts)
    length = len(texts[0])
    if count < FEWEST or not _SHORTEST <= length <= _LONGEST:
        return None
    joined = "".join(texts)
    if not joined.isascii() or len(joined) != count * length:
        return None
    layout = _layout(texts[0])
    if layout is None:
        return None
    if len(set(map(len, texts))) != 1:
        return None
    grid = np.ascontiguousarray(np.frombuffer(joined.encode("ascii"), dtype=np.uint8).reshape(count, length).T)
    clock = _clock_us(grid, layout)
    if clock is None:
        return None
    day = _day_us(texts[0][: _DAY_LENGTH - 1]) if _is_one_day(grid) else _days_us(grid)
    return None if day is None else clock + (day - layout.offset_us)


def parse_each(texts: Sequence[str]) -> Int64s:
    """Microseconds of every text, one by one. Raises Invalid at the first that is no time."""
    return np.fromiter(map(times.parse, texts), dtype=np.int64, count=len(texts))


@lru_cache(maxsize=64)
def _layout_of(length: int, zone: str) -> _Layout | None:
    """The layout of texts of this length that end in this zone."""
    fraction = length - _CLOCK_END - len(zone) - 1
    if fraction == 0 or fraction > _MICROSECOND_DIGITS + 3:
        return None  # a point without digits
    fraction = max(fraction, 0)
    clock = [11, 12, 14, 15, 17, 18]
    worth: list[float] = [10 * HOUR_US, HOUR_US, 10 * MINUTE_US, MINUTE_US, 10 * SECOND_US, SECOND_US]
    for place in range(fraction):  # digits beyond the microsecond are dropped, as everywhere in Weft
        clock.append(_CLOCK_END + 1 + place)
        worth.append(10.0 ** (_MICROSECOND_DIGITS - 1 - place) if place < _MICROSECOND_DIGITS else 0.0)
    between = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"}
    if fraction:
        between[_CLOCK_END] = "."
    for place, character in enumerate(zone):
        between[length - len(zone) + place] = character
    try:
        offset_us = -times.parse(f"1970-01-01T00:00:00{zone}")
    except Invalid:
        return None
    return _Layout(
        clock_digits=np.array(clock, dtype=np.intp),
        worth_us=np.array(worth, dtype=np.float64),
        separators=np.array(list(between), dtype=np.intp),
        separator_bytes=np.frombuffer("".join(between.values()).encode(), dtype=np.uint8)[:, np.newaxis],
        offset_us=offset_us,
    )


def _layout(text: str) -> _Layout | None:
    """The layout of the first text; the others have to share it, zone included."""
    zone = "Z" if text[-1] == "Z" else text[-6:]
    if zone != "Z" and (zone[0] not in "+-" or zone[3] != ":" or not (zone[1:3] + zone[4:]).isdecimal()):
        return None
    return _layout_of(len(text), zone)


def _clock_us(grid: _Grid, layout: _Layout) -> Int64s | None:
    """Microseconds since midnight of every text, or None where one has a wrong character or an hour past 23."""
    if (grid[layout.separators] != layout.separator_bytes).any():
        return None
    digits = grid[layout.clock_digits] - np.uint8(ord("0"))
    if digits.max() > _DIGIT or (digits[2:5:2] > _LAST_TENS).any():
        return None
    if (digits[0] * np.uint8(10) + digits[1] > _LAST_HOUR).any():
        return None
    return (layout.worth_us @ digits).astype(np.int64)


def _is_one_day(grid: _Grid) -> bool:
    return bool((grid[:_DAY_LENGTH] == grid[:_DAY_LENGTH, :1]).all())


@lru_cache(maxsize=256)
def _day_us(text: str) -> int | None:
    try:
        return times.parse(f"{text}T00:00:00Z")
    except Invalid:
        return None


def _days_us(grid: _Grid) -> Int64s | None:
    """Midnight of each text's own day, or None where one is not in the calendar."""
    digits = grid[[0, 1, 2, 3, 5, 6, 8, 9]] - np.uint8(ord("0"))
    if digits.max() > _DIGIT:
        return None
    wide = digits.astype(np.int64)
    year = ((wide[0] * 10 + wide[1]) * 10 + wide[2]) * 10 + wide[3]
    month = wide[4] * 10 + wide[5]
    day = wide[6] * 10 + wide[7]
    if year.min() < 1 or month.min() < 1 or month.max() > len(_DAYS_IN) - 1 or day.min() < 1:
        return None
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    if (day > _DAYS_IN[month] + (leap & (month == _FEBRUARY))).any():
        return None
    # Days since 1970-01-01 in the proleptic Gregorian calendar, years beginning in March.
    shifted = year - (month <= _FEBRUARY)
    era_year = shifted % 400
    day_of_year = (153 * (month + np.where(month > _FEBRUARY, -3, 9)) + 2) // 5 + day - 1
    day_of_era = era_year * 365 + era_year // 4 - era_year // 100 + day_of_year
    return ((shifted // 400) * 146_097 + day_of_era - 719_468) * DAY_US
