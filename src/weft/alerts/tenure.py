"""A tenure: what a process knows and does while it holds the lease of judging. Every write is fenced by it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.counts import Counts
from weft.alerts.judging import Judging, Question
from weft.alerts.live import LiveRules, enliven
from weft.alerts.result_row import read_results
from weft.alerts.rule import Rule, read_definition
from weft.alerts.rulebook import Rulebook, list_rules
from weft.alerts.settings import AlertsSettings
from weft.alerts.tables import JudgedRow, JudgeRow, RuleVersionRow, StateRow
from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.lease import Lease
from weft.log.dead_letter import set_aside
from weft.log.port import Log

logger = structlog.get_logger(__name__)

GROUP: Final = "alerts"
"""The log's name for who judges: what it has not committed is not trimmed."""
_IDENTITY: Final = "log_identity"
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What judging works with, the same in every tenure. `intended` is called after a commit that put notifications into the
    outbox."""

    database: Database
    log: Log
    rulebook: Rulebook
    clock: Clock
    settings: AlertsSettings
    counts: Counts
    intended: Callable[[], None]


class Tenure:
    """Rules and positions of one holder of the lease. After any failure of a write `begin` reads them anew."""

    def __init__(self, bench: Bench, lease: Lease) -> None:
        self._bench = bench
        self._lease = lease
        self._mark: tuple[int, int] | None = None
        self._unsaved: set[TopicPartition] = set()
        self.rules = LiveRules()
        self.positions: dict[TopicPartition, int] = {}

    async def begin(self) -> None:
        """Read how far everything is judged. Positions of another log than this one mean nothing here, and are dropped."""
        identity = await self._bench.log.identity()
        async with self._writing() as session:
            known = await session.get(JudgeRow, _IDENTITY)
            if known is None or known.value != identity:
                await session.execute(delete(JudgedRow))
                await session.merge(JudgeRow(name=_IDENTITY, value=identity))
            rows = (await session.scalars(select(JudgedRow))).all()
        self.positions = {TopicPartition(row.topic, row.partition): row.position for row in rows}
        self._unsaved.clear()
        self._mark = None

    async def reload(self) -> bool:
        """Take in what changed in the rules, if something did; returns whether other topics have to be followed now."""
        mark = await self._bench.rulebook.mark()
        if mark == self._mark:
            return False
        before = self.rules.topics
        async with self._bench.database.reading() as session:
            rules = await list_rules(session)
        versions = await self._bench.rulebook.reconcile([rule for rule, _ in rules])
        settings = self._bench.settings
        self.rules = enliven(rules, versions, flaps=settings.flaps, flaps_within_us=int(settings.flap_window_s * SECOND_US))
        self._bench.counts.rule_failures = dict(self.rules.failures)
        await self._sweep()
        self._mark = mark
        return before != self.rules.topics

    async def take(self, batches: Sequence[LogBatch]) -> None:
        """Judge what batches hold."""
        questions: list[Question] = []
        by_topic = self.rules.by_topic()
        for batch in batches:
            live = by_topic.get(batch.topic)
            if live is None or not batch.count:
                continue
            try:
                for result_id, row in read_results(batch):
                    if row.version == live.query_version:
                        questions.append(
                            Question(live=live, key=row.key, seen=row.seen, values=row.values, result=row, result_id=result_id)
                        )
            except Corrupt as poison:
                self._bench.counts.poisoned += 1
                logger.warning("results_set_aside", topic=batch.topic, why=poison.message)
                await set_aside(self._bench.log, batch, attempts=1, reason=poison.message, clock=self._bench.clock)
        reached = {TopicPartition(batch.topic, batch.partition): batch.next_offset for batch in batches}
        if questions:
            await self.judge(questions, reached)
        self.positions |= reached
        if not questions:
            self._unsaved |= set(reached)

    async def judge(self, questions: Sequence[Question], reached: Mapping[TopicPartition, int] | None = None) -> None:
        """Judge windows and note how far that was, in one transaction."""
        async with self.transaction() as judging:
            await judging.judge(questions)
            await _save_positions(judging.session, reached or {})
        counts = self._bench.counts
        counts.results += sum(question.result is not None for question in questions)
        counts.gaps += sum(question.result is None for question in questions)
        newest_us = max(question.seen.end_us for question in questions)
        counts.judged_us = newest_us if counts.judged_us is None else max(counts.judged_us, newest_us)

    async def save(self) -> None:
        """Note positions behind which nothing had to be judged, and tell the log what it may trim."""
        if self._unsaved:
            async with self._writing() as session:
                await _save_positions(session, {place: self.positions[place] for place in self._unsaved})
            self._unsaved.clear()
        if self.positions:
            await self._bench.log.commit(GROUP, self.positions)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Judging, None]:
        """One fenced transaction of judging; what it decided is written and counted at its end."""
        async with self._writing() as session:
            judging = await Judging.begin(session, self.rules, self._bench.clock.now_us())
            yield judging
            intents = await judging.recorder.write()
        if intents:
            self._bench.intended()
        self._bench.counts.notifications += intents
        self._bench.counts.transitions.update(judging.recorder.changes)

    async def _sweep(self) -> None:
        async with self.transaction() as judging:
            session = judging.session
            kept = set(self.rules.all)
            orphans = [rule_id for rule_id in await session.scalars(select(StateRow.rule_id).distinct()) if rule_id not in kept]
            await judging.sweep(await _last_versions(session, orphans))

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncSession, None]:
        async with self._bench.database.writing() as session:
            await self._lease.check(session)
            yield session


async def _save_positions(session: AsyncSession, reached: Mapping[TopicPartition, int]) -> None:
    rows = [{"topic": place.topic, "partition": place.partition, "position": offset} for place, offset in reached.items()]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for first in range(0, len(rows), _AT_ONCE):
        statement = insert(JudgedRow).values(rows[first : first + _AT_ONCE])
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["topic", "partition"], set_={"position": statement.excluded.position}
            )
        )


async def _last_versions(session: AsyncSession, rule_ids: Sequence[str]) -> dict[str, Rule]:
    """Rules that are gone, as they were last."""
    found: dict[str, Rule] = {}
    for rule_id in rule_ids:
        asked = select(RuleVersionRow).where(RuleVersionRow.rule_id == rule_id).order_by(RuleVersionRow.version.desc()).limit(1)
        row = await session.scalar(asked)
        if row is not None:
            found[rule_id] = Rule(
                id=rule_id,
                version=row.version,
                definition=read_definition(msgspec.json.decode(row.definition)),
                owner=row.made_by,
                created_at_us=row.made_at_us,
                updated_at_us=row.made_at_us,
            )
    return found
