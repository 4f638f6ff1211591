"""Judging: results, silences of data, findings and the passing of time become steps of alerts, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.alert_state import AlertState, Step, renewed
from weft.alerts.compile import Compiled, compile_rule
from weft.alerts.identity import fingerprint_of
from weft.alerts.judged import Evidence, Judged
from weft.alerts.lifecycle import Life
from weft.alerts.live import LiveRule, LiveRules
from weft.alerts.mute import Mutes, load_mutes
from weft.alerts.phase import OPEN, Seen
from weft.alerts.record import Entry, Recorder, load_states, read_key, read_state
from weft.alerts.result_row import ResultRow
from weft.alerts.rule import Rule
from weft.alerts.tables import StateRow

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One window of one rule and key to be judged. `result` is None where nothing came in it."""

    live: LiveRule
    key: Mapping[str, str | None]
    seen: Seen
    values: Mapping[str, Any]
    result: ResultRow | None = None
    result_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """Which alert it is about."""
        return fingerprint_of(self.live.rule.id, self.key)


class Judging:
    """One transaction's worth of judging."""

    def __init__(self, session: AsyncSession, rules: LiveRules, mutes: Mutes, now_us: int) -> None:
        self.recorder = Recorder(session, now_us)
        self._session = session
        self._rules = rules
        self._mutes = mutes
        self._now_us = now_us

    @classmethod
    async def begin(cls, session: AsyncSession, rules: LiveRules, now_us: int) -> "Judging":
        """With the silences and inhibitions that count now."""
        return cls(session, rules, await load_mutes(session, rules, now_us), now_us)

    @property
    def session(self) -> AsyncSession:
        """The transaction."""
        return self._session

    @property
    def mutes(self) -> Mutes:
        """What keeps alerts quiet in this transaction."""
        return self._mutes

    async def judge(self, questions: Sequence[Question]) -> None:
        """Judge windows in the order in which they are given."""
        found = await load_states(self._session, sorted({question.fingerprint for question in questions}))
        await self.recorder.preload(found.values())
        entries: dict[str, Entry] = {}
        for question in questions:
            fingerprint = question.fingerprint
            entry = entries.get(fingerprint) or self._entry(question, fingerprint, found.get(fingerprint))
            entries[fingerprint] = entry
            await self._one(entry, question)

    async def look(self) -> int:
        """What the time brings to alerts whose time has come; returns how many they were."""
        due = select(StateRow).where(StateRow.due_us <= self._now_us).order_by(StateRow.due_us).limit(_AT_ONCE)
        rows = (await self._session.scalars(due.with_for_update())).all()
        await self.recorder.preload(rows)
        for row in rows:
            found = self._of(row)
            if found is None:
                row.due_us = None
                continue
            entry, life = found
            await self.recorder.take(entry, life.look(entry.state, self._now_us), None)
        return len(rows)

    async def mute(self) -> None:
        """Apply silences and inhibitions to what goes on."""
        open_rows = select(StateRow).where(StateRow.status.in_(sorted(OPEN))).with_for_update()
        rows = (await self._session.scalars(open_rows)).all()
        await self.recorder.preload(rows)
        for row in rows:
            found = self._of(row)
            if found is None:
                continue
            entry, life = found
            mute = self._mutes.of(entry.rule, entry.key, entry.state.level)
            if mute != (entry.state.silenced_by, entry.state.inhibited_by):
                await self.recorder.take(entry, life.mute(entry.state, self._now_us, mute), None)

    async def sweep(self, gone: Mapping[str, Rule]) -> None:
        """End what goes on under rules that are gone, disabled, or mean something else now. `gone` are those without a row."""
        rows = (await self._session.scalars(select(StateRow).with_for_update())).all()
        for row in rows:
            known = self._rules.all.get(row.rule_id)
            live = self._rules.live.get(row.rule_id)
            if live is not None and live.meaning == row.meaning:
                continue
            rule = known[0] if known is not None else gone.get(row.rule_id)
            if rule is not None:
                await self._end(row, rule, known is not None, live)
            if known is None:
                await self._session.flush()
                await self._session.delete(row)

    async def _end(self, row: StateRow, rule: Rule, is_kept: bool, live: LiveRule | None) -> None:
        """End one state. It is the old rule that says who hears of it."""
        happened = "removed" if not is_kept else "disabled" if live is None else "changed"
        state = read_state(row)
        entry = Entry(rule, live.meaning if live else row.meaning, row.fingerprint, read_key(row.key), row, state)
        if state.status in OPEN:
            life = compile_rule(rule.definition, rule.id).life(entry.key)
            await self.recorder.take(entry, life.resolve(state, self._now_us, reason=f"the rule was {happened}"), None)
        if live is not None:
            await self.recorder.take(entry, Step(renewed(entry.state), self._now_us), None)

    async def _one(self, entry: Entry, question: Question) -> None:
        live, state = question.live, entry.state
        judged = live.compiled.judge(question.seen, question.values)
        if not _matters(entry, judged, live.compiled):
            return
        life = live.compiled.life(entry.key)
        mute = self._mutes.of(entry.rule, entry.key, judged.seen.level or state.level)
        step = life.judge(state, judged.seen, self._now_us, mute)
        is_shown = bool(step.transitions or step.notices) or step.state.status in OPEN
        await self.recorder.take(entry, step, evidence_of(question, judged) if is_shown else None)

    def _entry(self, question: Question, fingerprint: str, row: StateRow | None) -> Entry:
        state = AlertState() if row is None else read_state(row)
        return Entry(question.live.rule, question.live.meaning, fingerprint, question.key, row, state)

    def _of(self, row: StateRow) -> tuple[Entry, Life] | None:
        """A state and how it lives; None where its rule is not judged (then the next sweep ends it)."""
        live = self._rules.live.get(row.rule_id)
        if live is None:
            return None
        key = read_key(row.key)
        entry = Entry(live.rule, live.meaning, row.fingerprint, key, row, read_state(row))
        return entry, live.compiled.life(key)


def _matters(entry: Entry, judged: Judged, compiled: Compiled) -> bool:
    """Whether there is anything to remember: most keys of most rules are fine, and nothing is kept of them.

    Where late events may change a window, what it said has to be known."""
    if entry.row is not None or judged.seen.is_true or compiled.revises:
        return True
    return compiled.policy.timing.watched or tuple(entry.key.values()) in compiled.expected


def evidence_of(question: Question, judged: Judged) -> Evidence:
    """Everything needed to say why."""
    live, result, seen = question.live, question.result, judged.seen
    query = live.compiled.query
    return Evidence(
        rule_version=live.rule.version,
        start_us=seen.start_us,
        end_us=seen.end_us,
        revision=seen.revision,
        events=0 if result is None else result.events,
        values=judged.values,
        reasons=live.compiled.reasons(judged.values),
        error=seen.error,
        query=None if query is None else query.name,
        query_version=live.query_version,
        result_id=question.result_id,
        topic=None if query is None else query.topic,
        first_offsets={} if result is None else {int(part): first for part, (first, _) in result.offsets.items()},
        last_offsets={} if result is None else {int(part): last for part, (_, last) in result.offsets.items()},
    )
