"""Fields of events as Flink SQL, out of the JSON text of an event. A value of another type than the one asked for is null."""

from typing import Final

from weft.stream.column import Field
from weft.stream.expression.names import OBJECTS
from weft.stream.flink.text import finite, text

ROW: Final = "`row`"
"""The column with the JSON text of an event."""

_SECONDS: Final = "CAST({} AS DOUBLE) / 1E6"


def json_sql(field: Field) -> str | None:
    """The JSON text of a list of just the value that a field of `data` or `metadata` has; null where it has none."""
    return f"JSON_QUERY({ROW}, {_path(field)} WITH UNCONDITIONAL WRAPPER)" if field.path[0] in OBJECTS else None


def field_sql(field: Field, topic: str, json: str) -> str:
    """What a field is worth in an event, in the given reading. `json` is the column that has `json_sql`."""
    match field.name:
        case "time":
            return _SECONDS.format("time_us")
        case "received_at":
            return _SECONDS.format("received_us")
        case "topic":
            return text(topic)
        case "severity":
            return f"COALESCE(JSON_VALUE({ROW}, 'lax $.severity'), 'medium')"
        case "tags":
            return f"COALESCE(JSON_QUERY({ROW}, 'lax $.tags'), '[]')"
        case _:
            return _value(field, json) if field.path[0] in OBJECTS else f"JSON_VALUE({ROW}, {_path(field)})"


def _value(field: Field, json: str) -> str:
    """What Flink reads as a number it would also read out of a text: so what kind of value it is is looked at first."""
    match field.reading:
        case "number" | "integer":
            number = f"TRY_CAST(SUBSTRING({json} FROM 2 FOR CHAR_LENGTH({json}) - 2) AS DOUBLE)"
            return f"CASE WHEN REGEXP({json}, '^\\[[-0-9]') THEN {finite(number)} END"
        case "text":
            return f"CASE WHEN SUBSTRING({json} FROM 1 FOR 2) = '[\"' THEN JSON_VALUE({ROW}, {_path(field)}) END"
        case "boolean":
            return f"CASE {json} WHEN '[true]' THEN TRUE WHEN '[false]' THEN FALSE END"
        case "present":
            return f"({json} IS NOT NULL)"
        case "texts":
            return json


def _path(field: Field) -> str:
    """The place of a field in the JSON of an event; every part in brackets, where nothing has a meaning of its own."""
    parts = "".join("['" + part.replace("\\", "\\\\").replace("'", "\\'") + "']" for part in field.path)
    return text(f"lax ${parts}")
