"""Why not: why a rule does not tell anybody anything, with the values it looked at."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import select

from weft.alerts.alert_state import AlertState
from weft.alerts.compile import Compiled, compile_rule, query_name
from weft.alerts.identity import key_text
from weft.alerts.judged import Reason
from weft.alerts.phase import OPEN
from weft.alerts.record import read_key, read_state
from weft.alerts.result_row import ResultRow, read_results
from weft.alerts.rule import Rule
from weft.alerts.rulebook import Rulebook
from weft.alerts.self_watch import values_of
from weft.alerts.tables import StateRow
from weft.core.clock import Clock
from weft.core.errors import Corrupt, Invalid, NotFound
from weft.core.position import TopicPartition
from weft.core.times import to_text
from weft.core.verdict import CheckRegister
from weft.db.database import Database
from weft.log.port import Log
from weft.stream.catalogue import Catalogue
from weft.stream.progress import Progress, progress_of

Answer = Literal[
    "disabled",
    "cannot_be_judged",
    "not_started",
    "lagging",
    "nothing_arrived",
    "not_true",
    "unknown",
    "pending",
    "silenced",
    "inhibited",
    "acknowledged",
    "flapping",
    "shadow",
    "no_channel",
    "told",
]
_NEAREST: Final[tuple[Answer, ...]] = (
    "told",
    "acknowledged",
    "flapping",
    "no_channel",
    "shadow",
    "inhibited",
    "silenced",
    "pending",
    "unknown",
    "not_true",
)
_TAIL: Final = 200
_MOST_KEYS: Final = 50
_LAGGING: Final = 10_000


class WhyKey(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps one key from being told: the newest window, its values, and what each condition made of them."""

    key: dict[str, str | None]
    answer: Answer
    sentence: str
    window: dict[str, str] | None = None
    values: dict[str, Any] = {}
    reasons: list[Reason] = []
    until: str | None = None


class WhyNot(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for a rule: what holds for all of it, and then key by key."""

    rule_id: str
    rule_version: int
    answer: Answer
    sentence: str
    progress: dict[str, Any] | None = None
    keys: list[WhyKey] = []


class WhyNots:
    """Answers the question."""

    def __init__(
        self, database: Database, log: Log, catalogue: Catalogue, rulebook: Rulebook, checks: CheckRegister, clock: Clock
    ) -> None:
        self.database = database
        self.log = log
        self._catalogue = catalogue
        self._rulebook = rulebook
        self._checks = checks
        self._clock = clock

    async def ask(self, rule_id: str) -> WhyNot:
        """Why a rule tells nobody anything. Raises NotFound."""
        rule = await self._rulebook.get(rule_id)
        if not rule.definition.enabled:
            return _whole(rule, "disabled", f"'{rule.name}' is disabled: it never fires.")
        try:
            compiled = compile_rule(rule.definition, rule.id)
        except Invalid as wrong:
            return _whole(rule, "cannot_be_judged", f"'{rule.name}' cannot be judged: {wrong.message}")
        states = await self._states(rule)
        if compiled.query is None:
            return _conclude(rule, await self._of_findings(rule, compiled, states), None)
        progress = await self._progress(rule)
        problem = _problem(rule, compiled, progress)
        if problem is not None:
            return problem
        newest = await self._newest(compiled)
        keys = [_of_result(rule, compiled, row, states.get(key_text(row.key))) for row in newest[:_MOST_KEYS]]
        if not keys:
            return _nothing(rule, compiled, progress, await self._has_events(compiled))
        return _conclude(rule, keys, progress)

    async def _states(self, rule: Rule) -> dict[str, StateRow]:
        async with self.database.reading() as session:
            rows = await session.scalars(select(StateRow).where(StateRow.rule_id == rule.id))
            return {key_text(read_key(row.key)): row for row in rows}

    async def _progress(self, rule: Rule) -> Progress | None:
        try:
            stored = await self._catalogue.get(query_name(rule.id))
        except NotFound:
            return None
        return (await progress_of(self, [stored])).get(stored.query.name)

    async def _newest(self, compiled: Compiled) -> Sequence[ResultRow]:
        """The newest result of each key among the last of the topic, the newest window first."""
        topic = compiled.query.results_topic if compiled.query else ""
        found: dict[str, ResultRow] = {}
        for state in (await self.log.state()).partitions:
            if state.topic != topic:
                continue
            for row in await self._tail(TopicPartition(topic, state.partition), state.start_offset, state.end_offset):
                known = found.get(key_text(row.key))
                if known is None or (row.window.end_us, row.revision) >= (known.window.end_us, known.revision):
                    found[key_text(row.key)] = row
        return sorted(found.values(), key=lambda row: -row.window.end_us)

    async def _tail(self, place: TopicPartition, start: int, end: int) -> list[ResultRow]:
        offset, rows = max(start, end - _TAIL), list[ResultRow]()
        while offset < end:
            try:
                batches = await self.log.read(place, offset)
                for batch in batches:
                    rows += [row for _, row in read_results(batch)]
            except Corrupt as damage:
                offset = max(int(damage.details.get("next_offset", end)), offset + 1)
                continue
            offset = batches[-1].next_offset if batches else end
        return rows

    async def _has_events(self, compiled: Compiled) -> bool:
        topic = compiled.query.topic if compiled.query else ""
        return any(part.topic == topic and part.events_total for part in (await self.log.state()).partitions)

    async def _of_findings(self, rule: Rule, compiled: Compiled, states: Mapping[str, StateRow]) -> list[WhyKey]:
        def wanted(code: str) -> bool:
            return any(fnmatchcase(code, pattern) for pattern in rule.definition.finding)

        found = await self._checks.findings(self._clock.now_us(), wanted)
        return [
            _of_values(rule, compiled, {"finding": finding.code}, dict(values_of(finding)), states.get(finding.code), None)
            for finding in found
        ]


def _problem(rule: Rule, compiled: Compiled, progress: Progress | None) -> WhyNot | None:
    """What keeps the whole rule from being judged."""
    if progress is None:
        sentence = f"The query of '{rule.name}' has not begun yet; is a process with the role analytics running?"
        return _whole(rule, "not_started", sentence)
    told = progress.model_dump()
    if progress.failure is not None:
        return _whole(rule, "cannot_be_judged", f"The query of '{rule.name}' cannot be computed: {progress.failure}", told)
    if progress.lag > _LAGGING:
        topic = compiled.query.topic if compiled.query else ""
        sentence = f"'{rule.name}' lags: {progress.lag} events of '{topic}' are still to be read."
        return _whole(rule, "lagging", sentence, told)
    return None


def _nothing(rule: Rule, compiled: Compiled, progress: Progress | None, has_events: bool) -> WhyNot:
    query = compiled.query
    topic = query.topic if query else ""
    told = None if progress is None else progress.model_dump()
    if not has_events:
        return _whole(rule, "nothing_arrived", f"Nothing has ever arrived in the topic '{topic}'.", told)
    until = progress.watermark if progress else None
    which = f" of which '{query.where}' is true" if query and query.where else ""
    waits = f" Windows that end before {until} are over." if until else ""
    sentence = f"No event{which} has come to '{topic}' in a window that is over since the rule was made.{waits}"
    return _whole(rule, "nothing_arrived", sentence, told)


def _of_result(rule: Rule, compiled: Compiled, row: ResultRow, state: StateRow | None) -> WhyKey:
    window = {"start": to_text(row.window.start_us), "end": to_text(row.window.end_us)}
    judged_us = None if state is None else read_state(state).phase.last_end_us
    if judged_us is not None and judged_us > row.window.end_us and state is not None and state.status not in OPEN:
        sentence = f"nothing has come since the window that ended at {window['end']}, and the condition is not true of nothing"
        about = f"{key_text(row.key)}: " if row.key else ""
        return WhyKey(key=row.key, answer="not_true", sentence=about + sentence, values=dict(compiled.nothing))
    return _of_values(rule, compiled, row.key, row.values, state, window)


def _of_values(
    rule: Rule,
    compiled: Compiled,
    key: dict[str, str | None],
    values: dict[str, Any],
    state: StateRow | None,
    window: dict[str, str] | None,
) -> WhyKey:
    reasons = compiled.reasons(values)
    answer, sentence, until = _standing(rule, compiled, reasons, state)
    about = f"{key_text(key)}: " if key else ""
    return WhyKey(key=key, answer=answer, sentence=about + sentence, window=window, values=values, reasons=reasons, until=until)


def _standing(
    rule: Rule, compiled: Compiled, reasons: Sequence[Reason], row: StateRow | None
) -> tuple[Answer, str, str | None]:
    """Where one key stands, the first thing that keeps it quiet."""
    if row is None or row.status not in OPEN:
        if any(reason.is_true for reason in reasons):
            return "pending", "the condition is true in the newest window; it is judged in a moment", None
        if all(reason.is_true is False for reason in reasons if reason.level is not None):
            return "not_true", f"the condition is not true: {_shown(reasons)}", None
        return "unknown", f"whether the condition is true is not known: {_shown(reasons)}", None
    state = read_state(row)
    if state.status == "pending":
        since_us = state.phase.held_since_us or state.phase.last_end_us or 0
        until = to_text(since_us + compiled.policy.timing.for_us)
        return "pending", f"the condition is true; it fires when that is still so at {until}", until
    answer, why, _ = next(entry for entry in _quiet(rule, state) if entry[2])
    return answer, f"it is {state.status}{why}", None


def _quiet(rule: Rule, state: AlertState) -> list[tuple[Answer, str, bool]]:
    """What can keep an alert that goes on from being told, the strongest first."""
    taken = state.acknowledged
    return [
        ("silenced", f", and silenced by {state.silenced_by}", state.silenced_by is not None),
        ("inhibited", f", and quiet while the rule {state.inhibited_by} fires", state.inhibited_by is not None),
        ("shadow", ", and the rule is a shadow: it tells nobody", rule.definition.shadow),
        ("no_channel", ", and the rule has no channel to tell anybody through", not rule.definition.channels),
        ("flapping", ", and flapping: it is told again when it stands still", state.flapping),
        ("acknowledged", f", and {taken.by if taken else ''} has acknowledged it", taken is not None),
        ("told", ", and that was told", True),
    ]


def _conclude(rule: Rule, keys: Sequence[WhyKey], progress: Progress | None) -> WhyNot:
    """The rule as a whole: what most of its keys say, the nearest to telling first."""
    order = (
        "told",
        "acknowledged",
        "flapping",
        "no_channel",
        "shadow",
        "inhibited",
        "silenced",
        "pending",
        "unknown",
        "not_true",
    )
    ranked = sorted(keys, key=lambda one: order.index(one.answer) if one.answer in order else len(order))
    if not ranked:
        return _whole(rule, "nothing_arrived", f"No check of this process is called {', '.join(rule.definition.finding)}.")
    told = None if progress is None else progress.model_dump()
    first = ranked[0]
    others = f" And {len(ranked) - 1} more." if len(ranked) > 1 else ""
    return WhyNot(
        rule_id=rule.id,
        rule_version=rule.version,
        answer=first.answer,
        sentence=f"'{rule.name}': {first.sentence}.{others}",
        progress=told,
        keys=list(ranked),
    )


def _whole(rule: Rule, answer: Answer, sentence: str, progress: dict[str, Any] | None = None) -> WhyNot:
    return WhyNot(rule_id=rule.id, rule_version=rule.version, answer=answer, sentence=sentence, progress=progress)


def _shown(reasons: Sequence[Reason]) -> str:
    """`count > 5 (count() = 3)` of the first condition."""
    reason = reasons[0]
    values = [
        f"{step.text} = {'unknown' if step.value is None else step.value}"
        for step in reason.steps
        if step.depth > 0 and step.kind != "boolean" and not step.text.replace(".", "", 1).isdigit()
    ]
    return f"{reason.condition} ({', '.join(dict.fromkeys(values))})" if values else reason.condition
