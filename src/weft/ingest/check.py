"""One event, checked exactly: what is wrong with it, in a sentence that names the field.

`sweep` proves whole batches right without coming here; everything it cannot prove is decided here, so both agree.
"""

from typing import Final

import msgspec

from weft.api.nesting import is_deeper_than
from weft.core import times
from weft.core.errors import Invalid, TooLarge
from weft.core.event import EMPTY_OBJECT, SEVERITIES, EventRow
from weft.ingest.json_bounds import find_overflow
from weft.ingest.rules import INTERNAL, Rules

ROW: Final = msgspec.json.Decoder(EventRow)
_ANYTHING: Final = msgspec.json.Decoder(msgspec.Raw)
FIELDS: Final = EventRow.__struct_fields__

_OPEN_BRACE: Final = ord("{")
_NUL: Final = b"\\u0000"
_TEXT_FIELDS: Final = ("type", "source", "id", "subject", "user_id", "session_id", "correlation_id")


def decode_event(piece: bytes | msgspec.Raw) -> EventRow:
    """One event from its JSON. Raises Invalid, naming the field; DecodeError or UnicodeDecodeError where it is no JSON."""
    try:
        try:
            return ROW.decode(piece)
        except msgspec.ValidationError as wrong:
            _ANYTHING.decode(piece)  # what is no JSON at all is that before it is anything else
            raise explain(str(wrong)) from None
    except RecursionError:
        raise Invalid("the event is nested too deep to be read", field="data") from None


def explain(message: str) -> Invalid:
    """The decoder's complaint about one event as ours."""
    reason, _, path = message.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if reason.startswith("Object missing required field"):
        field = reason.split("`")[1]
        return Invalid(f"{field} is required", field=field)
    if reason.startswith("Object contains unknown field"):
        field = reason.split("`", 1)[1].rstrip("`")[:64]
        return Invalid(f"'{field}' is no field of an event", field=field, known_fields=list(FIELDS))
    shown = reason.replace("`", "")
    if path == "severity":
        return Invalid(f"severity: {shown}", field="severity", allowed_values=list(SEVERITIES))
    return Invalid(f"{path}: {shown}" if path else f"an event is a JSON object: {shown}", field=path or None)


def check_event(row: EventRow, text: bytes, rules: Rules, now_us: int) -> int:
    """The time in microseconds of the event that `text` is, `now_us` where it names none. Raises Invalid for the first thing
    that is wrong."""
    check_type(row.type, rules)
    if row.topic is not None:
        check_topic(row.topic, rules)
    time_us = check_time(row, rules, now_us)
    if b"\\" in text and _NUL in text:
        _check_texts(row)
    data = bytes(row.data)
    _check_object("data", data)
    if row.metadata is not EMPTY_OBJECT:
        _check_object("metadata", bytes(row.metadata))
    if is_deeper_than(text, rules.nesting + 1):
        # The whole text, because a key given twice hides its first value from the decoder, not from who reads the log.
        raise Invalid(f"data or metadata is nested deeper than {rules.nesting} levels", field="data")
    schema = rules.schemas.get(row.type)
    if schema is not None:
        schema.check(data)
    return time_us


def check_size(size_bytes: int, rules: Rules) -> None:
    """Raise TooLarge where one event has more bytes than it may."""
    if size_bytes > rules.event_bytes:
        raise TooLarge(
            f"an event may have at most {rules.event_bytes} bytes, this one has {size_bytes}; keep large payloads in files",
            limit=rules.event_bytes,
            unit="bytes",
        )


def check_type(name: str, rules: Rules) -> None:
    """Raise Invalid for a type nobody declared, or one that only Weft itself writes."""
    if name.startswith(INTERNAL):
        raise Invalid(f"types that begin with '{INTERNAL}' are written by Weft itself", field="type")
    if name not in rules.types and not rules.any_type:
        rules.catalogue.get(name)


def check_topic(name: str, rules: Rules) -> None:
    """Raise Invalid for a topic this door does not take."""
    if name not in rules.topics and not rules.any_topic:
        raise Invalid(f"no topic is called '{name}'", field="topic", allowed_values=sorted(rules.topics))


def check_time(row: EventRow, rules: Rules, now_us: int) -> int:
    """The event's time. Raises Invalid where it is given twice, is no time, or lies too far ahead."""
    text, field = (row.time, "time") if row.time is not None else (row.timestamp, "timestamp")
    if text is None:
        return now_us
    if row.time is not None and row.timestamp is not None:
        raise Invalid("time and timestamp are the same thing; give one of them", field="timestamp")
    time_us = times.parse(text, field=field)
    if time_us > now_us + rules.max_ahead_us:
        ahead_s = (time_us - now_us) // times.SECOND_US
        limit_s = rules.max_ahead_us // times.SECOND_US
        raise Invalid(
            f"{field} is {ahead_s} s ahead of this machine's clock, more than {limit_s} s; is the sender's clock right?",
            field=field,
            limit=limit_s,
            unit="s",
        )
    return time_us


def _check_texts(row: EventRow) -> None:
    """No text may hold the character NUL: databases behind us cannot keep it."""
    for field in _TEXT_FIELDS:
        text = getattr(row, field)
        if text is not None and "\0" in text:
            raise Invalid(f"{field} holds the character NUL", field=field)
    if any("\0" in tag for tag in row.tags):
        raise Invalid("tags holds the character NUL", field="tags")


def _check_object(field: str, text: bytes) -> None:
    if text[0] != _OPEN_BRACE:
        raise Invalid(f"{field} is a JSON object", field=field)
    number = find_overflow(text)
    if number is not None:
        raise Invalid(f"{field} holds the number {number}, which is beyond a 64-bit float", field=field)
