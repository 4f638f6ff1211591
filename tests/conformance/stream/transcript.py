"""Transcript: a small log, some queries, and what they must answer. transcripts/README.md describes the format.

`Transcript.read` gives it as plain values for whoever computes over the whole set, `batches` as the log batches that an engine
which takes events as they come is fed with.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from weft.core import times
from weft.core.batch import LogBatch
from weft.core.position import Positions, TopicPartition
from weft.core.times import SECOND_US
from weft.core.watermark import max_time_us
from weft.log.kafka.message import largest
from weft.stream.query import Query, read_query

FOLDER: Final = Path(__file__).parent / "transcripts"
VERSION: Final = 1
"""The version of every query."""
_BESIDES: Final = ("received_at", "tick")
"""Names of an entry that are no members of the event as it is written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One offset of a partition: an event, or a tick."""

    partition: int
    offset: int
    received_at_us: int
    time_us: int
    row: dict[str, Any] | None
    """The event as it was written; None for a tick."""


@dataclass(frozen=True, slots=True, order=True)
class Late:
    """An event that no window took, and the queries it was late for."""

    partition: int
    offset: int
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What an engine answers: the results of each query in the order of key, start and revision, and who was late."""

    results: dict[str, list[dict[str, Any]]]
    late: list[Late]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One transcript, checked."""

    name: str
    description: str
    pins: tuple[int, ...]
    bound_s: float
    queries: tuple[dict[str, Any], ...]
    partitions: dict[int, tuple[Entry, ...]]
    expected: Answers
    activations: Mapping[str, Mapping[int, int]]
    """For queries that begin later: the offset of each partition where they do."""
    not_on_flink: str | None = None
    """Why Flink does not answer so, where it does not."""
    rounded: bool = False
    """Whether sums of floats are in it, which Flink may round differently in the last digit."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of the suite."""
        return cls.read(path.stem, json.loads(path.read_text()))

    @classmethod
    def read(cls, name: str, written: dict[str, Any]) -> Self:
        """From what stands in a file."""
        return cls(
            name=name,
            description=written["description"],
            pins=tuple(written["pins"]),
            bound_s=written["bound_s"],
            queries=tuple(written["queries"]),
            partitions={
                int(partition): tuple(_entry(int(partition), offset, item) for offset, item in enumerate(items))
                for partition, items in written["partitions"].items()
            },
            expected=Answers(
                {query: [_with_id(query, result) for result in results] for query, results in written["expected"].items()},
                [Late(late["partition"], late["offset"], tuple(late["queries"])) for late in written.get("late", ())],
            ),
            activations={
                query: {int(partition): offset for partition, offset in offsets.items()}
                for query, offsets in written.get("activations", {}).items()
            },
            not_on_flink=written.get("not_on_flink"),
            rounded=written.get("rounded", False),
        )

    @property
    def bound_us(self) -> int:
        """How far events of the topic may be out of order."""
        return round(self.bound_s * SECOND_US)

    @property
    def topic(self) -> str:
        """The topic all its queries read."""
        (topic,) = {query["from"] for query in self.queries}
        return topic

    def checked_queries(self) -> list[Query]:
        """The queries as Weft reads them."""
        return [read_query(query) for query in self.queries]

    def positions(self, query: str) -> Positions | None:
        """Where a query begins, if it is not where the log does."""
        offsets = self.activations.get(query)
        return None if offsets is None else {TopicPartition(self.topic, partition): at for partition, at in offsets.items()}

    def batches(self, chance: random.Random | None = None) -> Iterator[LogBatch]:
        """The log as batches: a partition after the other, or with `chance` cut and mixed, in the order of each partition."""
        waiting = {partition: list(_cut(entries, chance)) for partition, entries in self.partitions.items() if entries}
        newest: dict[int, int | None] = dict.fromkeys(waiting)
        while waiting:
            partition = min(waiting) if chance is None else chance.choice(sorted(waiting))
            entries = waiting[partition].pop(0)
            if not waiting[partition]:
                del waiting[partition]
            batch = log_batch(self.topic, entries, newest[partition])
            moved = batch.tick_us if batch.tick_us is not None else max_time_us(batch.times_us, batch.received_at_us)
            newest[partition] = largest(newest[partition], moved)
            yield batch


def _with_id(query: str, result: dict[str, Any]) -> dict[str, Any]:
    return {"id": result_id(query, result)} | result


def result_id(query: str, result: Mapping[str, Any]) -> str:
    """The id that the event of a result has, by its recipe."""
    key = "\x1f".join("\x00" if value is None else value for value in result["key"].values())
    start_us, end_us = times.parse(result["start"]), times.parse(result["end"])
    text = f"{query}|{VERSION}|{start_us}|{end_us}|{result['revision']}|{key}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _entry(partition: int, offset: int, item: dict[str, Any]) -> Entry:
    if "tick" in item:
        time_us = times.parse(item["tick"])
        return Entry(partition, offset, time_us, time_us, None)
    received_us = times.parse(item.get("received_at") or item["time"])
    time_us = times.parse(item["time"]) if "time" in item else received_us
    row = {"type": "reading", "source": "sensor"} | {name: value for name, value in item.items() if name not in _BESIDES}
    return Entry(partition, offset, received_us, time_us, row)


def _cut(entries: Sequence[Entry], chance: random.Random | None) -> Iterator[Sequence[Entry]]:
    """Runs of events, each to be one batch; a tick stands alone."""
    run: list[Entry] = []
    for entry in entries:
        if run and (entry.row is None or run[-1].row is None or (chance is not None and chance.random() < 0.4)):
            yield run
            run = []
        run.append(entry)
    yield run


def log_batch(topic: str, entries: Sequence[Entry], newest_us: int | None) -> LogBatch:
    """Entries that follow each other in a partition as the log hands them out."""
    first = entries[0]
    events = [entry for entry in entries if entry.row is not None]
    return LogBatch(
        topic=topic,
        partition=first.partition,
        first_offset=first.offset,
        rows=b",".join(json.dumps(entry.row, ensure_ascii=False).encode() for entry in events),
        ids=[(entry.row or {}).get("id") or f"{entry.partition}-{entry.offset}" for entry in events],
        times_us=np.array([entry.time_us for entry in events], dtype=np.int64),
        received_at_us=np.array([entry.received_at_us for entry in events], dtype=np.int64),
        max_time_before_us=newest_us,
        tick_us=first.time_us if first.row is None else None,
    )


def all_transcripts() -> list[Transcript]:
    """Every transcript of the suite, by name."""
    return [Transcript.load(path) for path in sorted(FOLDER.glob("*.json"))]
