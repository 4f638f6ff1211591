"""A column of time texts, parsed in a few array operations.

Clients write their times alike: of one length, with one layout, mostly on one day. Each character is then compared with the
least it may be and the most, all of them in one subtraction, and what is left are the digits, to be added up by their worth.
A column that is not like that is None here and is parsed text by text; both ways give the same microseconds.
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

_DAY: Final = "dddd-dd-dd"
_CLOCK: Final = "Tdd:dd:dd"
_DAY_END: Final = len(_DAY)
_CLOCK_END: Final = _DAY_END + len(_CLOCK)
_LONGEST: Final = _CLOCK_END + len(".123456789+01:00")
_MICROSECOND_DIGITS: Final = 6
_MOST_DIGITS: Final = 9
_WORTH_US: Final = {
    11: 10 * HOUR_US,
    12: HOUR_US,
    14: 10 * MINUTE_US,
    15: MINUTE_US,
    17: 10 * SECOND_US,
    18: SECOND_US,
    **{_CLOCK_END + 1 + place: 10 ** (_MICROSECOND_DIGITS - 1 - place) for place in range(_MICROSECOND_DIGITS)},
}
"""What a digit is worth at each place; digits beyond the microsecond are worth nothing, as everywhere in Weft."""
_MOST: Final = {11: "2", 14: "5", 17: "5"}
"""The largest digit where it is not 9; an hour past 23 shows in the sum."""
_DAYS_IN: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_FEBRUARY: Final = 2


@dataclass(frozen=True, slots=True)
class _Layout:
    """Texts of one kind, each followed by a line feed: the least each character may be, and by how much it may be more."""

    least: bytes
    spread: bytes
    worth_us: npt.NDArray[np.float64]
    start_us: int
    """What the sum of the digits is counted from."""


def parse_column(texts: Sequence[str]) -> Int64s | None:
    """Microseconds of every text, or None where the column is not uniform or not certainly right."""
    first = texts[0]
    if len(texts) < FEWEST or not _CLOCK_END < len(first) <= _LONGEST:
        return None
    zone = "Z" if first[-1] == "Z" else first[-6:]
    joined = "\n".join(texts) + "\n"
    if len(joined) != len(texts) * (len(first) + 1) or not joined.isascii():
        return None
    joined_bytes = joined.encode("ascii")
    layout = _layout(first[:_DAY_END], len(first), zone)
    digits = None if layout is None else _digits(joined_bytes, layout, len(texts))
    if layout is not None and digits is not None:
        return _clock_us(digits, layout)
    layout = _layout(None, len(first), zone)
    digits = None if layout is None else _digits(joined_bytes, layout, len(texts))
    if layout is None or digits is None:
        return None
    clock, days = _clock_us(digits, layout), _days_us(digits)
    return None if clock is None or days is None else clock + days


def parse_each(texts: Sequence[str]) -> Int64s:
    """Microseconds of every text, one by one. Raises Invalid at the first that is no time."""
    return np.fromiter(map(times.parse, texts), dtype=np.int64, count=len(texts))


@lru_cache(maxsize=256)
def _layout(day: str | None, length: int, zone: str) -> _Layout | None:
    """The layout of texts of this length and zone, all of one day or (None) each of any."""
    shape = _shape(length, zone)
    if shape is None:
        return None
    try:
        start_us = times.parse(f"{day or '1970-01-01'}T00:00:00{zone}")
    except (Invalid, OverflowError):
        return None
    if day is not None:
        shape = day + shape[_DAY_END:]
    least = shape.replace("d", "0").encode("ascii")
    most = "".join(_MOST.get(place, "9") if kind == "d" else kind for place, kind in enumerate(shape)).encode("ascii")
    worth = [float(_WORTH_US.get(place, 0)) for place in range(len(shape))]
    return _Layout(
        least=least,
        spread=bytes(high - low for high, low in zip(most, least, strict=True)),
        worth_us=np.array(worth, dtype=np.float64),
        start_us=start_us,
    )


def _shape(length: int, zone: str) -> str | None:
    """What stands where, `d` for a digit; None where no time looks like that."""
    if zone != "Z" and (zone[0] not in "+-" or zone[3] != ":" or not (zone[1:3] + zone[4:]).isdecimal()):
        return None
    rest = length - _CLOCK_END - len(zone)
    if rest < 0 or rest == 1 or rest > _MOST_DIGITS + 1:
        return None  # a point needs digits, and not too many
    fraction = "." + "d" * (rest - 1) if rest else ""
    return f"{_DAY}{_CLOCK}{fraction}{zone}\n"


def _digits(joined: bytes, layout: _Layout, count: int) -> npt.NDArray[np.uint8] | None:
    """What each character is above its least, or None where one is too low or too high.

    A line feed is the least and the most where one belongs and nowhere else, so texts that differ in length do not pass.
    """
    above = np.frombuffer(joined, dtype=np.uint8) - np.frombuffer(layout.least * count, dtype=np.uint8)
    if (above > np.frombuffer(layout.spread * count, dtype=np.uint8)).any():
        return None
    return above.reshape(count, len(layout.least))


def _clock_us(digits: npt.NDArray[np.uint8], layout: _Layout) -> Int64s | None:
    """Microseconds from the layout's start, or None where an hour is past 23."""
    end = min(_CLOCK_END + 1 + _MICROSECOND_DIGITS, digits.shape[1])
    clock = (digits[:, _DAY_END:end].astype(np.float64) @ layout.worth_us[_DAY_END:end]).astype(np.int64)
    if clock.max() >= DAY_US:
        return None
    clock += layout.start_us
    return clock


def _days_us(digits: npt.NDArray[np.uint8]) -> Int64s | None:
    """Midnight of each text's own day, or None where one is not in the calendar."""
    wide = digits[:, :_DAY_END].astype(np.int64)
    year = wide[:, 0] * 1000 + wide[:, 1] * 100 + wide[:, 2] * 10 + wide[:, 3]
    month = wide[:, 5] * 10 + wide[:, 6]
    day = wide[:, 8] * 10 + wide[:, 9]
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
