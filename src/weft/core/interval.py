"""An interval: how long a bucket or a window is, as text such as `90s`, `5m`, `1h`, `7d`."""

import re
from typing import Final

from weft.core.errors import Invalid
from weft.core.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US

LONGEST_US: Final = 31 * DAY_US

_TEXT: Final = re.compile(r"([1-9][0-9]{0,9})([smhd])", re.ASCII)
_UNIT_US: Final = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}


def parse_interval(text: str, *, field: str = "interval") -> int:
    """Microseconds of a whole number followed by s, m, h or d, from 1s to 31d. Raises Invalid, naming `field`."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Invalid(f"'{text[:32]}' is not an interval; write a whole number and s, m, h or d, such as 5m", field=field)
    interval_us = int(found[1]) * _UNIT_US[found[2]]
    if interval_us > LONGEST_US:
        raise Invalid(f"the interval '{text[:32]}' is longer than 31d", field=field, longest="31d")
    return interval_us
