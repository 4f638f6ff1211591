"""Seen: what a subscriber asked to see. Who asked for the same shares one view."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from weft.core.errors import Invalid
from weft.core.interval import parse_interval
from weft.core.principal import Scope
from weft.core.times import SECOND_US
from weft.query.live.newest import Key
from weft.query.wanted import Wanted

ALERTS: Final = "alerts"
RESULTS: Final = "analytics."
EVERY: Final = "every"

Names = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of feed over a topic of the log: the scope it needs, what tells one thing from another in it, which event types
    end a thing, and whether what stands is made of all the log has (`is_whole`) or of its newest part."""

    name: str
    scope: Scope
    key: Callable[[Names], Key]
    endings: frozenset[str] = frozenset()
    is_whole: bool = False


def _key_of_event(names: Names) -> Key:
    return names


def _key_of_alert(names: Names) -> Key:
    return (names[2],)


TOPIC: Final = Kind(name="topic", scope=Scope.EVENTS_READ, key=_key_of_event)
QUERY: Final = Kind(name="query", scope=Scope.QUERIES_READ, key=_key_of_event)
ALERT: Final = Kind(
    name=ALERTS,
    scope=Scope.ALERTS_READ,
    key=_key_of_alert,
    endings=frozenset({"weft.alert.resolved", "weft.alert.inactive"}),
    is_whole=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One view: a topic, which of its events, and how often. `every_s` is None where each event is sent as it comes."""

    kind: Kind
    topic: str
    wanted: Wanted = field(default_factory=Wanted)
    every_s: float | None = None


def read_rate(text: str) -> float | None:
    """Seconds between two updates, None for `every`. Raises Invalid."""
    if text == EVERY:
        return None
    try:
        return parse_interval(text, field="rate") / SECOND_US
    except Invalid as wrong:
        raise Invalid(f"'{text[:32]}' is no rate; write every, or a time such as 1s or 5s", field="rate") from wrong
