"""What may be asked of a store: the same questions are refused, in the same words, whichever adapter would answer."""

import re
from collections.abc import Sequence
from typing import Any, Final

from weft.core.errors import Invalid, TooLarge
from weft.core.times import DAY_US, HOUR_US
from weft.store.cursor import decode
from weft.store.query import Aggregate, Filter, Group, Select, Series, Trend
from weft.store.settings import StoreSettings

TEXT_FIELDS: Final = ("id", "type", "source", "subject", "severity", "user_id", "session_id", "correlation_id")
NUMBER_FIELDS: Final = ("time", "received_at", "partition", "offset")
KEY_FIELDS: Final = ("type", "source", "severity", "user_id")
TIME_KEYS: Final = {"hour": HOUR_US, "day": DAY_US}
METRICS: Final = ("sum", "avg", "min", "max", "p95", "count", "distinct")
PATH_MAX: Final = 256
SEGMENTS_MAX: Final = 8

_SEGMENT: Final = re.compile(r"[\w@:/ -]{1,64}")


def path_of(field: str) -> list[str]:
    """The names in `data.<path>`. Raises Invalid for a path with other characters than names have."""
    path = field.removeprefix("data.")
    segments = path.split(".")
    if len(path) > PATH_MAX or len(segments) > SEGMENTS_MAX or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise Invalid(
            f"'{field[:64]}' is not a path inside data; write data.<name> or data.<name>.<name> with letters, digits, _ and -",
            field="field",
        )
    return segments


def is_open_range(asked: Filter) -> bool:
    """Whether start or end is missing."""
    return asked.start_us is None or asked.end_us is None


def check_filter(asked: Filter) -> None:
    """Raises Invalid where the range runs backwards or a path inside data is none."""
    if asked.start_us is not None and asked.end_us is not None and asked.start_us > asked.end_us:
        raise Invalid(f"the range ends ({asked.end_us} µs) before it starts ({asked.start_us} µs)", field="end")
    for path, _ in asked.data:
        path_of(path)


def check_select(select: Select, settings: StoreSettings) -> None:
    """Raises Invalid or TooLarge for a page that cannot be asked for."""
    check_filter(select.filter)
    if not 1 <= select.limit <= settings.limit_max:
        raise Invalid(f"limit is {select.limit}; it may be 1 to {settings.limit_max} events", field="limit")
    if select.skip < 0 or (select.after is not None and select.skip):
        raise Invalid("skip is 0 or more, and not given beside a cursor", field="skip")
    if select.skip > settings.skip_max:
        raise TooLarge(
            f"skip is {select.skip}, the limit is {settings.skip_max} events; page by cursor",
            limit=settings.skip_max,
            unit="events",
        )
    if select.after is not None:
        decode(select.after, order=select.order, topic=select.filter.topic)


def check_aggregate(asked: Aggregate, settings: StoreSettings) -> None:
    """Raises Invalid for an aggregation that cannot be asked for."""
    check_filter(asked.filter)
    if asked.metric not in METRICS:
        raise Invalid(f"no metric is called '{asked.metric}'", field="metric", allowed_values=list(METRICS))
    if not 1 <= asked.limit <= settings.groups_max:
        raise Invalid(f"limit is {asked.limit}; it may be 1 to {settings.groups_max} groups", field="limit")
    if "interval" in asked.group_by and not (asked.interval_us and asked.interval_us > 0):
        raise Invalid("grouping by interval needs interval_us above 0", field="interval_us")
    _check_field(asked)
    for name in asked.group_by:
        if name not in KEY_FIELDS and name not in TIME_KEYS and name != "interval":
            _check_path(name)


def _check_field(asked: Aggregate) -> None:
    if asked.field is None:
        if asked.metric != "count":
            raise Invalid(f"{asked.metric} needs a field", field="field")
    elif asked.metric not in {"count", "distinct"}:
        check_number_field(asked.field)
    elif asked.field not in TEXT_FIELDS and asked.field not in NUMBER_FIELDS:
        _check_path(asked.field)


def _check_path(name: str) -> None:
    if not name.startswith("data."):
        allowed = [*KEY_FIELDS, "data.<path>", *TIME_KEYS, "interval"]
        raise Invalid(f"no field is called '{name[:64]}'", field="field", allowed_values=allowed)
    path_of(name)


def check_number_field(field: str) -> None:
    """Raises Invalid for a field that is no number."""
    if field in NUMBER_FIELDS:
        return
    if not field.startswith("data."):
        raise Invalid(
            f"'{field[:64]}' is no number; use data.<path> or one of {', '.join(NUMBER_FIELDS)}",
            field="field",
            allowed_values=["data.<path>", *NUMBER_FIELDS],
        )
    path_of(field)


def check_trend(asked: Trend) -> None:
    """Raises Invalid for a trend that cannot be asked for."""
    check_filter(asked.filter)
    if asked.interval_us <= 0:
        raise Invalid(f"interval_us is {asked.interval_us}; it is above 0", field="interval_us")


def check_series(asked: Series) -> None:
    """Raises Invalid for a series that cannot be asked for."""
    check_filter(asked.filter)
    if is_open_range(asked.filter) or asked.filter.start_us == asked.filter.end_us:
        raise Invalid("a series needs a start and a later end", field="start")
    if asked.buckets < 1:
        raise Invalid(f"buckets is {asked.buckets}; it is 1 or more", field="buckets")
    check_number_field(asked.field)


def check_groups(groups: int, asked: Aggregate) -> None:
    """Raises Invalid where there are more groups than were asked for."""
    if groups > asked.limit:
        raise Invalid(
            f"there are more than {asked.limit} groups; ask for a shorter range, fewer keys or a larger limit",
            field="group_by",
            limit=asked.limit,
        )


def in_order(groups: Sequence[Group]) -> list[Group]:
    """Groups ordered by their keys: truth values, numbers, texts, and last the events that have no such field."""
    return sorted(groups, key=lambda group: [_rank(key) for key in group.keys])


def _rank(key: Any) -> tuple[int, Any]:
    if key is None:
        return (3, 0)
    if isinstance(key, bool):
        return (0, key)
    return (1, key) if isinstance(key, int | float) else (2, key)
