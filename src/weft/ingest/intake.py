"""Intake: what one request brought, sorted into good events by topic and what is wrong with the others."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from weft.core.batch import Int64s
from weft.core.event import EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why one event of a request was not taken: its place in the request, the field, and a sentence."""

    index: int
    field: str | None
    reason: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    def entry(self) -> dict[str, Any]:
        """As it stands in an answer's `errors`."""
        return {"index": self.index, "field": self.field, "reason": self.reason, **self.details}


class Checked(msgspec.Struct, frozen=True, gc=False):
    """One good event: its text as it arrived, and its time, None where it names none."""

    topic: str
    text: bytes
    event: EventRow
    time_us: int | None


class Share(msgspec.Struct, frozen=True, gc=False):
    """The good events of one topic, as they arrived. `rows` holds their JSON joined by commas; `indices` are their places in
    the request."""

    topic: str
    rows: bytes
    events: Sequence[EventRow]
    indices: Sequence[int]
    times_us: Int64s


class Intake(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request: `count` events, of which the good ones are in `shares` and the others in `rejections`."""

    count: int
    received_at_us: int
    shares: Sequence[Share]
    rejections: Sequence[Rejection] = ()
