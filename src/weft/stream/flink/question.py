"""Question: one query as a view over the events it counts and an INSERT of its results."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from weft.core.errors import Unsupported
from weft.stream.column import Field
from weft.stream.engine.plan import Plan
from weft.stream.expression.typed import Expression, Read, Typed
from weft.stream.flink.aggregate import aggregate_sql
from weft.stream.flink.expression import expression_sql
from weft.stream.flink.field import field_sql, json_sql
from weft.stream.flink.result import TIMES, event_sql, source_of
from weft.stream.flink.text import finite, integer, interval, name, text

_PLACE: Final = "`partition`, `offset`, time_us, watermark_us, moment"
_STRETCHED_SECOND_US: Final = 1000
"""What Flink counts as a second is as many microseconds (see log_order)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What has to be declared for a query, and the INSERT that goes into the statement set."""

    declared: list[str]
    insert: str


def check(plan: Plan) -> None:
    """Raises Unsupported with the reason where Flink cannot answer a query as Weft does."""
    query = plan.query
    if query.emit != "final":
        raise Unsupported("Flink answers a window once, when no event can come any more; revisions are Weft's own")
    if query.every is not None:
        raise Unsupported("Flink answers a window once; 'every' is Weft's own")


def question(plan: Plan, *, events: str, activated_us: int | None) -> Statements:
    """The statements of one query over a view of events. Windows that began at or before the activation are not answered.

    Raises Unsupported with the reason where Flink cannot answer it as Weft does.
    """
    check(plan)
    query = plan.query
    counted = name(f"{query.name} counted")
    view = f"CREATE TEMPORARY VIEW {counted} AS\n{_counted(plan, events)}"
    keys = [f"k{place}" for place in range(len(plan.keys))]
    needs = {need.name: f"a{place}" for place, need in enumerate(plan.needs)}

    def read(field: Field) -> str:
        return needs[field.name]

    values = {label: _value(value, read) for label, value in plan.values.items()}
    answered = _answered(plan, values, activated_us)
    event = event_sql(plan, keys=keys, values={label: f"v{place}" for place, label in enumerate(values)})
    columns = ", ".join([*TIMES, "events", *keys, *(f"{sql} AS v{at}" for at, sql in enumerate(values.values()))])
    insert = (
        f"INSERT INTO {name(query.results_topic)}\n"
        f"SELECT {text(source_of(plan))}, {event}\n"
        f"FROM (SELECT {columns}\n"
        f"FROM ({_windowed(plan, counted, keys)})){answered}"
    )
    return Statements(declared=[view], insert=insert)


def _value(value: Expression, read: Callable[[Field], str]) -> str:
    """A value of the result; a sum that no float can hold is unknown."""
    sql = expression_sql(value.root, read)
    return finite(sql) if isinstance(value.root, Read) and value.kind == "number" else sql


def _counted(plan: Plan, events: str) -> str:
    """The events of a query, with what is read of each; of sessions those that are not late, which no window decides."""
    columns = _columns(plan)
    found = {column: json for field, column in columns.items() if (json := json_sql(field)) is not None}
    jsons = "".join(f", {json} AS json_{column}" for column, json in found.items())
    read = [f"{field_sql(field, plan.query.topic, f'json_{column}')} AS {column}" for field, column in columns.items()]
    conditions: list[str] = []
    if plan.where is not None:
        conditions.append(_over_fields(plan.where.root, columns))
    if plan.query.window.kind == "session":
        conditions.append(f"time_us + {integer(plan.query.lateness_us)} > watermark_us")
    keys = [f"{_over_fields(key.root, columns)} AS k{place}" for place, key in enumerate(plan.keys)]
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {', '.join([_PLACE, *columns.values(), *keys])}\n"
        f"FROM (SELECT {', '.join([_PLACE, *read])}\n"
        f"FROM (SELECT *{jsons} FROM {events})){where}"
    )


def _columns(plan: Plan) -> dict[Field, str]:
    """What the columns with the fields that are read are called."""
    return {field: f"f{place}" for place, field in enumerate(sorted(plan.fields, key=lambda field: field[:2]))}


def _over_fields(typed: Typed, columns: dict[Field, str]) -> str:
    return expression_sql(typed, columns.__getitem__)


def _windowed(plan: Plan, counted: str, keys: list[str]) -> str:
    columns = _columns(plan)
    window = plan.query.window
    start_us, end_us = _bounds(plan)

    def sql(typed: Typed) -> str:
        return _over_fields(typed, columns)

    aggregates = [
        f"{aggregate_sql(need.aggregate, sql, length_us=f'({end_us} - {start_us})')} AS a{place}"
        for place, need in enumerate(plan.needs)
    ]
    selected = ", ".join([f"{start_us} AS start_us", f"{end_us} AS end_us", "COUNT(*) AS events", *keys, *aggregates])
    late = "" if window.kind == "session" else f"\nWHERE {_in_time(plan)}"
    grouped = ", ".join(["window_start", "window_end", *keys])
    return f"SELECT {selected}\nFROM {_function(plan, counted, keys)}{late}\nGROUP BY {grouped}"


def _function(plan: Plan, counted: str, keys: Iterable[str]) -> str:
    window = plan.query.window
    time = "TIMECOL => DESCRIPTOR(moment)"
    match window.kind:
        case "tumbling":
            return f"TUMBLE(DATA => TABLE {counted}, {time}, SIZE => {interval(window.size_us)})"
        case "sliding":
            lengths = f"SLIDE => {interval(window.slide_us)}, SIZE => {interval(window.size_us)}"
            return f"HOP(DATA => TABLE {counted}, {time}, {lengths})"
        case "session":
            by = ", ".join(keys)
            data = f"TABLE {counted} PARTITION BY {by}" if by else f"TABLE {counted}"
            return f"SESSION(DATA => {data}, {time}, GAP => {interval(window.size_us)})"


def _bounds(plan: Plan) -> tuple[str, str]:
    """Start and end of a window in microseconds."""
    window = plan.query.window
    if window.kind == "session":
        return "MIN(time_us)", f"(MAX(time_us) + {integer(window.size_us)})"
    return _unstretched("window_start"), _unstretched("window_end")


def _unstretched(column: str) -> str:
    return f"(EXTRACT(EPOCH FROM {column}) * {integer(_STRETCHED_SECOND_US)})"


def _in_time(plan: Plan) -> str:
    return f"{_unstretched('window_end')} - {integer(1)} + {integer(plan.query.lateness_us)} > watermark_us"


def _answered(plan: Plan, values: dict[str, str], activated_us: int | None) -> str:
    conditions: list[str] = []
    if plan.having is not None:
        columns = {label: f"v{place}" for place, label in enumerate(values)}
        conditions.append(expression_sql(plan.having.root, lambda field: columns[field.name]))
    if activated_us is not None:
        conditions.append(f"start_us > {integer(activated_us)}")
    return f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
