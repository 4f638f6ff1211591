"""Pages of events in (time, id) order, looking only into as many files as the page needs."""

from collections.abc import Sequence
from typing import Any

from weft.store.cursor import Cursor, decode, encode
from weft.store.parquet.conditions import Parameters
from weft.store.parquet.engine import Engine
from weft.store.parquet.events import EVENT_COLUMNS, EVENT_NAMES, to_event
from weft.store.parquet.looks import looks
from weft.store.parquet.pick import can_pick, pick
from weft.store.parquet.scan import Scan
from weft.store.parquet.slices import PagedFiles
from weft.store.parquet.tally import count_all
from weft.store.query import Page, Select


def select_page(engine: Engine, paged: PagedFiles, scan: Scan, select: Select) -> Page:
    """One page of the scan: from the newest (or oldest) pages of the files where those are enough, else from whole files."""
    wanted = select.limit + 1
    rows: Sequence[Any] = []
    for part, edge_us in looks(paged, scan, select):
        rows = _look(engine, part, select, edge_us)
        if len(rows) >= wanted:
            break
    events = [to_event(select.filter.topic, row) for row in rows[: select.limit]]
    cursor = None
    if len(rows) > select.limit:
        last = events[-1]
        cursor = encode(Cursor(select.order, select.filter.topic, last.time_us, last.id, last.source))
    return Page(events, cursor, count_all(engine, scan) if select.with_total else None)


def _look(engine: Engine, scan: Scan, select: Select, edge_us: int | None) -> list[tuple[Any, ...]]:
    if scan.is_empty:
        return []
    if not scan.files and can_pick(scan.asked):
        return pick(scan.chunks, select, edge_us)
    parameters = Parameters()
    more = _within(select, edge_us, parameters)
    direction = "DESC" if select.order == "desc" else "ASC"
    sql = (
        f"SELECT {EVENT_COLUMNS} FROM ({scan.sql(EVENT_NAMES, parameters, more)})"
        f" ORDER BY time {direction}, id {direction}, source {direction} LIMIT {select.limit + 1} OFFSET {select.skip}"
    )
    return engine.rows(sql, parameters.values, scan.tables)


def _within(select: Select, edge_us: int | None, parameters: Parameters) -> str:
    """Only events beyond the cursor, and on this side of the edge (files beyond it may hold others)."""
    sign = "<" if select.order == "desc" else ">"
    parts: list[str] = []
    if edge_us is not None:
        parts.append(f"time {'>' if select.order == 'desc' else '<'} make_timestamptz({parameters.add(edge_us)}::BIGINT)")
    if select.after is not None:
        cursor = decode(select.after, order=select.order, topic=select.filter.topic)
        time = f"make_timestamptz({parameters.add(cursor.time_us)}::BIGINT)"
        identity, source = parameters.add(cursor.id), parameters.add(cursor.source)
        tie = f"id {sign} {identity} OR (id = {identity} AND source {sign} {source})"
        parts.append(f"time {sign}= {time} AND (time {sign} {time} OR {tie})")
    return " AND ".join(parts) or "true"
