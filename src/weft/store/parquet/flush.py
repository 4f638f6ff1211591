"""Flushing: the sealed tail becomes files, and the manifest names them together with the log positions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from weft.core.ids import milliseconds_of
from weft.store.parquet.columnar import chosen, extent
from weft.store.parquet.disk import Disk
from weft.store.parquet.given import seconds_at, write_run
from weft.store.parquet.layout import IdSpans, StoredFile, by_hour, in_time_order, merge_spans, times_of, write_events
from weft.store.parquet.manifest import RunFile
from weft.store.parquet.tail import GIVEN_KEY, Tail


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a tail became: files that no manifest names yet."""

    files: list[StoredFile]
    runs: list[RunFile]

    @property
    def paths(self) -> list[str]:
        """Every file, relative to the store."""
        return [*(file.path for file in self.files), *(run.path for run in self.runs)]


def write_tail(disk: Disk, folder: Path, tail: Tail) -> Flushed:
    """Write a tail as files. After an OSError none of them counts; those already written are removed."""
    flushed = Flushed([], [])
    try:
        keys: list[np.ndarray] = []
        seconds: list[np.ndarray] = []
        for topic in sorted(tail.chunks):
            ordered = in_time_order(tail.table(topic))
            flushed.files.extend(write_events(disk, folder, topic, part, _spans(part)) for part in by_hour(ordered))
            given = ordered[GIVEN_KEY].to_numpy()
            keys.append(given[given != 0])
            seconds.append(seconds_at(times_of(ordered)[given != 0]))
        if any(len(some) for some in keys):
            flushed.runs.append(write_run(disk, folder, np.concatenate(keys), np.concatenate(seconds)))
    except BaseException:
        for path in flushed.paths:
            disk.remove(folder / path)
        raise
    return flushed


def _spans(part: pa.Table) -> IdSpans:
    """The milliseconds inside the generated ids. Equal prefixes sort like times, so the extremes are enough."""
    return merge_spans(_extremes(part))


def _extremes(part: pa.Table) -> Iterator[tuple[int, int]]:
    generated = chosen(part["id"], part[GIVEN_KEY].to_numpy() == 0)
    if not len(generated):
        return
    first_id, last_id = extent(generated)
    first, last = milliseconds_of(first_id), milliseconds_of(last_id)
    if first is not None and last is not None:
        yield first, last
