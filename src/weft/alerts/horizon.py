"""Horizon: up to where the windows of a rule are over and every result of them has been judged."""

from collections.abc import Mapping

from sqlalchemy import func, select

from weft.alerts.live import LiveRule
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.log.port import Log, LogState
from weft.stream.state import Figure, StreamState, list_states
from weft.stream.tables import StreamStateRow


class Horizons:
    """One look at how far the queries of rules are answered, and how far their results were judged."""

    def __init__(self, states: Mapping[tuple[str, int], tuple[StreamState, Figure]], log: LogState) -> None:
        self._states = states
        self._log = log

    @classmethod
    async def look(cls, database: Database, log: Log) -> "Horizons":
        """First how far is computed, then where the log ends: results of what is computed are before that end."""
        found: dict[tuple[str, int], tuple[StreamState, Figure]] = {}
        async with database.reading() as session:
            behind = set(await session.scalars(select(StreamStateRow.share).where(func.length(StreamStateRow.outgoing) > 0)))
        for state in await list_states(database):
            if state.share in behind:
                continue  # some of its results are still on their way into the log
            for figure in state.figures.values():
                found[figure.name, figure.version] = (state, figure)
        return cls(found, await log.state())

    def over_until_us(
        self, live: LiveRule, positions: Mapping[TopicPartition, int], *, now_us: int, no_topic_s: float
    ) -> int | None:
        """Windows that end by then are over and judged; None where that is not known.

        A topic that never had an event has no time of its own; there the clock's is taken, a good while back.
        """
        query = live.compiled.query
        if query is None or live.query_version is None or not self._is_judged(query.results_topic, positions):
            return None
        found = self._states.get((query.name, live.query_version))
        if found is not None and found[1].watermark_us is not None:
            return found[1].watermark_us
        if any(part.topic == query.topic for part in self._log.partitions):
            return None
        return now_us - int(no_topic_s * SECOND_US)

    def lag(self, live: LiveRule) -> tuple[bool, int | None, str | None]:
        """Whether the query of a rule is answered at all, its watermark, and why it fails where it does."""
        query = live.compiled.query
        if query is None:
            return True, None, None
        found = self._states.get((query.name, live.query_version or 0))
        if found is None:
            return False, None, None
        return found[1].failure is None, found[1].watermark_us, found[1].failure

    def _is_judged(self, topic: str, positions: Mapping[TopicPartition, int]) -> bool:
        return all(
            positions.get(TopicPartition(part.topic, part.partition), part.start_offset) >= part.end_offset
            for part in self._log.partitions
            if part.topic == topic
        )
