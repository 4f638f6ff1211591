"""CloudEvents 1.0: how an event of ours is told to others (docs/decisions/0002-event-and-cloudevents.md has the map).

`id`, `source`, `type`, `subject` and `time` are the same nouns; `data` too, and where it came as something else than an object
`metadata.cloudevents.form` says so. What is scalar in `metadata` becomes extensions, the rest one text (`weftmetadata`), so
that a door that takes CloudEvents makes the same event of it again.
"""

import re
from typing import Any, Final

import msgspec

from weft.core import times
from weft.core.event import DEFAULT_SEVERITY, DEFAULT_TOPIC, Event

SPEC_VERSION: Final = "1.0"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

NOUN_OF: Final = {"correlationid": "correlation_id", "userid": "user_id", "sessionid": "session_id"}
"""Extensions that are attributes of ours; names in CloudEvents are a-z and 0-9."""
REST: Final = "weftmetadata"
"""The extension that holds what of `metadata` cannot be one, as JSON text."""
FORM: Final = "cloudevents"
"""The key of `metadata` that says in which form `data` came."""

_TAKEN: Final = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "data", "data_base64", "severity", "tags", "topic", *NOUN_OF)
) | {REST, FORM}
_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
_encode: Final = msgspec.json.encode


def to_cloudevent(event: Event) -> dict[str, Any]:
    """An event in structured mode."""
    told: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": times.to_text(event.time_us),
    }
    metadata: dict[str, Any] = dict(event.metadata)
    form = _form(metadata)
    nouns = {name: getattr(event, noun) for name, noun in NOUN_OF.items()}
    ours = {
        "subject": event.subject,
        **nouns,
        "severity": event.severity if event.severity != DEFAULT_SEVERITY else None,
        "topic": event.topic if event.topic != DEFAULT_TOPIC else None,
        "tags": _encode(event.tags).decode() if event.tags else None,
    }
    told |= {name: value for name, value in ours.items() if value is not None}
    extensions = {name: value for name, value in metadata.items() if _is_extension(name, value)}
    told |= extensions
    rest = {name: value for name, value in metadata.items() if name not in told or told[name] != value}
    if rest:
        told[REST] = _encode(rest).decode()
    return told | _told_data(event.data, form, has_type="datacontenttype" in extensions)


def _form(metadata: dict[str, Any]) -> str | None:
    """Take the note about the form of `data` out of the metadata."""
    form: Any = metadata.get(FORM)
    if form in ({"form": "value"}, {"form": "base64"}):
        del metadata[FORM]
        return form["form"]
    return None


def _told_data(data: Any, form: str | None, *, has_type: bool) -> dict[str, Any]:
    if form == "base64" and set(data) == {"base64"}:
        return {"data_base64": data["base64"]}
    if form == "value" and set(data) == {"value"}:
        return {"data": data["value"]}
    return {"data": data} if form or has_type else {"datacontenttype": "application/json", "data": data}


def _is_extension(name: str, value: Any) -> bool:
    """Whether a key of `metadata` can be an attribute of a CloudEvent."""
    return bool(_NAME.fullmatch(name)) and name not in _TAKEN and isinstance(value, str | int | bool)
