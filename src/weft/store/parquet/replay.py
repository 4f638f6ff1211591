"""Replaying: the events of one partition in the order of their offsets, a window at a time.

Offsets grow with time, and files know the offsets in each of their row groups, so a window opens only a few of them.
"""

from typing import Final

from weft.core.event import Event
from weft.store.parquet.conditions import Parameters
from weft.store.parquet.engine import Engine
from weft.store.parquet.events import EVENT_COLUMNS, EVENT_NAMES, to_event
from weft.store.parquet.scan import Scan

WINDOW: Final = 10_000


def replay_some(engine: Engine, scan: Scan, partition: int, offset: int) -> tuple[list[Event], int | None]:
    """The events of the next window that holds any, and where the one after it begins; None after the last."""
    if scan.is_empty:
        return [], None
    parameters = Parameters()
    above = f'"partition" = {parameters.add(partition)} AND "offset" >= {parameters.add(offset)}'
    offsets = scan.sql('"offset"', parameters, above)
    ((first,),) = engine.rows(f'SELECT min("offset") FROM ({offsets})', parameters.values, scan.tables)
    if first is None:
        return [], None
    parameters = Parameters()
    place, start, end = parameters.add(partition), parameters.add(first), parameters.add(first + WINDOW)
    window = f'"partition" = {place} AND "offset" >= {start} AND "offset" < {end}'
    sql = f'SELECT {EVENT_COLUMNS} FROM ({scan.sql(EVENT_NAMES, parameters, window)}) ORDER BY "offset"'
    rows = engine.rows(sql, parameters.values, scan.tables)
    return [to_event(scan.asked.topic, row) for row in rows], first + WINDOW
