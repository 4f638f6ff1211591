"""Intake: what of a log batch is new. Ignores what was taken before, finds repeats, keeps the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.store.given import Given, check_times, given_ids
from weft.store.parquet.given import given_key
from weft.store.parquet.ledger import Account, Ledger
from weft.store.parquet.tail import TAIL_SCHEMA

FindStored = Callable[[Mapping[Given, int]], set[Given]]
"""Which of these given ids (with their keys) are in files already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is new in a batch, worked out when its partition stood at `position`. `events` is None where nothing is."""

    place: TopicPartition
    position: int
    first_offset: int
    next_offset: int
    events: pa.RecordBatch | None = None
    given: Sequence[Given] = ()
    repeats: int = 0
    expired: int = 0
    ticks: int = 0


class Intake:
    """Turns batches into new events. One thread prepares; whoever applies holds the shelf's lock and adds to the tail."""

    def __init__(self, ledger: Ledger, find_stored: FindStored, cutoff_us: Callable[[str], int | None]) -> None:
        self.ledger = ledger
        self._find_stored = find_stored
        self._cutoff_us = cutoff_us
        self._open_given: set[Given] = set()
        self._sealed_given: set[Given] = set()

    def seal(self) -> None:
        """What was taken so far is being flushed."""
        self._sealed_given |= self._open_given
        self._open_given = set()

    def flushed(self) -> None:
        """What was sealed is in files now, where `find_stored` sees it."""
        self._sealed_given = set()

    def forget(self, given: Sequence[Given]) -> None:
        """These are in files now, written by another process."""
        self._open_given.difference_update(given)

    def prepare(self, batch: LogBatch) -> Taken | None:
        """What is new in a batch, or None where it was taken before. Changes nothing. Raises Corrupt for unreadable rows."""
        place = TopicPartition(batch.topic, batch.partition)
        position = self.position(place)
        if batch.next_offset <= position:
            return None
        if not batch.count:
            return Taken(
                place=place,
                position=position,
                first_offset=batch.first_offset,
                next_offset=batch.next_offset,
                ticks=batch.next_offset - batch.first_offset,
            )
        check_times(batch)
        keys, given = self._keys(batch)
        keep, repeats, expired = self._choose(batch, max(0, position - batch.first_offset), given)
        events = _with_keys(_columns(batch), keys)
        return Taken(
            place=place,
            position=position,
            first_offset=batch.first_offset,
            next_offset=batch.next_offset,
            events=events if keep.all() else events.filter(pa.array(keep)),
            given=[entry for index, entry in given.items() if keep[index]],
            repeats=repeats,
            expired=expired,
        )

    def apply(self, taken: Taken) -> bool:
        """Book what was prepared; False where the partition has moved since, so that it must be prepared again."""
        account = self.ledger.setdefault(taken.place, Account())
        if account.position != taken.position:
            return False
        account.skipped += max(0, taken.first_offset - account.position)
        account.position = taken.next_offset
        account.stored += taken.events.num_rows if taken.events is not None else 0
        account.repeats += taken.repeats
        account.expired += taken.expired
        account.ticks += taken.ticks
        self._open_given.update(taken.given)
        return True

    def position(self, place: TopicPartition) -> int:
        """The offset below which everything was taken."""
        return self.ledger[place].position if place in self.ledger else 0

    def _keys(self, batch: LogBatch) -> tuple[np.ndarray, dict[int, Given]]:
        keys = np.zeros(batch.count, dtype=np.uint64)
        given = given_ids(batch)
        for index, entry in given.items():
            keys[index] = given_key(*entry)
        return keys, given

    def _choose(self, batch: LogBatch, start: int, given: Mapping[int, Given]) -> tuple[np.ndarray, int, int]:
        """Which events to keep, and how many are repeats and how many are past retention."""
        keep = np.ones(batch.count, dtype=np.bool_)
        keep[:start] = False
        cutoff_us = self._cutoff_us(batch.topic)
        expired = 0
        if cutoff_us is not None:
            late = keep & (batch.times_us < cutoff_us)
            expired = int(late.sum())
            keep &= ~late
        repeats = self._drop_repeats(keep, given) if given else 0
        return keep, repeats, expired

    def _drop_repeats(self, keep: np.ndarray, given: Mapping[int, Given]) -> int:
        seen: set[Given] = set()
        asked: dict[Given, int] = {}
        for index, entry in given.items():
            if keep[index] and entry not in self._open_given and entry not in self._sealed_given:
                asked[entry] = given_key(*entry)
        stored = self._find_stored(asked) if asked else set[Given]()
        repeats = 0
        for index, entry in given.items():
            if not keep[index]:
                continue
            if entry in seen or entry in stored or entry not in asked:
                keep[index] = False
                repeats += 1
            seen.add(entry)
        return repeats


def _columns(batch: LogBatch) -> pa.RecordBatch:
    try:
        return batch.columns
    except (pa.ArrowException, UnicodeError, OverflowError) as unreadable:
        raise Corrupt(
            f"the batch at {batch.topic}/{batch.partition}/{batch.first_offset} cannot be made into columns: {unreadable}",
            topic=batch.topic,
            partition=batch.partition,
            offset=batch.first_offset,
        ) from unreadable


def _with_keys(columns: pa.RecordBatch, keys: np.ndarray) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*columns.columns, pa.array(keys)], schema=TAIL_SCHEMA)
