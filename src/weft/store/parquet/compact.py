"""Compaction: many small files of one hour become one; and rewriting files without some of their events."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from weft.core.columns import EVENT_SCHEMA
from weft.store.parquet.columnar import Bools, joined, kept
from weft.store.parquet.disk import Disk
from weft.store.parquet.layout import StoredFile, in_time_order, merge_spans, write_events
from weft.store.settings import StoreSettings

Keep = Callable[[pa.Table], Bools]
"""Which rows of a file to keep."""

_parquet: Any = pyarrow.parquet


def choose_files(
    files: Iterable[StoredFile], settings: StoreSettings, *, least: int, before_hour: int | None = None
) -> list[StoredFile]:
    """The files to merge next, or none: of the hour with most small files those that together stay under the size limit.

    Only hours (since the epoch) before `before_hour` with at least `least` small files are worth it.
    """
    hours: dict[tuple[str, int], list[StoredFile]] = {}
    for file in files:
        is_past = before_hour is None or file.hour < before_hour
        if is_past and file.in_one_hour and file.size_bytes < settings.compact_max_bytes:
            hours.setdefault((file.topic, file.hour), []).append(file)
    for crowded in sorted(hours.values(), key=len, reverse=True):
        if len(crowded) < least:
            break
        chosen = _that_fit(crowded, settings.compact_max_bytes)
        if len(chosen) > 1:
            return chosen
    return []


def _that_fit(files: Sequence[StoredFile], max_bytes: int) -> list[StoredFile]:
    """The smallest files that together are not larger than this."""
    chosen: list[StoredFile] = []
    size_bytes = 0
    for file in sorted(files, key=lambda file: file.size_bytes):
        size_bytes += file.size_bytes
        if size_bytes > max_bytes:
            break
        chosen.append(file)
    return chosen


def read_events(folder: Path, file: StoredFile) -> pa.Table:
    """All events of one file. One thread, so that questions keep theirs."""
    return _parquet.read_table(folder / file.path, use_threads=False, partitioning=None, schema=EVENT_SCHEMA)


def merge_files(disk: Disk, folder: Path, files: Sequence[StoredFile]) -> StoredFile:
    """One new file with the events of all; not yet in the manifest."""
    oldest_first = sorted(files, key=lambda file: file.file_id)
    table = joined([read_events(folder, file) for file in oldest_first])
    spans = merge_spans(span for file in files for span in file.id_spans)
    return write_events(disk, folder, files[0].topic, in_time_order(table), spans)


def rewrite_file(disk: Disk, folder: Path, file: StoredFile, keep: Keep) -> StoredFile | None:
    """A new file with only the events to keep, or None where none is left; not yet in the manifest."""
    table = read_events(folder, file)
    left = kept(table, keep(table))
    return write_events(disk, folder, file.topic, left, file.id_spans) if len(left) else None
