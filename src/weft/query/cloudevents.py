"""An event in CloudEvents 1.0 JSON; exporting is renaming. Attribute names there are lower-case letters and digits only."""

from typing import Any, Final

from weft.core import times
from weft.core.event import Event

_EXTENSIONS: Final = {
    "userid": "user_id",
    "sessionid": "session_id",
    "correlationid": "correlation_id",
}


def to_cloudevent(event: Event) -> dict[str, Any]:
    """The event in structured form. Tags, which no CloudEvents attribute can hold as a list, are joined by commas."""
    shown: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": times.to_text(event.time_us),
        "datacontenttype": "application/json",
        "severity": event.severity,
    }
    if event.subject is not None:
        shown["subject"] = event.subject
    for name, attribute in _EXTENSIONS.items():
        value = getattr(event, attribute)
        if value is not None:
            shown[name] = value
    if event.tags:
        shown["tags"] = ",".join(event.tags)
    shown["data"] = event.data
    return shown
