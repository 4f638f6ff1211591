"""How events lie in Parquet files: `topic=…/date=…/hour=…`, ordered by time, one file per flush or merge.

The files hold the columns of `weft.core.columns` and nothing else, so that any Parquet reader understands them. Time order
keeps the newest events, and the ids made with them, on the last pages; ids and times are delta coded (22 bytes an event where
plain encodings took 31).
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weft.core.columns import EVENT_SCHEMA
from weft.core.times import HOUR_US, to_datetime
from weft.store.parquet.columnar import Int64s, different, different_count, micros, ordered, tally_of
from weft.store.parquet.disk import Disk
from weft.store.parquet.slices import read_directory, with_generated_ids

ROW_GROUP_ROWS: Final = 65_536
PAGE_ROWS: Final = 2_048
"""As many as the engine takes at a time: with smaller pages its scans take twice as long, with larger ones a lookup does."""
COMPRESSION_LEVEL: Final = 1
"""Faster than 3 by a tenth, and the files come out smaller: what compresses well is coded before."""
SOURCES_LISTED: Final = 64
DICTIONARY_VALUES: Final = 4_096
"""A column of references with more different values than this gets no dictionary: looking up one event would decode it all."""
HOURS_PER_FLUSH: Final = 256
SPANS_LISTED: Final = 16

_REPEATING: Final = [
    "type",
    "source",
    "subject",
    "severity",
    "user_id",
    "session_id",
    "correlation_id",
    "tags.list.element",
    "metadata",
]
_REFERENCES: Final = ("subject", "session_id", "correlation_id")
_BOUNDED: Final = [name for name in EVENT_SCHEMA.names if name not in {"tags", "data", "metadata"}]
"""The columns whose smallest and largest values are kept; nobody asks for a range of the others."""
_ENCODINGS: Final = {
    "id": "DELTA_BYTE_ARRAY",
    "time": "DELTA_BINARY_PACKED",
    "received_at": "DELTA_BINARY_PACKED",
    "data": "DELTA_LENGTH_BYTE_ARRAY",
    "partition": "DELTA_BINARY_PACKED",
    "offset": "DELTA_BINARY_PACKED",
}

Tally = Mapping[str, Mapping[str, int]]
"""How many events of each type and severity."""
UNKNOWN: Final = ""
"""Stands for the severities of files from before they were counted."""

IdSpans = tuple[tuple[int, int], ...]
"""Milliseconds [first, last] inside the generated ids of a file; sorted and apart from each other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFile:
    """One Parquet file and what can be said of it without opening it. `sources` is None where there are too many to list."""

    file_id: int
    path: str
    topic: str
    rows: int
    size_bytes: int
    min_us: int
    max_us: int
    tally: Tally
    sources: frozenset[str] | None
    partitions: Mapping[int, int]
    id_spans: IdSpans
    directory: bytes | None = None
    """The directory of its pages, on its way into the manifest, which gives it back by `find_directory` alone."""

    @property
    def hour(self) -> int:
        """The hour since the epoch of its earliest event; nearly always that of all its events."""
        return self.min_us // HOUR_US

    def rows_of(self, types: Iterable[str]) -> int:
        """How many events have one of these types."""
        return sum(sum(self.tally[name].values()) for name in types if name in self.tally)

    @property
    def in_one_hour(self) -> bool:
        """Whether all its events lie in one hour."""
        return self.hour == self.max_us // HOUR_US


def folder_of(topic: str, hour: int) -> str:
    """The folder of one hour of a topic, relative to the store."""
    moment = to_datetime(hour * HOUR_US)
    return f"topic={topic}/date={moment:%Y-%m-%d}/hour={moment:%H}"


def times_of(table: pa.Table) -> Int64s:
    """The event times as microseconds."""
    return micros(table["time"])


def in_time_order(table: pa.Table) -> pa.Table:
    """The table ordered by time; events of one time keep their order."""
    times = times_of(table)
    if len(times) < 2 or bool((times[1:] >= times[:-1]).all()):
        return table
    return ordered(table.combine_chunks(), np.argsort(times, kind="stable"))


def by_hour(table: pa.Table) -> Iterator[pa.Table]:
    """Slices of a time-ordered table, one per hour; fewer and wider ones where events are strewn over too many hours."""
    hours = times_of(table) // HOUR_US
    starts = np.flatnonzero(np.concatenate(([True], hours[1:] != hours[:-1])))
    if len(starts) > HOURS_PER_FLUSH:
        starts = starts[np.linspace(0, len(starts) - 1, HOURS_PER_FLUSH).astype(np.int64)]
    ends = [*starts[1:].tolist(), len(hours)]
    for start, end in zip(starts.tolist(), ends, strict=True):
        yield table.slice(start, end - start)


def write_events(disk: Disk, folder: Path, topic: str, table: pa.Table, id_spans: IdSpans) -> StoredFile:
    """Write a time-ordered table as one durable file and describe it. It has no file id until the manifest gives one."""
    times = times_of(table)
    path = f"{folder_of(topic, int(times[0]) // HOUR_US)}/{secrets.token_hex(12)}.parquet"
    events = table.select(EVENT_SCHEMA.names)
    size_bytes = disk.write(folder / path, lambda file: _fill(file, events))
    sources = different(table["source"])
    partitions, counts = np.unique(table["partition"].to_numpy(), return_counts=True)
    return StoredFile(
        file_id=0,
        path=path,
        topic=topic,
        rows=len(table),
        size_bytes=size_bytes,
        min_us=int(times[0]),
        max_us=int(times[-1]),
        tally=tally_of(table, "type", "severity"),
        sources=frozenset(sources) if len(sources) <= SOURCES_LISTED else None,
        partitions=dict(zip(partitions.tolist(), counts.tolist(), strict=True)),
        id_spans=id_spans,
        directory=msgspec.msgpack.encode(with_generated_ids(read_directory(folder / path), table["id"])),
    )


def _fill(file: IO[bytes], events: pa.Table) -> None:
    strewn = [name for name in _REFERENCES if different_count(events[name]) > DICTIONARY_VALUES]
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": COMPRESSION_LEVEL,
        "use_dictionary": [name for name in _REPEATING if name not in strewn],
        "column_encoding": {**_ENCODINGS, **dict.fromkeys(strewn, "DELTA_LENGTH_BYTE_ARRAY")},
        "row_group_size": ROW_GROUP_ROWS,
        "write_page_index": True,
        "write_statistics": _BOUNDED,
        "max_rows_per_page": PAGE_ROWS,
        "data_page_size": 1 << 30,  # pages end by rows alone, so that those of all columns cover the same rows
        "sorting_columns": [pq.SortingColumn(EVENT_SCHEMA.get_field_index("time"))],
    }
    pq.write_table(events, file, **options)


def merge_spans(spans: Iterator[tuple[int, int]]) -> IdSpans:
    """The same milliseconds in at most SPANS_LISTED spans; the nearest ones are joined first."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    while len(joined) > SPANS_LISTED:
        gaps = [after[0] - before[1] for before, after in pairwise(joined)]
        nearest = gaps.index(min(gaps))
        joined[nearest : nearest + 2] = [(joined[nearest][0], joined[nearest + 1][1])]
    return tuple(joined)
