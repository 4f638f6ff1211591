"""Runs: batches that follow each other in the log, taken as one, so that what costs the same for any batch is paid once.

Where a log is cut into batches changes no answer, only what it costs: doors append what arrived together, often few events.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Final, overload

import numpy as np

from weft.core.batch import LogBatch

_MOST_BYTES: Final = 1 << 20
"""Rows of a run. What is decoded of them at once shall not need new memory each time."""


def runs(batches: Iterable[LogBatch]) -> Iterator[list[LogBatch]]:
    """The same batches in the same order; those that stand together are of one topic and partition, without a gap or a tick."""
    run: list[LogBatch] = []
    room = _MOST_BYTES
    for batch in batches:
        if run and (len(batch.rows) > room or not _follows(batch, run[-1])):
            yield run
            run, room = [], _MOST_BYTES
        run.append(batch)
        room -= len(batch.rows)
    if run:
        yield run


def _follows(batch: LogBatch, before: LogBatch) -> bool:
    if batch.tick_us is not None or before.tick_us is not None:
        return False
    place = (batch.topic, batch.partition, batch.first_offset)
    return place == (before.topic, before.partition, before.next_offset)


def joined(run: Sequence[LogBatch]) -> LogBatch:
    """A run as one batch."""
    if len(run) == 1:
        return run[0]
    return LogBatch(
        topic=run[0].topic,
        partition=run[0].partition,
        first_offset=run[0].first_offset,
        rows=b",".join(batch.rows for batch in run),
        ids=_Ids([batch.ids for batch in run]),
        times_us=np.concatenate([batch.times_us for batch in run]),
        received_at_us=np.concatenate([batch.received_at_us for batch in run]),
        max_time_before_us=run[0].max_time_before_us,
    )


class _Ids(Sequence[str]):
    """Ids of several batches, one after the other. Most are made when they are looked at, and hardly anybody looks."""

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        number = bisect_right(self._ends, at)
        return self._parts[number][at - (self._ends[number - 1] if number else 0)]
