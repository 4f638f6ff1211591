"""Lineup: the queries of one topic as they run now, each version for the windows that are its own. No I/O, no clock.

A changed query loses and repeats no window: the version that is there when a window begins answers it. So both run side by
side, until the windows of the old one are over. To the engine they are two queries, named `<name>@<version>`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from weft.core.batch import LogBatch
from weft.core.errors import Refused
from weft.core.position import TopicPartition
from weft.core.times import DAY_US
from weft.core.watermark import BEGINNING, watermark_after_us
from weft.stream.engine.engine import Engine
from weft.stream.engine.taken import Late, Result, Taken
from weft.stream.query import Query
from weft.stream.state import Figure, Offsets

_LONGEST_SESSION_US: Final = DAY_US
"""For so long after a change a session that began before it is still answered by the old version."""


class Asked(NamedTuple):
    """One query of the catalogue."""

    query: Query
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out of a batch, under the names people know: results, late events, how many were refused for want of memory."""

    results: Sequence[Result]
    late: Sequence[Late]
    refused: int


class Lineup:
    """The queries over one topic. `figures` says what runs, by the engine's names, and what it has done."""

    def __init__(self, topic: str, *, bound_us: int, limit_bytes: int) -> None:
        self.topic = topic
        self.bound_us = bound_us
        self.figures: dict[str, Figure] = {}
        self._watermarks: dict[int, int] = {}
        self._largest_us = BEGINNING
        self._engine = Engine(default_bound_us=bound_us, limit_bytes=limit_bytes)
        self._slack_us: dict[str, int] = {}

    def restore(self, snapshot: bytes, figures: Mapping[str, Figure], asked: Sequence[Asked]) -> None:
        """Go on from a saved state; what could not be run then is tried again. Raises Corrupt where it cannot be read."""
        self._engine.restore(snapshot)
        self.figures = {alias: figure for alias, figure in figures.items() if figure.failure is None}
        self._largest_us = max((figure.largest_us for figure in figures.values()), default=BEGINNING)
        for query, version in asked:
            self._slack_us[_alias(query.name, version)] = _slack_us(query)

    def snapshot(self) -> bytes:
        """Everything the engine knows."""
        for alias, figure in self.figures.items():
            figure.largest_us, figure.keys = self._largest_us, self._engine.key_count(alias)
        return self._engine.snapshot()

    @property
    def size_bytes(self) -> int:
        """About what the state holds in memory."""
        return self._engine.size_bytes

    @property
    def positions(self) -> Offsets:
        """For each partition the offset from which on events are needed."""
        return {at.partition: offset for at, offset in self._engine.positions.items()}

    @property
    def runs(self) -> bool:
        """Whether there is any query."""
        return bool(self.figures)

    def runs_exactly(self, asked: Sequence[Asked]) -> bool:
        """Whether just these queries run, besides versions that are on their way out."""
        wanted = {_alias(query.name, version) for query, version in asked}
        names = {query.name for query, _ in asked}
        staying = {alias for alias, figure in self.figures.items() if figure.until_us is None or figure.name not in names}
        return wanted == staying

    def align(self, asked: Sequence[Asked], *, starts: Offsets, ends: Offsets, largest_us: int | None) -> list[str]:
        """Run exactly what is asked: from `ends` on, or from `starts` where a query wants everything. Returns what changed.

        `starts` and `ends` are those of the log, `largest_us` is the largest event time in it. A lineup that runs already goes
        on from where it is instead.
        """
        if not self.runs and largest_us is not None:
            self._largest_us = largest_us
        wanted = {_alias(query.name, version): (query, version) for query, version in asked}
        starts_of = {query.name: query.start for query, _ in asked}
        changed = [alias for alias in list(self.figures) if alias not in wanted and self._retire(alias, starts_of)]
        from_now = None if self.runs else ends
        for alias, (query, version) in wanted.items():
            if alias not in self.figures:
                self._add(alias, query, version, starts if query.start == "earliest" else from_now)
                changed.append(alias)
        return changed

    def _retire(self, alias: str, starts_of: Mapping[str, str]) -> bool:
        """End a version that is not asked for: with its last window where a successor goes on behind it, else at once."""
        figure = self.figures[alias]
        if starts_of.get(figure.name) != "latest":
            self._drop(alias)
        elif figure.until_us is None:
            figure.until_us = self._largest_us
        else:
            return False
        return True

    def hold_open(self, partitions: Sequence[int]) -> Outcome:
        """These partitions, and no others, hold windows open from now on."""
        self._watermarks = {partition: self._watermarks.get(partition, BEGINNING) for partition in partitions}
        return self._told(self._engine.partitions(self.topic, partitions))

    def take(self, batch: LogBatch) -> Outcome:
        """Take in one batch or tick. Raises Corrupt where it cannot be read; then nothing was taken."""
        outcome = self._told(self._engine.take(batch))
        self._watermarks[batch.partition] = watermark_after_us(batch, self.bound_us)
        self._largest_us = max(self._largest_us, self._watermarks[batch.partition] + self.bound_us)
        watermark_us = self.watermark_us
        for alias, figure in list(self.figures.items()):
            figure.watermark_us = figure.watermark_us if watermark_us is None else watermark_us
            if figure.until_us is not None and self._is_over(alias, figure.until_us):
                self._drop(alias)
        return outcome

    @property
    def watermark_us(self) -> int | None:
        """The least watermark of the partitions that hold windows open; None before there is any."""
        least = min(self._watermarks.values(), default=BEGINNING)
        return least if least > BEGINNING else None

    def _add(self, alias: str, query: Query, version: int, offsets: Offsets | None) -> None:
        figure = self.figures[alias] = Figure(name=query.name, version=version)
        self._slack_us[alias] = _slack_us(query)
        positions = None
        if offsets is not None:
            positions = {TopicPartition(self.topic, partition): offset for partition, offset in offsets.items()}
        try:
            self._engine.add(msgspec.structs.replace(query, name=alias), version, positions=positions)
        except Refused as wrong:  # checked when it was stored; another version of Weft may see it differently
            self._engine.remove(alias)
            figure.failure = wrong.message

    def _drop(self, alias: str) -> None:
        self._engine.remove(alias)
        self._slack_us.pop(alias, None)
        del self.figures[alias]

    def _is_over(self, alias: str, until_us: int) -> bool:
        watermark_us = self.watermark_us
        return watermark_us is not None and watermark_us >= until_us + self._slack_us.get(alias, _LONGEST_SESSION_US)

    def _told(self, taken: Taken) -> Outcome:
        results: list[Result] = []
        for result in taken.results:
            figure = self.figures.get(result.query)
            if figure is None or (figure.until_us is not None and result.start_us > figure.until_us):
                continue
            figure.results_total += 1
            results.append(msgspec.structs.replace(result, query=figure.name))
        late = [told for event in taken.late if (told := self._told_late(event)) is not None]
        return Outcome(results=results, late=late, refused=self._count_refused(taken.refused))

    def _told_late(self, event: Late) -> Late | None:
        names: dict[str, None] = {}
        for alias in event.queries:
            figure = self.figures.get(alias)
            if figure is not None and (figure.until_us is None or event.time_us <= figure.until_us):
                figure.late_total += 1
                names[figure.name] = None
        return msgspec.structs.replace(event, queries=tuple(names)) if names else None

    def _count_refused(self, refused: Mapping[str, int]) -> int:
        for alias, number in Counter(refused).items():
            if alias in self.figures:
                self.figures[alias].refused_total += number
        return sum(refused.values())


def _alias(name: str, version: int) -> str:
    return f"{name}@{version}"


def _slack_us(query: Query) -> int:
    """How long after its last window began a query may still have something to answer."""
    if query.window.kind == "session":
        return _LONGEST_SESSION_US + query.lateness_us
    return query.window.size_us + query.lateness_us
