"""Pages, groups, trends and series as SQL. Names come from fixed lists, values are always parameters."""

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from weft.core.event import Event
from weft.core.position import TopicPartition
from weft.store.asking import check_groups, in_order, path_of
from weft.store.cursor import Cursor, decode, encode
from weft.store.postgres.connect import Link, OutOfRange
from weft.store.postgres.exact import column_text, from_jsonb, restored
from weft.store.query import Aggregate, Filter, Group, Page, Select, Series, SeriesColumns, Trend, TrendRow
from weft.store.terms import key_of, texts_of, value_of

Row = tuple[Any, ...]

_YEAR_ONE_US: Final = -62_135_596_800_000_000
_LARGEST: Final = "1.7976931348623157e308"
_SMALLEST: Final = "4.9406564584124654e-324"
_NUMBERS: Final = {"time": '"timestamp"', "received_at": "received_at", "partition": '"partition"', "offset": '"offset"'}
_FUNCTIONS: Final = {
    "sum": "sum(v)",
    "avg": "sum(v) / nullif(count(v), 0)",  # PostgreSQL's avg sums squares too, which overflow
    "min": "min(v)",
    "max": "max(v)",
    "p95": "percentile_cont(0.95) WITHIN GROUP (ORDER BY v)",
    "count": "count(v)",
    "distinct": "count(DISTINCT v)",
}
_FIELDS: Final = (
    "topic",
    "id",
    "type",
    "source",
    '"timestamp"',
    "received_at",
    "subject",
    "severity",
    "user_id",
    "session_id",
    "correlation_id",
    "tags",
    "data",
    "metadata",
    '"partition"',
    '"offset"',
    "as_given",
)
FIELDS: Final = ", ".join(_FIELDS)


def to_event(row: Row) -> Event:
    """One event from the values of FIELDS."""
    fields: dict[str, Any] = {
        "topic": row[0],
        "id": row[1],
        "type": row[2],
        "source": row[3],
        "time_us": row[4],
        "received_at_us": row[5],
        "subject": row[6],
        "severity": row[7],
        "user_id": row[8],
        "session_id": row[9],
        "correlation_id": row[10],
        "tags": tuple(row[11]),
        "data": from_jsonb(row[12]),
        "metadata": from_jsonb(row[13]),
        "partition": row[14],
        "offset": row[15],
    }
    if row[16] is not None:
        restored(fields, row[16])
    return Event(**fields)


class Parameters:
    """Collects values; `add` gives the placeholder that stands for one."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any, kind: str) -> str:
        """The placeholder for a value of a type of PostgreSQL."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def text(self, value: str) -> str:
        """The placeholder for a text, as columns hold it."""
        return self.add(_as_column(value), "text")

    def texts(self, values: Sequence[str]) -> str:
        """The placeholder for a list of texts."""
        return self.add([_as_column(value) for value in values], "text[]")


def _as_column(value: str) -> str:
    return column_text(value.encode(errors="replace").decode())


def matching(asked: Filter, parameters: Parameters) -> str:
    """What an event must fulfil."""
    parts = [f"topic = {parameters.text(asked.topic)}"]
    if asked.start_us is not None:
        parts.append(f'"timestamp" >= {parameters.add(asked.start_us, "timestamptz")}')
    if asked.end_us is not None:
        parts.append(f'"timestamp" < {parameters.add(asked.end_us, "timestamptz")}')
    parts += [f"{column} = ANY ({parameters.texts(values)})" for column, values in texts_of(asked)]
    if asked.tag is not None:
        parts.append(f"{parameters.text(asked.tag)} = ANY (tags)")
    parts += [_data(path, value, parameters) for path, value in asked.data]
    return " AND ".join(parts)


def _data(path: str, value: str | float | bool, parameters: Parameters) -> str:
    place = _inside(path, parameters)
    if isinstance(value, bool):
        return f"{place} = {parameters.add('true' if value else 'false', 'jsonb')}"
    if isinstance(value, str):
        return f"{place} = to_jsonb({parameters.add(value.replace(chr(0), chr(0xFFFD)), 'text')})"
    return f"{_number_inside(place)} = {parameters.add(float(value), 'float8')}"


def _inside(field: str, parameters: Parameters) -> str:
    """A value inside data as jsonb. Only names lead into it: `->` with a text never counts elements of a list."""
    return "(data" + "".join(f" -> {parameters.add(segment, 'text')}" for segment in path_of(field)) + ")"


def _number_inside(place: str) -> str:
    """A finite number inside data, or NULL. What a float cannot hold is asked for before it is made one, which would fail."""
    size = f"abs({place}::numeric)"
    return (
        f"CASE WHEN jsonb_typeof({place}) <> 'number' THEN NULL WHEN {size} > {_LARGEST} THEN NULL"
        f" WHEN {size} < {_SMALLEST} THEN 0 ELSE {place}::float8 END"
    )


class _Wording:
    """Terms in PostgreSQL's words."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def column(self, field: str) -> str:
        return _NUMBERS.get(field, field)

    def number(self, field: str) -> str:
        if field in ("time", "received_at"):
            return f"(extract(epoch FROM {_NUMBERS[field]}) * 1000000)::float8"
        if field in _NUMBERS:
            return f"{_NUMBERS[field]}::float8"
        return _number_inside(_inside(field, self._parameters))

    def inside(self, field: str) -> str:
        return f"nullif({_inside(field, self._parameters)}, 'null'::jsonb)"

    def start_of(self, width_us: int) -> str:
        return start_of(width_us, self._parameters)


def start_of(width_us: int, parameters: Parameters, origin_us: int = 0) -> str:
    """The start of the interval an event lies in. Intervals are counted from before the first year, because date_bin rounds
    what lies before its origin the other way in some versions."""
    back = (origin_us - _YEAR_ONE_US) // width_us + 1
    origin = parameters.add(origin_us - back * width_us, "timestamptz")
    return f'date_bin({parameters.add(width_us, "interval")}, "timestamp", {origin})'


async def select_page(link: Link, events: str, select: Select) -> Page:
    """One page; the cursor is the last event of it."""
    parameters = Parameters()
    where = matching(select.filter, parameters)
    if select.after is not None:
        where += f" AND {_beyond(select, parameters)}"
    way = "DESC" if select.order == "desc" else "ASC"
    sql = (
        f'SELECT {FIELDS} FROM {events} WHERE {where} ORDER BY "timestamp" {way}, id {way}, source {way}'
        f" LIMIT {select.limit + 1} OFFSET {select.skip}"
    )
    rows = await link.rows(sql, *parameters.values)
    cursor = None
    if len(rows) > select.limit:
        _, event_id, _, source, time_us, *_ = rows[select.limit - 1]
        cursor = encode(Cursor(select.order, select.filter.topic, time_us, event_id, source))
    total = await _count(link, events, select.filter) if select.with_total else None
    return Page([to_event(row) for row in rows[: select.limit]], cursor, total)


async def _count(link: Link, events: str, asked: Filter) -> int:
    parameters = Parameters()
    where = matching(asked, parameters)
    return await link.value(f"SELECT count(*) FROM {events} WHERE {where}", *parameters.values)


def _beyond(select: Select, parameters: Parameters) -> str:
    """Only events beyond the cursor. The plain bound on the time chooses partitions, the row decides."""
    cursor = decode(select.after or "", order=select.order, topic=select.filter.topic)
    sign = "<" if select.order == "desc" else ">"
    time = parameters.add(cursor.time_us, "timestamptz")
    place = f"{time}, {parameters.text(cursor.id)}, {parameters.text(cursor.source)}"
    return f'"timestamp" {sign}= {time} AND ("timestamp", id, source) {sign} ({place})'


async def find_event(link: Link, events: str, event_id: str, source: str | None) -> Event | None:
    """The newest event with this id (of this source), or None."""
    parameters = Parameters()
    where = f"id = {parameters.text(event_id)}"
    if source is not None:
        where += f" AND source = {parameters.text(source)}"
    rows = await link.rows(
        f'SELECT {FIELDS} FROM {events} WHERE {where} ORDER BY "timestamp" DESC, source DESC LIMIT 1', *parameters.values
    )
    return to_event(rows[0]) if rows else None


def replay_sql(events: str, at: TopicPartition, offset: int) -> tuple[str, list[Any]]:
    """The events of one partition of the log from an offset on, in its order."""
    where = 'topic = $1 AND "partition" = $2 AND "offset" >= $3'
    return f'SELECT {FIELDS} FROM {events} WHERE {where} ORDER BY "offset"', [at.topic, at.partition, offset]


async def aggregate(link: Link, events: str, asked: Aggregate) -> Sequence[Group]:
    """The groups, ordered."""
    try:
        rows = await _groups(link, events, asked, "v")
    except OutOfRange:
        rows = await _groups(link, events, asked, "v::numeric")
    check_groups(len(rows), asked)
    return in_order([_group(asked, row) for row in rows])


async def _groups(link: Link, events: str, asked: Aggregate, value: str) -> list[Row]:
    parameters = Parameters()
    wording = _Wording(parameters)
    names = [f"k{index}" for index in range(len(asked.group_by))]
    keys = [f"{key_of(key, asked, wording)} AS {name}" for key, name in zip(asked.group_by, names, strict=True)]
    columns = ", ".join([*keys, f"{value_of(asked, wording)} AS v"])
    where = matching(asked.filter, parameters)
    function = _FUNCTIONS[asked.metric].replace("v)", f"{value})") if value != "v" else _FUNCTIONS[asked.metric]
    metric = ", ".join([*names, function])
    grouping = f" GROUP BY {', '.join(names)}" if names else ""
    return await link.rows(
        f"SELECT {metric} FROM (SELECT {columns} FROM {events} WHERE {where}) AS matching{grouping} LIMIT {asked.limit + 1}",
        *parameters.values,
    )


def _group(asked: Aggregate, row: Row) -> Group:
    keys = tuple(_readable(key) if name.startswith("data.") else key for name, key in zip(asked.group_by, row, strict=False))
    value = row[-1]
    if value is None or isinstance(value, int):
        return Group(keys, value)
    return Group(keys, number if math.isfinite(number := float(value)) else None)


def _readable(text: str | None) -> Any:
    """A key inside data: lists and objects as JSON text, whole numbers as such."""
    if text is None:
        return None
    value = from_jsonb(text)
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


async def trend(link: Link, events: str, asked: Trend) -> Sequence[TrendRow]:
    """The intervals that hold events."""
    parameters = Parameters()
    start = start_of(asked.interval_us, parameters)
    where = matching(asked.filter, parameters)
    rows = await link.rows(
        f"SELECT {start} AS t, count(*), count(DISTINCT user_id), count(*) FILTER (WHERE type = 'error')"
        f" FROM {events} WHERE {where} GROUP BY t ORDER BY t",
        *parameters.values,
    )
    return [TrendRow(*row) for row in rows]


async def series(link: Link, events: str, asked: Series) -> SeriesColumns:
    """The buckets that hold values."""
    start_us, end_us = asked.filter.start_us or 0, asked.filter.end_us or 0
    bucket_us = max(1, math.ceil((end_us - start_us) / asked.buckets))
    try:
        rows = await _buckets(link, events, asked, start_us, bucket_us, "v")
    except OutOfRange:
        rows = await _buckets(link, events, asked, start_us, bucket_us, "v::numeric")
    return SeriesColumns(
        bucket_us=bucket_us,
        start_us=[row[0] for row in rows],
        min=[row[1] for row in rows],
        max=[row[2] for row in rows],
        avg=[float(row[3]) for row in rows],
        last=[row[4] for row in rows],
        count=[row[5] for row in rows],
    )


async def _buckets(link: Link, events: str, asked: Series, start_us: int, bucket_us: int, value: str) -> list[Row]:
    parameters = Parameters()
    bucket = start_of(bucket_us, parameters, start_us)
    number = _Wording(parameters).number(asked.field)
    where = matching(asked.filter, parameters)
    return await link.rows(
        f'WITH found AS MATERIALIZED (SELECT {bucket} AS b, {number} AS v, "timestamp", id FROM {events} WHERE {where}),'
        f" sums AS (SELECT b, min(v) AS low, max(v) AS high, sum({value}) / count(v) AS mean, count(v) AS number"
        " FROM found WHERE v IS NOT NULL GROUP BY b),"
        ' newest AS (SELECT DISTINCT ON (b) b, v FROM found WHERE v IS NOT NULL ORDER BY b, "timestamp" DESC, id DESC)'
        " SELECT b, low, high, mean, v, number FROM sums JOIN newest USING (b) ORDER BY b",
        *parameters.values,
    )
