"""Seen: what a subscriber asked to see. Who asked for the same shares one view."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from weft.core.errors import Invalid
from weft.core.interval import parse_interval
from weft.core.principal import Scope
from weft.core.times import SECOND_US
from weft.query.live.newest import Key
from weft.query.wanted import Wanted

ALERTS: Final = "alerts"
EVERY: Final = "every"

Names = tuple[str, str, str | None]


class Thing(NamedTuple):
    """What an event is about: the key of which only the newest counts, and whether it is over with this event."""

    key: Key
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of feed over a topic of the log: the scope it needs, what its events are about, and whether what stands is made of
    all the log has (`is_whole`) or of its newest part."""

    name: str
    scope: Scope
    thing: Callable[[Names, bytes], Thing]
    is_whole: bool = False


class _Result(msgspec.Struct):
    key: msgspec.Raw = msgspec.Raw(b"")


class _ResultEvent(msgspec.Struct):
    data: _Result


class _Transition(msgspec.Struct):
    fingerprint: str
    status: str


class _TransitionEvent(msgspec.Struct):
    data: _Transition


_RESULT: Final = msgspec.json.Decoder(_ResultEvent)
_TRANSITION: Final = msgspec.json.Decoder(_TransitionEvent)
_OVER: Final = frozenset({"resolved", "inactive"})


def _thing_of_event(names: Names, line: bytes) -> Thing:
    return Thing(names)


def _thing_of_result(names: Names, line: bytes) -> Thing:
    try:
        return Thing((names[1], bytes(_RESULT.decode(line).data.key).decode()))
    except msgspec.MsgspecError:
        return Thing(names)


def _thing_of_alert(names: Names, line: bytes) -> Thing:
    try:
        told = _TRANSITION.decode(line).data
    except msgspec.MsgspecError:  # an event in the topic that is no transition
        return Thing(names)
    return Thing((told.fingerprint,), told.status in _OVER)


TOPIC: Final = Kind(name="topic", scope=Scope.EVENTS_READ, thing=_thing_of_event)
QUERY: Final = Kind(name="query", scope=Scope.QUERIES_READ, thing=_thing_of_result)
ALERT: Final = Kind(name=ALERTS, scope=Scope.ALERTS_READ, thing=_thing_of_alert, is_whole=True)


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
