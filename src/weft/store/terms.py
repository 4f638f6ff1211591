"""What the terms of a question are, whichever engine puts them into its own words."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from weft.store.asking import KEY_FIELDS, NUMBER_FIELDS, TEXT_FIELDS, TIME_KEYS
from weft.store.query import Aggregate, Filter


class Wording(Protocol):
    """How an engine writes a term."""

    def column(self, field: str) -> str:
        """A field beside data, as it is counted."""
        ...

    def number(self, field: str) -> str:
        """A field as a number, NULL where it is none."""
        ...

    def inside(self, field: str) -> str:
        """A value inside data, NULL where there is none. Equal numbers are equal, however they were written."""
        ...

    def start_of(self, width_us: int) -> str:
        """The start of the interval an event lies in."""
        ...


def texts_of(asked: Filter) -> Iterator[tuple[str, Sequence[str]]]:
    """The columns whose text must be one of some, with those texts."""
    several = {"type": asked.types, "source": asked.sources, "severity": asked.severities, "user_id": asked.user_ids}
    single = {"subject": asked.subject, "session_id": asked.session_id, "correlation_id": asked.correlation_id}
    yield from ((column, values) for column, values in several.items() if values is not None)
    yield from ((column, (value,)) for column, value in single.items() if value is not None)


def value_of(asked: Aggregate, wording: Wording) -> str:
    """What the metric is computed over; `1` stands for the event itself."""
    if asked.field is None:
        return "1"
    if asked.metric not in {"count", "distinct"}:
        return wording.number(asked.field)
    if asked.field in TEXT_FIELDS or asked.field in NUMBER_FIELDS:
        return wording.column(asked.field)
    return wording.inside(asked.field)


def key_of(name: str, asked: Aggregate, wording: Wording) -> str:
    """What a key of `group_by` groups by."""
    if name in KEY_FIELDS:
        return wording.column(name)
    if name in TIME_KEYS:
        return wording.start_of(TIME_KEYS[name])
    if name == "interval":
        return wording.start_of(asked.interval_us or 1)
    return wording.inside(name)
