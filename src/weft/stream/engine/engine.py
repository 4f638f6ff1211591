"""Engine: takes batches of the log in the order of each partition and answers with the results of windows that are over."""

from collections.abc import Iterable, Mapping
from typing import Final

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, Invalid
from weft.core.position import Positions, TopicPartition
from weft.core.watermark import watermark_after_us
from weft.stream.column import Column, Field
from weft.stream.engine.outcome import Outcome
from weft.stream.engine.passes import Pass
from weft.stream.engine.plan import plan
from weft.stream.engine.progress import Progress
from weft.stream.engine.rows import Rows
from weft.stream.engine.snapshot import decode, encode
from weft.stream.engine.taken import Taken
from weft.stream.fields import extract
from weft.stream.query import Query

LIMIT_BYTES: Final = 512 << 20


class Engine:
    """Runs many queries over the same batches. Nothing outside changes what it answers: no clock, no files, no network.

    `bound_us` is how far events of a topic may be out of order, for the topics that differ from `default_bound_us`.
    `limit_bytes` bounds the state of each pass (queries with the same topic, key, window and lateness); what would need more
    is refused, counted and named, never answered wrongly.
    """

    def __init__(
        self, *, default_bound_us: int, bound_us: Mapping[str, int] | None = None, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._default_bound_us = default_bound_us
        self._bound_us = dict(bound_us or {})
        self._limit_bytes = limit_bytes
        self._passes: list[Pass] = []
        self._counted: dict[str, frozenset[int]] = {}

    @property
    def positions(self) -> Positions:
        """For each partition the offset from which on it needs batches; the least of all queries."""
        positions: dict[TopicPartition, int] = {}
        for one in self._passes:
            for partition, offset in one.progress.positions.items():
                at = TopicPartition(one.topic, partition)
                positions[at] = min(offset, positions.get(at, offset))
        return positions

    @property
    def size_bytes(self) -> int:
        """About what all state holds in memory."""
        return sum(one.size_bytes for one in self._passes)

    def key_count(self, name: str) -> int:
        """How many keys the pass of a query knows now: those with an open window, and some of windows just closed."""
        return next((one.key_count for one in self._passes if name in one.running), 0)

    def add(self, query: Query, version: int, *, positions: Positions | None = None) -> None:
        """Answer one more query, from now on, or from `positions` on where they are given (what was read before comes again).

        Takes the place of an older version of the same name, whose open windows are not answered any more. Raises Invalid
        where an expression of the query is wrong.
        """
        planned = plan(query, version)
        self.remove(query.name)
        progress = self._progress(query.topic, positions)
        found = next(
            (one for one in self._passes if one.key == planned.pass_key and one.progress.positions == progress.positions), None
        )
        if found is None:
            found = Pass(planned, progress, self._limit_bytes)
            self._passes.append(found)
        found.add(planned)

    def _progress(self, topic: str, positions: Positions | None) -> Progress:
        """Where a new query begins."""
        progress = Progress(self._bound_of(topic))
        if positions is not None:
            progress.positions = {at.partition: offset for at, offset in positions.items() if at.topic == topic}
        else:
            for one in self._passes:
                if one.topic == topic:
                    progress.join(one.progress)
        progress.counted = self._counted.get(topic)
        return progress

    def remove(self, name: str) -> None:
        """Stop answering a query; its open windows are forgotten. One that is not there is no fault."""
        for one in self._passes:
            if name in one.running:
                one.remove(name)
        self._passes = [one for one in self._passes if one.running]

    def partitions(self, topic: str, partitions: Iterable[int]) -> Taken:
        """Say which partitions of a topic hold its windows open; until it is said, those that a batch came from.

        One that is left out (nobody owns it any more) delays nothing: what comes from it for a window that is over is late.
        """
        self._counted[topic] = frozenset(partitions)
        outcome = Outcome()
        for one in self._passes:
            if one.topic == topic:
                one.count_only(self._counted[topic], outcome)
        return outcome.taken(topic)

    def take(self, batch: LogBatch, columns: Mapping[Field, Column] | None = None) -> Taken:
        """Take in one batch or tick; what it holds below a query's position was counted before and is passed over.

        `columns` are what the queries read of it, where that is known already. Raises Corrupt where the rows cannot be read;
        then nothing was taken.
        """
        passes = [one for one in self._passes if one.topic == batch.topic]
        if columns is None:
            columns = extract(batch, frozenset[Field]().union(*(one.fields for one in passes))) if batch.count else {}
        newest_us = watermark_after_us(batch, 0)
        shared: dict[tuple[int, int], Rows] = {}
        outcome = Outcome()
        for one in passes:
            bound_us = one.progress.bound_us

            def rows_from(first: int, bound_us: int = bound_us, columns: Mapping[Field, Column] = columns) -> Rows:
                if (first, bound_us) not in shared:
                    shared[first, bound_us] = Rows.of(batch, columns, bound_us, newest_us, first)
                return shared[first, bound_us]

            one.take(batch, newest_us, rows_from, outcome)
        return outcome.taken(batch.topic)

    def snapshot(self) -> bytes:
        """Everything: queries, positions, watermarks, open windows."""
        counted = [[topic, sorted(partitions)] for topic, partitions in self._counted.items()]
        return encode({"counted": counted, "passes": [one.save() for one in self._passes]})

    def restore(self, snapshot: bytes) -> None:
        """Go on where `snapshot` was made, in place of everything. Raises Corrupt where it cannot be read."""
        saved = decode(snapshot)
        try:
            self._passes = [Pass.load(one, self._bound_of, self._limit_bytes) for one in saved["passes"]]
        except (Invalid, LookupError, ValueError, TypeError) as unknown:
            raise Corrupt(f"a snapshot of queries cannot be read by this version of Weft: {unknown}") from unknown
        self._counted = {topic: frozenset(partitions) for topic, partitions in saved["counted"]}

    def _bound_of(self, topic: str) -> int:
        return self._bound_us.get(topic, self._default_bound_us)
