"""A result as an event, in SQL: the same id and the same members as the embedded engine's, but for the offsets it counted."""

from collections.abc import Mapping, Sequence
from typing import Final

from weft.core.times import SECOND_US
from weft.stream.engine.plan import Plan
from weft.stream.flink.log_order import moment
from weft.stream.flink.text import integer, text
from weft.stream.publish import RESULT_TYPE

REVISION: Final = 1
"""Flink answers a window once."""
_LONGEST_SUBJECT: Final = 1024


def source_of(plan: Plan) -> str:
    """Who says the results of a query."""
    return f"weft/queries/{plan.query.name}"


def event_sql(plan: Plan, *, keys: Sequence[str], values: Mapping[str, str]) -> str:
    """The JSON text of a result's event, from the columns `TIMES`, `events`, those of the keys and the values."""
    query = plan.query
    window = _object(
        {"start": _written("start"), "end": _written("end"), "start_us": "start_us", "end_us": "end_us"}, empty="NULL"
    )
    data = _object(
        {
            "query": text(query.name),
            "version": integer(plan.version),
            "key": _object(dict(zip(query.key, keys, strict=True)), empty="NULL"),
            "window": window,
            "revision": integer(REVISION),
            "final": "TRUE",
            "events": "events",
            "values": _object(values, empty="NULL"),
        },
        empty="NULL",
    )
    members = {
        "id": _id(plan, keys),
        "type": text(RESULT_TYPE),
        "source": text(source_of(plan)),
        "subject": _subject(keys),
        "time": _written("end"),
        "data": data,
    }
    return _object(members, empty="ABSENT")


def _object(members: Mapping[str, str], *, empty: str) -> str:
    written = ", ".join(f"KEY {text(member)} VALUE {sql}" for member, sql in members.items())
    return f"JSON_OBJECT({written} {empty} ON NULL)" if members else "JSON_OBJECT()"


def _id(plan: Plan, keys: Sequence[str]) -> str:
    begin = text(f"{plan.query.name}|{plan.version}|")
    end = text(f"|{REVISION}|")
    between = f" || {text(chr(0x1F))} || "
    key = between.join(f"COALESCE({key}, {text(chr(0))})" for key in keys) or "''"
    whole = f"{begin} || CAST(start_us AS STRING) || '|' || CAST(end_us AS STRING) || {end} || {key}"
    return f"SUBSTRING(SHA256({whole}) FROM 1 FOR 32)"


def _subject(keys: Sequence[str]) -> str:
    if not keys:
        return "CAST(NULL AS STRING)"
    joined = " || '/' || ".join(f"COALESCE({key}, '')" for key in keys)
    return f"NULLIF(SUBSTRING({joined} FROM 1 FOR {_LONGEST_SUBJECT}), '')"


def _written(edge: str) -> str:
    """RFC 3339 in UTC, microseconds only where there are some."""
    fraction = f"({edge}_us - {edge}_s * {integer(SECOND_US)})"
    shown = f"DATE_FORMAT({moment(f'{edge}_s * {integer(1000)}')}, 'yyyy-MM-dd''T''HH:mm:ss')"
    return f"{shown} || CASE WHEN {fraction} = 0 THEN 'Z' ELSE '.' || LPAD(CAST({fraction} AS STRING), 6, '0') || 'Z' END"


def _second(column: str) -> str:
    """Whole seconds, rounded down before 1970 too."""
    rest = f"MOD({column}, {integer(SECOND_US)})"
    return f"({column} - {rest}) / {integer(SECOND_US)} - CASE WHEN {rest} < 0 THEN {integer(1)} ELSE {integer(0)} END"


TIMES: Final = (
    "start_us",
    "end_us",
    f"{_second('start_us')} AS start_s",
    f"{_second('end_us')} AS end_s",
)
"""The columns with the window's edges, in microseconds and in whole seconds."""
