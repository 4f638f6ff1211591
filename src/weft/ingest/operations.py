"""The OpenAPI operations of the event doors, made from the structs that do the work."""

import copy
from typing import Any, Final, cast

import msgspec

from weft.core.cloudevents import BATCH, SPEC_VERSION, STRUCTURED
from weft.core.event import EventRow
from weft.ingest.answers import BatchAnswer, EventAnswer
from weft.ingest.rules import Rules

_Schema = dict[str, Any]
_COMPONENT: Final = "#/components/schemas/"

_EXAMPLE: Final[_Schema] = {
    "type": "web.click",
    "source": "web-app",
    "severity": "low",
    "user_id": "u-17",
    "tags": ["landing"],
    "data": {"page": "/start", "element": "buy"},
}

_CLOUDEVENT: Final[_Schema] = {
    "type": "object",
    "description": "A CloudEvent 1.0. Further attributes are extensions and are kept in `metadata`.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": SPEC_VERSION},
        "id": {"type": "string", "minLength": 1, "maxLength": 256},
        "source": {"type": "string", "minLength": 1, "maxLength": 1024},
        "type": {"type": "string", "minLength": 1, "maxLength": 256},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string"},
        "dataschema": {"type": "string"},
        "data": {},
        "data_base64": {"type": "string", "contentEncoding": "base64"},
    },
}


def event_operation(rules: Rules) -> _Schema:
    """`POST /events`."""
    event = event_schema(rules)
    return {
        "operationId": "take_event",
        "tags": ["ingest"],
        "summary": "Take one event",
        "description": "Answers once the event is on disk; `durability` says how. A CloudEvent in binary mode has its "
        "attributes in `ce-` headers and its data in the body. As `application/x-ndjson` or a CloudEvents batch it takes many, "
        "like `/events/batch`.",
        "parameters": [_idempotency_key(), _atomic()],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": event, "example": _EXAMPLE},
                STRUCTURED: {"schema": _CLOUDEVENT},
                **_batch_contents(),
            },
        },
        "responses": {
            "201": _answer("The event is durable. Of many: all are.", {"anyOf": [_one_answer(), _many_answer()]}),
            "207": _answer("Of many events some were not taken; `errors` says which and why.", _many_answer()),
            "507": {"description": "The disk is full. What was acknowledged is safe."},
        },
    }


def batch_operation(rules: Rules) -> _Schema:
    """`POST /events/batch`."""
    events: _Schema = {"type": "array", "maxItems": rules.events_per_batch, "items": event_schema(rules)}
    envelope: _Schema = {
        "type": "object",
        "required": ["events"],
        "additionalProperties": False,
        "properties": {"events": events},
    }
    return {
        "operationId": "take_batch",
        "tags": ["ingest"],
        "summary": "Take many events",
        "description": "Good events are stored and bad ones reported with their index, field and reason; with `atomic=true` "
        "one bad event refuses all. A batch without a single event is refused, except an empty CloudEvents batch.",
        "parameters": [_idempotency_key(), _atomic()],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"anyOf": [envelope, events]}, "example": {"events": [_EXAMPLE]}},
                **_batch_contents(),
            },
        },
        "responses": {
            "201": _answer("All events are durable.", _many_answer()),
            "207": _answer("Some were not taken; `errors` says which and why.", _many_answer()),
            "507": {"description": "The disk is full. What was acknowledged is safe."},
        },
    }


def event_schema(rules: Rules) -> _Schema:
    """An event as a client writes it, with the types and topics of this door."""
    schema = _schema_of(_documented(EventRow))
    properties = cast("dict[str, _Schema]", schema["properties"])
    if not rules.any_type:
        properties["type"] = {"type": "string", "enum": sorted(rules.types)}
    if not rules.any_topic:
        properties["topic"] = {"anyOf": [{"type": "string", "enum": sorted(rules.topics)}, {"type": "null"}], "default": None}
    for field in ("time", "timestamp"):
        properties[field] = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None}
    schema["title"] = "Event"
    schema["description"] = "`time` and `timestamp` are the same thing; give one of them, with a UTC offset, or none for now."
    return schema


def _batch_contents() -> _Schema:
    return {
        "application/x-ndjson": {"schema": {"type": "string", "description": "One event as JSON on each line."}},
        BATCH: {"schema": {"type": "array", "items": _CLOUDEVENT}},
    }


def _answer(description: str, schema: _Schema) -> _Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _one_answer() -> _Schema:
    return _envelope(_schema_of(EventAnswer))


def _many_answer() -> _Schema:
    return _envelope(_schema_of(BatchAnswer))


def _envelope(data: _Schema) -> _Schema:
    return {
        "type": "object",
        "required": ["success", "message", "data", "timestamp"],
        "properties": {
            "success": {"type": "boolean"},
            "message": {"type": "string"},
            "data": data,
            "timestamp": {"type": "string", "format": "date-time"},
        },
    }


def _idempotency_key() -> _Schema:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Events without an id get ids made from this key and their place, so sending the request again stores "
        "nothing twice and gives the same ids.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    }


def _atomic() -> _Schema:
    return {
        "name": "atomic",
        "in": "query",
        "required": False,
        "description": "Whether one bad event refuses all of a batch.",
        "schema": {"type": "boolean", "default": False},
    }


def _documented(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same struct with objects where it keeps JSON undecoded."""
    fields: list[tuple[str, Any, Any]] = []
    for entry in msgspec.structs.fields(struct):
        is_raw = entry.type is msgspec.Raw
        default: Any = msgspec.field(default_factory=dict[str, Any]) if is_raw else msgspec.field(default=entry.default)
        fields.append((entry.name, dict[str, Any] if is_raw else entry.type, default))
    return msgspec.defstruct(struct.__name__, fields, kw_only=True, forbid_unknown_fields=True)


def _schema_of(struct: type[msgspec.Struct]) -> _Schema:
    """The JSON Schema of a struct, with the structs inside it written in place."""
    (schema,), components = msgspec.json.schema_components((struct,), ref_template=_COMPONENT + "{name}")
    return cast("_Schema", _inline(schema, components))


def _inline(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        known = cast("_Schema", schema)
        if "$ref" in known:
            return _inline(copy.deepcopy(components[known["$ref"].removeprefix(_COMPONENT)]), components)
        return {name: _inline(value, components) for name, value in known.items()}
    if isinstance(schema, list):
        return [_inline(value, components) for value in cast("list[Any]", schema)]
    return schema
