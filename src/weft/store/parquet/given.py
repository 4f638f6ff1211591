"""The index of client-given ids: from an id to the second its event lies in.

Generated ids need no index: they carry the millisecond they were made in, and each file knows its milliseconds. Of a given id
a run keeps 64 bits (32 of the id, 32 of topic and source) and the second: 12 bytes an event, sorted, mapped into memory,
searched by bisection. A run never changes; several small ones are merged into a larger one. The time, not the file, is kept:
files are ordered by time, and merging them leaves the index alone. A hit is a hint; whoever acts on it compares the texts.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import xxhash

from weft.core.errors import Corrupt
from weft.core.times import SECOND_US
from weft.store.given import FIRST_US, LAST_US
from weft.store.parquet.disk import Disk
from weft.store.parquet.manifest import RunFile

UInt64s = npt.NDArray[np.uint64]
UInt32s = npt.NDArray[np.uint32]

FOLDER: Final = "ids"
MERGED_RUNS: Final = 8
"""So many runs of like size are merged into one."""

_ENTRY_BYTES: Final = 12
_LAST_SECOND: Final = 0xFFFF_FFFF
_LOW_32: Final = 0xFFFF_FFFF


def given_key(topic: str, source: str, event_id: str) -> int:
    """64 bits for a given id, never 0: the upper half of the id alone, the lower of topic and source."""
    return (id_half(event_id) << 32 | xxhash.xxh3_64_intdigest(f"{topic}\0{source}".encode()) & _LOW_32) or 1


def id_half(event_id: str) -> int:
    """The half of a key that stands for the id alone."""
    return xxhash.xxh3_64_intdigest(event_id.encode()) & _LOW_32


def seconds_at(times_us: npt.NDArray[np.int64]) -> UInt32s:
    """The seconds since the epoch of some times, as the index keeps them; times outside its range share its ends."""
    return np.clip(times_us // SECOND_US, 0, _LAST_SECOND).astype(np.uint32)


def range_of(second: int) -> tuple[int, int]:
    """The times [start, end) in microseconds that a second of the index stands for."""
    start_us = FIRST_US if second == 0 else second * SECOND_US
    end_us = LAST_US if second == _LAST_SECOND else (second + 1) * SECOND_US
    return start_us, end_us


@dataclass(frozen=True, slots=True)
class Run:
    """A sorted run of keys and seconds, mapped from its file."""

    file: RunFile
    keys: UInt64s
    seconds: UInt32s

    @classmethod
    def open(cls, folder: Path, file: RunFile) -> "Run":
        """Map a run. Raises Corrupt where the file has another length than the manifest says."""
        path = folder / file.path
        if path.stat().st_size != file.rows * _ENTRY_BYTES:
            raise Corrupt(
                f"the id index {path} has {path.stat().st_size} bytes, not {file.rows * _ENTRY_BYTES}", path=str(path)
            )
        keys = np.memmap(path, dtype="<u8", mode="r", shape=(file.rows,))
        seconds = np.memmap(path, dtype="<u4", mode="r", offset=8 * file.rows, shape=(file.rows,))
        return cls(file, keys, seconds)

    def seconds_of(self, keys: UInt64s) -> dict[int, list[int]]:
        """For each key (sorted, unique) that is in the run the seconds it is in."""
        first = np.searchsorted(self.keys, keys, side="left")
        after = np.searchsorted(self.keys, keys, side="right")
        return {int(keys[i]): self.seconds[first[i] : after[i]].tolist() for i in np.flatnonzero(after > first)}

    def seconds_of_id(self, event_id: str) -> set[int]:
        """The seconds in which any source may have used this id."""
        half = id_half(event_id)
        first = np.searchsorted(self.keys, np.uint64(half << 32))
        after = np.searchsorted(self.keys, np.uint64(half << 32 | _LOW_32), side="right")
        return set(self.seconds[first:after].tolist())


def write_run(disk: Disk, folder: Path, keys: UInt64s, seconds: UInt32s) -> RunFile:
    """Write one run, durable, in key order. It has no run id until the manifest gives one."""
    order = np.argsort(keys, kind="stable")
    path = f"{FOLDER}/{secrets.token_hex(12)}.run"

    def fill(file: IO[bytes]) -> None:
        file.write(keys[order].astype("<u8").tobytes())
        file.write(seconds[order].astype("<u4").tobytes())

    size_bytes = disk.write(folder / path, fill)
    return RunFile(run_id=0, path=path, rows=len(keys), size_bytes=size_bytes)


def merge_candidates(runs: Iterable[Run]) -> Sequence[Run]:
    """The runs worth merging now: MERGED_RUNS of like size, or none."""
    levels: dict[int, list[Run]] = {}
    for run in runs:
        levels.setdefault(run.file.rows.bit_length() // 3, []).append(run)
    for level in sorted(levels):
        if len(levels[level]) >= MERGED_RUNS:
            return levels[level]
    return []


def merged(runs: Sequence[Run], live_hours: frozenset[int]) -> tuple[UInt64s, UInt32s]:
    """Keys and seconds of several runs, without hours that hold no events any more."""
    keys = np.concatenate([run.keys for run in runs])
    seconds = np.concatenate([run.seconds for run in runs])
    live = np.fromiter(live_hours, dtype=np.int64, count=len(live_hours))
    keep = np.isin(seconds // 3600, live) | (seconds == 0) | (seconds == _LAST_SECOND)
    return keys[keep], seconds[keep]


def seconds_of_keys(runs: Iterable[Run], keys: UInt64s) -> Iterator[tuple[int, int]]:
    """(key, second) pairs for the keys (sorted, unique) found in any run."""
    for run in runs:
        for key, seconds in run.seconds_of(keys).items():
            for second in seconds:
                yield key, second
