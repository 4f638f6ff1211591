"""The hot tail: events taken from the log and not yet in a file, as Arrow, ready for questions.

Immutable: adding gives a new tail, so whoever holds one sees one moment, whatever is added or flushed meanwhile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from weft.core.columns import EVENT_SCHEMA
from weft.core.position import Positions, TopicPartition
from weft.store.parquet.columnar import Bools, UInt64s, chosen, concatenated, extent, kept_batch, micros, python_values
from weft.store.parquet.given import id_half

GIVEN_KEY: Final = "given_key"
TAIL_SCHEMA: Final = EVENT_SCHEMA.append(pa.field(GIVEN_KEY, pa.uint64(), nullable=False))
"""The columns of an event and the key of its id where a client gave it, else 0."""

_MERGED_ROWS: Final = 2_048


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some events of one topic. What a lookup by id needs to pass it over is worked out by the first."""

    events: pa.RecordBatch
    min_us: int
    max_us: int
    size_bytes: int

    @property
    def rows(self) -> int:
        """How many events."""
        return self.events.num_rows

    def may_hold(self, event_id: str) -> bool:
        """Whether an event with this id can be in a chunk of the tail."""
        first, last = self._generated
        return first <= event_id <= last or id_half(event_id) in self._given

    @cached_property
    def _generated(self) -> tuple[str, str]:
        """The smallest and the largest generated id."""
        first, last = extent(chosen(self.events["id"], self._keys == 0))
        return (first, last) if first is not None else ("\x7f", "")

    @cached_property
    def _given(self) -> frozenset[int]:
        """The halves of the keys that stand for given ids alone."""
        return frozenset((self._keys[self._keys != 0] >> 32).tolist())

    @property
    def _keys(self) -> UInt64s:
        return self.events[GIVEN_KEY].to_numpy()


@dataclass(frozen=True, slots=True)
class Tail:
    """Chunks by topic, in the order they came."""

    chunks: Mapping[str, tuple[Chunk, ...]] = field(default_factory=dict[str, tuple[Chunk, ...]])
    rows: int = 0
    size_bytes: int = 0

    def with_events(self, topic: str, events: pa.RecordBatch) -> "Tail":
        """This tail and more events."""
        if not events.num_rows:
            return self
        added = chunk_of(events)
        chunks = _merged((*self.chunks.get(topic, ()), added))
        return Tail({**self.chunks, topic: chunks}, self.rows + added.rows, self.size_bytes + added.size_bytes)

    def followed_by(self, later: "Tail") -> "Tail":
        """This tail and a later one as one."""
        if not self.rows:
            return later
        chunks = dict(self.chunks)
        for topic, more in later.chunks.items():
            chunks[topic] = (*chunks.get(topic, ()), *more)
        return Tail(chunks, self.rows + later.rows, self.size_bytes + later.size_bytes)

    def above(self, positions: Positions) -> "Tail":
        """Only what stands at or above the positions."""
        return self._kept(lambda topic, chunk: _keep_above(topic, chunk.events, positions))

    def without_rows(self, topic: str, rows: frozenset[tuple[int, int]]) -> "Tail":
        """Without the events of a topic at these (partition, offset)."""
        return self._kept(lambda name, chunk: _keep_others(chunk.events, rows) if name == topic else None)

    def table(self, topic: str) -> pa.Table:
        """The events of a topic as one table."""
        return pa.Table.from_batches([chunk.events for chunk in self.chunks.get(topic, ())], TAIL_SCHEMA)

    def within(self, topic: str, start_us: int | None, end_us: int | None) -> tuple[Chunk, ...]:
        """The chunks of a topic that may hold events of the range."""
        return tuple(
            chunk
            for chunk in self.chunks.get(topic, ())
            if (start_us is None or chunk.max_us >= start_us) and (end_us is None or chunk.min_us < end_us)
        )

    def _kept(self, choose: Callable[[str, Chunk], Bools | None]) -> "Tail":
        chunks: dict[str, tuple[Chunk, ...]] = {}
        for topic, old in self.chunks.items():
            new: list[Chunk] = []
            for chunk in old:
                keep = choose(topic, chunk)
                if keep is None or keep.all():
                    new.append(chunk)
                elif keep.any():
                    new.append(chunk_of(kept_batch(chunk.events, keep)))
            if new:
                chunks[topic] = tuple(new)
        everything = [chunk for kept in chunks.values() for chunk in kept]
        return Tail(chunks, sum(chunk.rows for chunk in everything), sum(chunk.size_bytes for chunk in everything))


def chunk_of(events: pa.RecordBatch) -> Chunk:
    """Some events, of which there is at least one, as a chunk."""
    times = micros(events["time"])
    return Chunk(events, int(times.min()), int(times.max()), events.get_total_buffer_size())


def _merged(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """Join the last chunks while they are of like size, so that a thousand single events are not a thousand chunks."""
    merged = list(chunks)
    while len(merged) > 1 and merged[-2].rows <= 2 * merged[-1].rows and merged[-2].rows + merged[-1].rows <= _MERGED_ROWS:
        last = merged.pop()
        before = merged.pop()
        joined = concatenated([before.events, last.events])
        merged.append(Chunk(joined, min(before.min_us, last.min_us), max(before.max_us, last.max_us), joined.nbytes))
    return tuple(merged)


def _keep_above(topic: str, events: pa.RecordBatch, positions: Positions) -> Bools:
    partitions = events["partition"].to_numpy()
    offsets = events["offset"].to_numpy()
    keep = np.ones(len(offsets), dtype=np.bool_)
    for partition in np.unique(partitions).tolist():
        below = (partitions == partition) & (offsets < positions.get(TopicPartition(topic, partition), 0))
        keep &= ~below
    return keep


def _keep_others(events: pa.RecordBatch, rows: frozenset[tuple[int, int]]) -> Bools:
    places = zip(python_values(events["partition"]), python_values(events["offset"]), strict=True)
    return np.array([place not in rows for place in places], dtype=np.bool_)
