"""Finding events by id, and given ids that are stored already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weft.core.event import Event
from weft.core.ids import milliseconds_of
from weft.core.times import HOUR_US
from weft.store.parquet.engine import Engine
from weft.store.parquet.events import EVENT_COLUMNS, to_event
from weft.store.parquet.given import hours_of_keys
from weft.store.parquet.intake import Given
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.shelf import View


def find_event(engine: Engine, folder: Path, view: View, event_id: str, source: str | None) -> Event | None:
    """The newest event with this id (of this source), or None."""
    found = _in_tail(engine, view, event_id, source)
    by_topic: dict[str, list[StoredFile]] = {}
    for file in _candidates(view, event_id):
        by_topic.setdefault(file.topic, []).append(file)
    for topic, files in by_topic.items():
        paths = [str(folder / file.path) for file in files]
        found += _look(engine, topic, "read_parquet($1, hive_partitioning = false)", [paths], event_id, source)
    return max(found, key=lambda event: (event.time_us, event.source), default=None)


def find_stored(engine: Engine, folder: Path, view: View, asked: Mapping[Given, int]) -> set[Given]:
    """Those of the given ids (with their keys) that are in files."""
    by_key: dict[int, list[Given]] = {}
    for given, key in asked.items():
        by_key.setdefault(key, []).append(given)
    keys = np.array(sorted(by_key), dtype=np.uint64)
    wanted: dict[str, dict[int, list[str]]] = {}
    for key, hour in hours_of_keys(view.runs, keys):
        for topic, _, event_id in by_key[key]:
            wanted.setdefault(topic, {}).setdefault(hour, []).append(event_id)
    stored: set[Given] = set()
    for topic, hours in wanted.items():
        files = {file.file_id: file for hour in hours for file in files_of_hour(view, hour) if file.topic == topic}
        if not files:
            continue
        ids = sorted({event_id for listed in hours.values() for event_id in listed})
        sql = "SELECT source, id FROM read_parquet($1, hive_partitioning = false) WHERE id IN (SELECT unnest($2))"
        rows = engine.rows(sql, [[str(folder / file.path) for file in files.values()], ids])
        stored |= {(topic, source, event_id) for source, event_id in rows}
    return stored & asked.keys()


def files_of_hour(view: View, hour: int) -> list[StoredFile]:
    """The files that may hold events of an hour since the epoch."""
    start_us = hour * HOUR_US
    return [file for file in view.files if file.min_us < start_us + HOUR_US and file.max_us >= start_us]


def _candidates(view: View, event_id: str) -> list[StoredFile]:
    files: dict[int, StoredFile] = {}
    milliseconds = milliseconds_of(event_id)
    if milliseconds is not None:
        for file in view.files:
            if any(first <= milliseconds <= last for first, last in file.id_spans):
                files[file.file_id] = file
    for run in view.runs:
        for hour in run.hours_of_id(event_id):
            files |= {file.file_id: file for file in files_of_hour(view, hour)}
    return list(files.values())


def _in_tail(engine: Engine, view: View, event_id: str, source: str | None) -> list[Event]:
    found: list[Event] = []
    for topic, chunks in view.tail.chunks.items():
        for chunk in chunks:
            index = pc.index(chunk.events["id"], pa.scalar(event_id)).as_py()
            if index >= 0:
                table = pa.Table.from_batches([chunk.events])
                found += _look(engine, topic, "tail", [], event_id, source, {"tail": table})
    return found


def _look(
    engine: Engine,
    topic: str,
    place: str,
    parameters: list[Any],
    event_id: str,
    source: str | None,
    tables: Mapping[str, pa.Table] | None = None,
) -> list[Event]:
    values = [*parameters, event_id]
    sql = f"SELECT {EVENT_COLUMNS} FROM {place} WHERE id = ${len(values)}"
    if source is not None:
        values.append(source)
        sql += f" AND source = ${len(values)}"
    return [to_event(topic, row) for row in engine.rows(sql, values, tables)]
