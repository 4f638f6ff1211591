"""When a schedule comes: five fields as cron reads them, on the clock of a time zone."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS: Final = 5
_ANY: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""Where to begin looking whether an expression ever comes; of 50 years from here no kind of day is left out."""


def read_cron(text: str) -> str:
    """A cron expression in its plain form. Raises ValueError where it cannot be read or would never come."""
    fields = text.split()
    if len(fields) != _FIELDS:
        raise ValueError("a cron expression has five fields: minute, hour, day of month, month, day of week")
    expression = " ".join(fields)
    try:
        next(CronSim(expression, _ANY))
    except CronSimError as unreadable:
        raise ValueError(f"this cron expression cannot be read: {unreadable}") from unreadable
    except (ValueError, AssertionError) as unreadable:
        raise ValueError("this cron expression cannot be read") from unreadable
    except StopIteration:
        raise ValueError("there is no such day: this cron expression would never come") from None
    return expression


def read_zone(text: str) -> str:
    """The name of a time zone. Raises ValueError for one that is not known."""
    try:
        ZoneInfo(text)
    except (ValueError, KeyError, OSError) as unknown:  # a path, a name that is none, a folder of zones
        raise ValueError("there is no such time zone; write it like Europe/Berlin, or UTC") from unknown
    return text
