"""Event: one thing that happened. Never changed after it was accepted.

Two forms of the same noun: `EventRow` is how an event is written (JSON keys, `data` still raw), decoded once at a door and
once more by each process that reads the log; `Event` is how an event is read back, complete.
The attributes follow CloudEvents 1.0 and StreamFlow's event model; docs/decisions/0002-event-and-cloudevents.md has the map.
"""

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Raw

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)
DEFAULT_SEVERITY: Final = "medium"
DEFAULT_TOPIC: Final = "events"

# Longest text of each kind, in characters. They bound memory at the door and the width of every index behind it.
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Reference = Annotated[str, Meta(min_length=1, max_length=1024)]
Tag = Annotated[str, Meta(max_length=256)]
TopicName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-z0-9][a-z0-9._-]*$")]

EMPTY_OBJECT: Final = Raw(b"{}")


class EventRow(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An event as it is written: in a request, in a batch's rows, in an export.

    `time` and `timestamp` are the same thing under CloudEvents' and StreamFlow's names; giving both is refused. Absent `id`
    and time are filled in by the door and stand in the batch, not here.
    """

    type: Name
    source: Reference
    id: Name | None = None
    subject: Reference | None = None
    time: str | None = None
    timestamp: str | None = None
    severity: Severity = DEFAULT_SEVERITY
    user_id: Name | None = None
    session_id: Name | None = None
    correlation_id: Name | None = None
    tags: Annotated[tuple[Tag, ...], Meta(max_length=64)] = ()
    data: Raw = EMPTY_OBJECT
    metadata: Raw = EMPTY_OBJECT
    topic: TopicName | None = None


class Event(msgspec.Struct, kw_only=True, frozen=True):
    """An event as it is read back. `data` and `metadata` are parsed JSON; times are microseconds UTC."""

    id: str
    type: str
    source: str
    topic: str
    time_us: int
    received_at_us: int
    subject: str | None = None
    severity: str = DEFAULT_SEVERITY
    user_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    tags: tuple[str, ...] = ()
    data: Any = msgspec.field(default_factory=dict[str, Any])
    metadata: Any = msgspec.field(default_factory=dict[str, Any])
    partition: int | None = None
    offset: int | None = None
