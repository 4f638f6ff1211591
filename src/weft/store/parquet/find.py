"""Finding events by id, and given ids that are stored already."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from weft.core.event import Event
from weft.core.ids import milliseconds_of
from weft.store.given import Given
from weft.store.parquet.columnar import is_equal, python_values
from weft.store.parquet.engine import Engine
from weft.store.parquet.events import from_table
from weft.store.parquet.given import range_of, seconds_of_keys
from weft.store.parquet.layout import StoredFile
from weft.store.parquet.shelf import View
from weft.store.parquet.slices import PagedFiles, PageSpan

_SLICED_PAGES = 64
"""With more pages than this to look into, the engine scans the files instead."""


def find_event(paged: PagedFiles, view: View, event_id: str, source: str | None) -> Event | None:
    """The newest event with this id (of this source), or None."""
    found = [*_in_tail(view, event_id), *_generated(paged, view, event_id), *_given(paged, view, event_id)]
    wanted = [event for event in found if source is None or event.source == source]
    return max(wanted, key=lambda event: (event.time_us, event.source), default=None)


def find_stored(engine: Engine, paged: PagedFiles, view: View, asked: Mapping[Given, int]) -> set[Given]:
    """Those of the given ids (with their keys) that are in files."""
    by_key: dict[int, list[Given]] = {}
    for given, key in asked.items():
        by_key.setdefault(key, []).append(given)
    keys = np.array(sorted(by_key), dtype=np.uint64)
    wanted: dict[str, dict[int, set[str]]] = {}
    for key, second in seconds_of_keys(view.runs, keys):
        for topic, _, event_id in by_key[key]:
            wanted.setdefault(topic, {}).setdefault(second, set()).add(event_id)
    stored: set[Given] = set()
    for topic, seconds in wanted.items():
        ids = set[str]().union(*seconds.values())
        stored |= {(topic, source, event_id) for source, event_id in _stored(engine, paged, view, topic, seconds, ids)}
    return stored & asked.keys()


def _stored(
    engine: Engine, paged: PagedFiles, view: View, topic: str, seconds: Iterable[int], ids: set[str]
) -> Iterator[tuple[str, str]]:
    """(source, id) of the events in these seconds that have one of the ids."""
    pages: dict[StoredFile, set[PageSpan]] = {}
    for second in seconds:
        start_us, end_us = range_of(second)
        for file in _files_at(view, start_us, end_us):
            if file.topic == topic:
                pages.setdefault(file, set()).update(_pages_at(paged, file, start_us, end_us))
    if sum(map(len, pages.values())) > _SLICED_PAGES:
        sql = "SELECT source, id FROM read_parquet($1, hive_partitioning = false) WHERE id IN (SELECT unnest($2))"
        yield from engine.rows(sql, [[str(paged.folder / file.path) for file in pages], sorted(ids)])
        return
    for file, spans in pages.items():
        if spans:
            table = paged.get(file.path, file.file_id).read(list(spans), ["id", "source"])
            for event_id, source in zip(python_values(table["id"]), python_values(table["source"]), strict=True):
                if event_id in ids:
                    yield source, event_id


def _in_tail(view: View, event_id: str) -> Iterator[Event]:
    for topic, chunks in view.tail.chunks.items():
        for chunk in chunks:
            if chunk.may_hold(event_id):
                yield from _matching(topic, pa.Table.from_batches([chunk.events]), event_id)


def _generated(paged: PagedFiles, view: View, event_id: str) -> Iterator[Event]:
    """A generated id carries its millisecond, and pages know their smallest and largest id."""
    milliseconds = milliseconds_of(event_id)
    if milliseconds is None:
        return
    text = event_id.encode()
    for file in view.files:
        if any(first <= milliseconds <= last for first, last in file.id_spans):
            yield from _in_pages(
                paged, file, event_id, [page for page in paged.get(file.path, file.file_id).spans if page.may_hold(text)]
            )


def _given(paged: PagedFiles, view: View, event_id: str) -> Iterator[Event]:
    """A given id stands in the index with the second of its event, and pages know their times."""
    for second in {second for run in view.runs for second in run.seconds_of_id(event_id)}:
        start_us, end_us = range_of(second)
        for file in _files_at(view, start_us, end_us):
            yield from _in_pages(paged, file, event_id, _pages_at(paged, file, start_us, end_us))


def _in_pages(paged: PagedFiles, file: StoredFile, event_id: str, pages: Sequence[PageSpan]) -> Iterator[Event]:
    reader = paged.get(file.path, file.file_id)
    for page in pages:
        if len(pages) > 1 and not _matches(reader.read([page], ["id"]), event_id):
            continue
        yield from _matching(file.topic, reader.read([page]), event_id)


def _matching(topic: str, table: pa.Table, event_id: str) -> Iterator[Event]:
    for index in _matches(table, event_id):
        yield from_table(topic, table.slice(index, 1))


def _matches(table: pa.Table, event_id: str) -> list[int]:
    return np.flatnonzero(is_equal(table["id"], event_id)).tolist()


def _files_at(view: View, start_us: int, end_us: int) -> Iterator[StoredFile]:
    return (file for file in view.files if file.min_us < end_us and file.max_us >= start_us)


def _pages_at(paged: PagedFiles, file: StoredFile, start_us: int, end_us: int) -> list[PageSpan]:
    return [page for page in paged.get(file.path, file.file_id).spans if page.min_us < end_us and page.max_us >= start_us]
