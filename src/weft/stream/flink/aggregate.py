"""Aggregates as Flink SQL, or the reason why Flink cannot compute one as Weft does."""

from collections.abc import Callable, Mapping
from typing import Final

from weft.core.errors import Unsupported
from weft.core.times import SECOND_US
from weft.stream.column import Kind
from weft.stream.expression.functions import find_quantile
from weft.stream.expression.typed import Aggregate, Typed
from weft.stream.expression.write import write
from weft.stream.flink.text import double, integer

_PLAIN: Final[Mapping[str, str]] = {
    "sum": "SUM({})",
    "avg": "AVG({})",
    "min": "MIN({})",
    "max": "MAX({})",
    "stddev": "STDDEV_POP({})",
    "distinct": "COUNT(DISTINCT {})",
}
_REASONS: Final[Mapping[str, str]] = {
    "rate": "it follows a counter from event to event, and Flink SQL's windows have no order inside",
}
_SKETCH: Final = "percentiles come from a sketch of Weft's own, which Flink has not"
_BEFORE_ANY: Final = 2**62
"""Makes every time a whole number without a sign, so that texts of it are in the order of time."""
_TIME_DIGITS, _PARTITION_DIGITS, _OFFSET_DIGITS = 19, 10, 19
_TYPES: Final[Mapping[Kind, str]] = {"number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN"}


def aggregate_sql(aggregate: Aggregate, sql: Callable[[Typed], str], *, length_us: str) -> str:
    """One aggregate over the events of a window; `sql` says an expression over single events, `length_us` how long it is.

    Raises Unsupported.
    """
    kept = "" if aggregate.where is None else f" FILTER (WHERE {sql(aggregate.where)})"
    if not aggregate.arguments:
        return _of_events(aggregate.function, kept, length_us)
    (argument,) = aggregate.arguments
    value = sql(argument)
    if aggregate.function in _PLAIN:
        return _PLAIN[aggregate.function].format(value) + kept
    first, last = (_at_the_end(which, value, argument.kind, kept) for which in ("MIN", "MAX"))
    ends = {"first": first, "last": last, "delta": f"({last} - {first})"}
    if aggregate.function not in ends:
        raise Unsupported(f"Flink cannot answer {write(aggregate.node)}: {_reason(aggregate.function)}")
    return ends[aggregate.function]


def _of_events(function: str, kept: str, length_us: str) -> str:
    count = f"COUNT(*){kept}"
    match function:
        case "count":
            return count
        case "absent":
            return f"({count} = 0)"
        case _:
            return f"(CAST({count} AS DOUBLE) / (CAST({length_us} AS DOUBLE) / {double(SECOND_US)}))"


def _reason(function: str) -> str:
    return _SKETCH if find_quantile(function) is not None else _REASONS.get(function, "it has no such aggregate")


def _at_the_end(which: str, value: str, kind: Kind, kept: str) -> str:
    """The first or last value by time, partition, offset: the least or largest of texts that begin with these."""
    places = (
        (f"time_us + {integer(_BEFORE_ANY)}", _TIME_DIGITS),
        ("`partition`", _PARTITION_DIGITS),
        ("`offset`", _OFFSET_DIGITS),
    )
    place = " || ".join(f"LPAD(CAST({column} AS STRING), {digits}, '0')" for column, digits in places)
    begin = _TIME_DIGITS + _PARTITION_DIGITS + _OFFSET_DIGITS + 1
    chosen = f"SUBSTRING({which}({place} || CAST({value} AS STRING)){kept} FROM {begin})"
    return chosen if kind == "text" else f"CAST({chosen} AS {_TYPES[kind]})"
