"""Times are int64 microseconds UTC. This is the only place that turns them into text and back.

Text is ISO 8601 / RFC 3339 with an offset; text without an offset is refused, because nobody can know what it meant.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from weft.core.errors import Invalid

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
EARLIEST_US: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The calendar of texts begins and ends here: `to_text` knows nothing before or after."""


def from_datetime(moment: datetime) -> int:
    """Exact microseconds of an aware datetime. Raises Invalid for a naive one."""
    if moment.tzinfo is None:
        raise Invalid(f"the time {moment.isoformat()} has no UTC offset; add 'Z' or '+01:00'")
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(time_us: int) -> datetime:
    """The aware UTC datetime of a number of microseconds."""
    return _EPOCH + timedelta(microseconds=time_us)


def parse(text: str, *, field: str = "time") -> int:
    """Microseconds of an ISO 8601 text with an offset. Raises Invalid, naming `field`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"'{text[:64]}' is not an ISO 8601 time such as 2026-01-31T12:00:00Z", field=field) from None
    if moment.tzinfo is None:
        raise Invalid(f"the time '{text[:64]}' has no UTC offset; add 'Z' or '+01:00'", field=field)
    return from_datetime(moment)


def to_text(time_us: int) -> str:
    """RFC 3339 text in UTC with a 'Z'; microseconds are written only where there are some."""
    return to_datetime(time_us).isoformat().replace("+00:00", "Z")
