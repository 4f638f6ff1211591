"""What a client may send on `/ws/live`, and what of the feeds it names."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from weft.core.errors import Invalid, Malformed
from weft.core.event import DEFAULT_TOPIC, TopicName
from weft.query.live.seen import ALERT, ALERTS, EVERY, QUERY, TOPIC, Kind, Seen, read_rate
from weft.query.wanted import Wanted
from weft.stream.query import RESULTS

Feed = Literal["topic", "events", "alerts", "query", "metrics"]
SubscriptionId = Annotated[str, Meta(min_length=1, max_length=128)]
Credit = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="subscribe"):
    """Begin a feed under an id of the client's choice; every frame of it carries the id.

    `topic` names the topic of the feed `topic`; for `query` it is the name of a continuous query. `events` is the topic
    `events`. `filter` is an expression; `cursor` goes on where an earlier subscription ended; `rate` is `every` (each event as
    it comes) or the time between two updates (`1s`, `5s`, `1m`); `snapshot` begins with what stands now; `credit` is how many
    events may be sent until more is granted.
    """

    id: SubscriptionId
    feed: Feed
    topic: TopicName | None = None
    filter: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    cursor: Annotated[str, Meta(max_length=4_096)] | None = None
    rate: Annotated[str, Meta(max_length=16)] = EVERY
    snapshot: bool = False
    credit: Credit | None = None


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="unsubscribe"):
    """End a feed."""

    id: SubscriptionId


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="credit"):
    """Let so many events more come. From the first grant on nothing is conflated: what has no credit waits in the log."""

    id: SubscriptionId
    events: Credit


class Ping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="ping"):
    """Answered with `{"type":"pong"}`."""


Operation = Subscribe | Unsubscribe | Grant | Ping


class _Named(msgspec.Struct):
    id: str | None = None


class _Credit(msgspec.Struct, tag_field="op", tag="credit"):
    events: Credit


_CREDIT: Final = msgspec.json.Decoder(_Credit)
_OPERATION: Final = msgspec.json.Decoder(Operation)
_NAMED: Final = msgspec.json.Decoder(_Named)


def read_operation(text: bytes) -> Operation:
    """What a client's frame asks. Raises Invalid."""
    try:
        return _OPERATION.decode(text)
    except msgspec.ValidationError as wrong:
        raise Invalid(f"{wrong}; an operation is subscribe, unsubscribe, credit or ping", field=_field(str(wrong))) from wrong


def read_grant(text: bytes) -> int | None:
    """How much credit a frame on the socket of a single feed grants; None where it is about something else."""
    try:
        return _CREDIT.decode(text).events
    except msgspec.MsgspecError:
        return None


def find_id(text: bytes) -> str | None:
    """The id a frame names, also where the rest of it is wrong."""
    try:
        named = _NAMED.decode(text).id
    except msgspec.MsgspecError:
        return None
    return None if named is None else named[:128]


def read_seen(asked: Subscribe) -> Seen | None:
    """The view that is asked for; None for the figures. Raises Invalid or Malformed."""
    every_s = read_rate(asked.rate)
    if asked.credit is not None and every_s is not None:
        raise Malformed("credit and rate contradict each other; with credit every event is sent", fields=["credit", "rate"])
    if asked.feed == "metrics":
        for name in ("topic", "filter", "cursor", "credit"):
            if getattr(asked, name) is not None:
                raise Malformed(f"the feed metrics takes no {name}", fields=["feed", name])
        return None
    if asked.cursor is not None and asked.snapshot:
        raise Malformed("cursor and snapshot contradict each other; give one of them", fields=["cursor", "snapshot"])
    kind, topic = _topic(asked)
    return Seen(kind=kind, topic=topic, wanted=Wanted.of(expression=asked.filter), every_s=every_s)


def _topic(asked: Subscribe) -> tuple[Kind, str]:
    if asked.feed in {"topic", "query"}:
        if asked.topic is None:
            named = "topic" if asked.feed == "topic" else "continuous query"
            raise Invalid(f"the feed {asked.feed} needs the name of a {named} in topic", field="topic")
        return (TOPIC, asked.topic) if asked.feed == "topic" else (QUERY, RESULTS + asked.topic)
    if asked.topic is not None:
        raise Malformed(f"the feed {asked.feed} has its topic already", fields=["feed", "topic"])
    return (ALERT, ALERTS) if asked.feed == ALERTS else (TOPIC, DEFAULT_TOPIC)


def _field(message: str) -> str | None:
    """The field in the words of msgspec: `… - at `$.id``."""
    _, found, path = message.partition("at `$.")
    return path.rstrip("`") if found else None
