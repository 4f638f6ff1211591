"""Absence: the windows in which nothing came, of alerts that go on and of keys that are expected."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.gap import windows_without_result
from weft.alerts.horizon import Horizons
from weft.alerts.identity import fingerprint_of
from weft.alerts.judging import Question
from weft.alerts.live import LiveRule, LiveRules
from weft.alerts.phase import OPEN, Seen
from weft.alerts.record import read_key, read_state
from weft.alerts.tables import StateRow, WatchedRow
from weft.core.clock import Clock
from weft.core.position import TopicPartition
from weft.db.database import Database
from weft.log.port import Log
from weft.stream.query import Query

_MOST: Final = 5_000
"""Windows judged at once; the rest follows at the next look."""


class Absences:
    """Looks again and again for what did not come."""

    def __init__(self, database: Database, log: Log, clock: Clock, *, no_topic_s: float) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._no_topic_s = no_topic_s
        self._looked: dict[str, int] = {}

    def forget(self) -> None:
        """Look at everything anew."""
        self._looked.clear()

    async def look(self, rules: LiveRules, positions: Mapping[TopicPartition, int]) -> tuple[list[Question], dict[str, int]]:
        """The windows to judge, in the order of their ends, and for rules that expect something up to where that is all."""
        async with self._database.reading() as session:
            opened = await _rules_with_something_open(session)
        wanted = [one for one in rules.live.values() if one.compiled.query and (one.rule.id in opened or _expects(one))]
        if not wanted:
            return [], {}
        # Not inside a unit of work: two at once, and a writer between them, would wait for each other.
        horizons = await Horizons.look(self._database, self._log)
        questions: list[Question] = []
        watched: dict[str, int] = {}
        async with self._database.reading() as session:
            for live in wanted:
                until_us = self._until_us(live, horizons, positions)
                if until_us is None or self._looked.get(live.rule.id, until_us - 1) >= until_us:
                    continue
                if len(questions) >= _MOST:
                    break
                questions += await self._questions(session, live, until_us)
                if _expects(live):
                    watched[live.rule.id] = until_us
                self._looked[live.rule.id] = until_us
        return sorted(questions, key=lambda question: question.seen.end_us), watched

    def _until_us(self, live: LiveRule, horizons: Horizons, positions: Mapping[TopicPartition, int]) -> int | None:
        now_us = self._clock.now_us()
        until_us = horizons.over_until_us(live, positions, now_us=now_us, no_topic_s=self._no_topic_s)
        query = live.compiled.query
        if until_us is None or query is None:
            return None
        return until_us - (query.lateness_us if query.emit == "final" else 0)

    async def _questions(self, session: AsyncSession, live: LiveRule, until_us: int) -> list[Question]:
        query = live.compiled.query
        if query is None:
            return []
        rows = (await session.scalars(select(StateRow).where(StateRow.rule_id == live.rule.id))).all()
        known = await session.get(WatchedRow, live.rule.id)
        since_us = until_us if known is None else known.until_us
        last: dict[str, tuple[Mapping[str, str | None], int]] = {}
        for key in _expected(live, query):
            last[fingerprint_of(live.rule.id, key)] = (key, since_us)
        for row in rows:
            if row.status in OPEN or live.compiled.policy.timing.watched or row.fingerprint in last:
                judged_us = read_state(row).phase.last_end_us
                last[row.fingerprint] = (read_key(row.key), since_us if judged_us is None else judged_us)
        return [
            _question(live, key, start_us, end_us)
            for key, judged_us in last.values()
            for start_us, end_us in windows_without_result(judged_us, until_us, query.window)
        ]


async def _rules_with_something_open(session: AsyncSession) -> set[str]:
    asked = select(StateRow.rule_id).where(StateRow.status.in_(sorted(OPEN))).distinct()
    return set(await session.scalars(asked))


def _expects(live: LiveRule) -> bool:
    """Whether data is due though nothing is wrong."""
    return bool(live.compiled.expected) or live.compiled.policy.timing.watched or _is_about_absence(live)


def _is_about_absence(live: LiveRule) -> bool:
    """Whether a window without any event can make the condition true, and there is one key alone to ask it of."""
    return not live.rule.definition.group_by and bool(live.compiled.judge(_NO_WINDOW, live.compiled.nothing).seen.is_true)


_NO_WINDOW: Final = Seen(start_us=0, end_us=0, is_true=None)


def _expected(live: LiveRule, query: Query) -> Iterable[Mapping[str, str | None]]:
    if not query.key:
        return [{}] if _expects(live) else []
    return [dict(zip(query.key, values, strict=True)) for values in sorted(live.compiled.expected, key=str)]


def _question(live: LiveRule, key: Mapping[str, str | None], start_us: int, end_us: int) -> Question:
    return Question(live=live, key=key, seen=Seen(start_us=start_us, end_us=end_us, is_true=None), values=live.compiled.nothing)


async def save_watched(session: AsyncSession, watched: Mapping[str, int]) -> None:
    """Note up to where it was looked."""
    for rule_id, until_us in watched.items():
        await session.merge(WatchedRow(rule_id=rule_id, until_us=until_us))
