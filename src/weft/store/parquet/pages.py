"""Pages of events in (time, id) order, looking only into as many files as the page needs."""

from collections.abc import Iterator, Sequence
from typing import Any

from weft.core.errors import Invalid, TooLarge
from weft.store.parquet.conditions import Parameters, check_range
from weft.store.parquet.cursor import Cursor, decode, encode
from weft.store.parquet.engine import Engine
from weft.store.parquet.events import EVENT_COLUMNS, to_event
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.scan import Scan
from weft.store.query import Page, Select
from weft.store.settings import StoreSettings

_FIRST_LOOK_ROWS = 200_000


def check_select(select: Select, settings: StoreSettings) -> None:
    """Raises Invalid or TooLarge for a page that cannot be asked for."""
    check_range(select.filter)
    if not 1 <= select.limit <= settings.limit_max:
        raise Invalid(f"limit is {select.limit}; it may be 1 to {settings.limit_max} events", field="limit")
    if select.skip < 0 or (select.after is not None and select.skip):
        raise Invalid("skip is 0 or more, and not given beside a cursor", field="skip")
    if select.skip > settings.skip_max:
        raise TooLarge(
            f"skip is {select.skip}, the limit is {settings.skip_max} events; page by cursor",
            limit=settings.skip_max,
            unit="events",
        )
    if select.after is not None:
        decode(select.after, order=select.order, topic=select.filter.topic)


def select_page(engine: Engine, scan: Scan, select: Select) -> Page:
    """One page of the scan."""
    wanted = select.skip + select.limit + 1
    rows: Sequence[Any] = []
    for part, edge_us in _parts(scan, select.order):
        rows = _look(engine, part, select, edge_us)
        if len(rows) + select.skip >= wanted:
            break
    events = [to_event(select.filter.topic, row) for row in rows[: select.limit]]
    cursor = None
    if len(rows) > select.limit:
        last = events[-1]
        cursor = encode(Cursor(select.order, select.filter.topic, last.time_us, last.id, last.source))
    return Page(events, cursor, _total(engine, scan) if select.with_total else None)


def _look(engine: Engine, scan: Scan, select: Select, edge_us: int | None) -> list[tuple[Any, ...]]:
    if scan.is_empty:
        return []
    parameters = Parameters()
    more = _within(select, edge_us, parameters)
    direction = "DESC" if select.order == "desc" else "ASC"
    sql = (
        f"SELECT {EVENT_COLUMNS} FROM ({scan.sql('*', parameters, more)})"
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
        parts.append(
            f"time {sign}= {time} AND (time {sign} {time} OR id {sign} {identity} OR (id = {identity} AND source {sign} {source}))"
        )
    return " AND ".join(parts) or "true"


def _parts(scan: Scan, order: str) -> Iterator[tuple[Scan, int | None]]:
    """The scan over ever more files in page order, each with the time beyond which other files may hold events."""
    newest_first = order == "desc"
    files = sorted(scan.files, key=(lambda file: -file.max_us) if newest_first else (lambda file: file.min_us))
    taken, rows, enough = 0, 0, _FIRST_LOOK_ROWS
    while taken < len(files):
        while taken < len(files) and (rows < enough or taken == 0):
            rows += files[taken].rows
            taken += 1
        if taken < len(files):
            edge_us = files[taken].max_us if newest_first else files[taken].min_us
            yield _with_files(scan, files[:taken]), edge_us
        enough *= 8
    yield _with_files(scan, files), None


def _with_files(scan: Scan, files: Sequence[StoredFile]) -> Scan:
    return Scan(scan.folder, scan.asked, files, scan.tail)


def _total(engine: Engine, scan: Scan) -> int:
    if scan.is_empty:
        return 0
    parameters = Parameters()
    ((total,),) = engine.rows(f"SELECT count(*) FROM ({scan.sql('1 AS one', parameters)})", parameters.values, scan.tables)
    return total
