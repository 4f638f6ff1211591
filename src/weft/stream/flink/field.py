"""Fields of events as Flink SQL, out of the JSON text of an event. A value of another type than the one asked for is null."""

from typing import Final

from weft.stream.column import Field
from weft.stream.flink.text import finite, text

ROW: Final = "`row`"
"""The column with the JSON text of an event."""

_SECONDS: Final = "CAST({} AS DOUBLE) / 1E6"


def field_sql(field: Field, topic: str) -> str:
    """What a field is worth in an event, in the given reading."""
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
            return _value(field) if field.path[0] in {"data", "metadata"} else f"JSON_VALUE({ROW}, {_path(field)})"


def _value(field: Field) -> str:
    """What Flink reads as a number it would also read out of a text: so what kind of value it is is looked at first."""
    listed = f"JSON_QUERY({ROW}, {_path(field)} WITH UNCONDITIONAL WRAPPER)"
    match field.reading:
        case "number" | "integer":
            digits = f"SUBSTRING({listed} FROM 2 FOR CHAR_LENGTH({listed}) - 2)"
            number = f"TRY_CAST({digits} AS DOUBLE)"
            return f"CASE WHEN REGEXP({listed}, '^\\[[-0-9]') THEN {finite(number)} END"
        case "text":
            return f"CASE WHEN SUBSTRING({listed} FROM 1 FOR 2) = '[\"' THEN JSON_VALUE({ROW}, {_path(field)}) END"
        case "boolean":
            return f"CASE {listed} WHEN '[true]' THEN TRUE WHEN '[false]' THEN FALSE END"
        case "present":
            return f"({listed} IS NOT NULL)"
        case "texts":
            return listed


def _path(field: Field) -> str:
    """The place of a field in the JSON of an event; every part in brackets, where nothing has a meaning of its own."""
    parts = "".join("['" + part.replace("\\", "\\\\").replace("'", "\\'") + "']" for part in field.path)
    return text(f"lax ${parts}")
