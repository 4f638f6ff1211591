"""Aggregates, trends and series."""

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from weft.core.times import HOUR_US
from weft.store.asking import check_groups, in_order
from weft.store.parquet.conditions import Parameters, json_path
from weft.store.parquet.engine import Engine
from weft.store.parquet.scan import HOUR, Scan, floored
from weft.store.parquet.tally import tally
from weft.store.query import Aggregate, Group, Series, SeriesColumns, Trend, TrendRow
from weft.store.terms import key_of, value_of

_NUMBERS: Final = {
    "time": "epoch_us(time)",
    "received_at": "epoch_us(received_at)",
    "partition": '"partition"',
    "offset": '"offset"',
}
_FUNCTIONS: Final = {
    "sum": "sum(v) FILTER (isfinite(v))",
    "avg": "avg(v) FILTER (isfinite(v))",
    "min": "min(v) FILTER (isfinite(v))",
    "max": "max(v) FILTER (isfinite(v))",
    "p95": "quantile_cont(v, 0.95) FILTER (isfinite(v))",
    "count": "count(v)",
    "distinct": "count(DISTINCT v)",
}


def answer_aggregate(engine: Engine, scan: Scan, asked: Aggregate) -> Sequence[Group]:
    """The groups of the scan."""
    counted, rest = tally(scan, asked)
    found = {tuple(row[:-1]): row[-1] for row in _rows(engine, rest, asked)}
    for keys, value in counted.items():
        found[keys] = found.get(keys, 0) + value
    if not asked.group_by and not found:
        found[()] = 0 if asked.metric in {"count", "distinct"} else None
    rows = [(*keys, value) for keys, value in found.items()]
    check_groups(len(rows), asked)
    return in_order([_group(asked, row) for row in rows])


def _rows(engine: Engine, scan: Scan, asked: Aggregate) -> Sequence[Any]:
    if scan.is_empty:
        return []
    parameters = Parameters()
    wording = _Wording(parameters)
    names = [f"k{index}" for index in range(len(asked.group_by))]
    keys = [f"{key_of(key, asked, wording)} AS {name}" for key, name in zip(asked.group_by, names, strict=True)]
    columns = ", ".join([*keys, f"{value_of(asked, wording)} AS v"])
    metric = ", ".join([*names, _FUNCTIONS[asked.metric]])
    grouping = f" GROUP BY {', '.join(names)}" if names else ""
    sql = f"SELECT {metric} FROM ({scan.sql(columns, parameters)}){grouping} LIMIT {asked.limit + 1}"
    return engine.rows(sql, parameters.values, scan.tables)


def answer_trend(engine: Engine, scan: Scan, asked: Trend) -> Sequence[TrendRow]:
    """The intervals of the scan that hold events."""
    if scan.is_empty:
        return []
    parameters = Parameters()
    columns = f"{_start_of(asked.interval_us)} AS t, user_id, type"
    sql = (
        "SELECT t, count(*), count(DISTINCT user_id), count(*) FILTER (type = 'error')"
        f" FROM ({scan.sql(columns, parameters)}) GROUP BY t ORDER BY t"
    )
    return [TrendRow(*row) for row in engine.rows(sql, parameters.values, scan.tables)]


def answer_series(engine: Engine, scan: Scan, asked: Series) -> SeriesColumns:
    """The buckets of the scan that hold values."""
    start_us, end_us = asked.filter.start_us or 0, asked.filter.end_us or 0
    bucket_us = max(1, math.ceil((end_us - start_us) / asked.buckets))
    if scan.is_empty:
        return SeriesColumns(bucket_us=bucket_us)
    parameters = Parameters()
    bucket = f"(epoch_us(time) - {parameters.add(start_us)}) // {parameters.add(bucket_us)}"
    columns = f"{bucket} AS b, {_Wording(parameters).number(asked.field)} AS v, time, id"
    sql = (
        "SELECT b, min(v), max(v), avg(v), arg_max(v, (time, id)), count(*)"
        f" FROM ({scan.sql(columns, parameters)}) WHERE isfinite(v) GROUP BY b ORDER BY b"
    )
    rows = engine.rows(sql, parameters.values, scan.tables)
    return SeriesColumns(
        bucket_us=bucket_us,
        start_us=[start_us + row[0] * bucket_us for row in rows],
        min=[float(row[1]) for row in rows],
        max=[float(row[2]) for row in rows],
        avg=[float(row[3]) for row in rows],
        last=[float(row[4]) for row in rows],
        count=[row[5] for row in rows],
    )


class _Wording:
    """Terms in DuckDB's words."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def column(self, field: str) -> str:
        return _NUMBERS.get(field, field)

    def number(self, field: str) -> str:
        """Perhaps not a finite one."""
        if field in _NUMBERS:
            return f"{_NUMBERS[field]}::DOUBLE"
        return f"TRY_CAST({self._text_inside(field)} AS DOUBLE)"

    def inside(self, field: str) -> str:
        """As JSON text."""
        text = self._text_inside(field)
        number = f"TRY_CAST({text} AS DOUBLE)"
        whole = f"abs({number}) < 1e15 AND {number} = trunc({number})"
        return (
            f"CASE WHEN {text} = 'null' THEN NULL WHEN {number} IS NULL OR NOT contains({text}, '.') THEN {text}"
            f" WHEN {whole} THEN {number}::BIGINT::VARCHAR ELSE {text} END"
        )

    def start_of(self, width_us: int) -> str:
        return _start_of(width_us)

    def _text_inside(self, field: str) -> str:
        return f"json_extract(data, {self._parameters.add(json_path(field))})::VARCHAR"


def _start_of(width_us: int) -> str:
    """The start of the interval an event lies in. The width is a whole number, so it may stand in the text."""
    if width_us == HOUR_US:
        return HOUR
    return floored(HOUR if width_us % HOUR_US == 0 else "epoch_us(time)", int(width_us))


def _group(asked: Aggregate, row: Sequence[Any]) -> Group:
    keys = [_decoded(key) if name.startswith("data.") else key for name, key in zip(asked.group_by, row, strict=False)]
    value = row[-1]
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    return Group(tuple(keys), value)


def _decoded(text: str | None) -> Any:
    if text is None:
        return None
    value = msgspec.json.decode(text)
    return text if isinstance(value, dict | list) else value
