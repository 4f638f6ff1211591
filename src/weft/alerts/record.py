"""Recording: what a step of an alert's life leaves behind, all of it in the caller's transaction."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.alerts.alert_state import AlertState, Notice, Step, Transition
from weft.alerts.identity import alert_id_of, event_id_of, key_text
from weft.alerts.judged import Evidence
from weft.alerts.notify.notification import Intent, Notification
from weft.alerts.notify.outbox import add
from weft.alerts.phase import OPEN
from weft.alerts.rule import Rule
from weft.alerts.tables import AlertRow, AnnouncementRow, StateRow, TransitionRow
from weft.core import times
from weft.core.event import EventRow
from weft.core.interval import parse_interval

EVENT_TYPE: Final = "weft.alert."
SOURCE: Final = "weft/rules/"
_STATE: Final = msgspec.json.Decoder(AlertState)
_AT_ONCE: Final = 400
_LONGEST_SUMMARY: Final = 2000


@dataclass(slots=True)
class Entry:
    """One rule and key on their way through a transaction."""

    rule: Rule
    meaning: str
    fingerprint: str
    key: Mapping[str, str | None]
    row: StateRow | None
    state: AlertState


@dataclass(slots=True)
class Recorder:
    """Gathers what one transaction writes. `write` puts it into the session; nothing is kept where that is not committed."""

    session: AsyncSession
    now_us: int
    intents: list[Intent] = field(default_factory=list[Intent])
    changes: Counter[str] = field(default_factory=Counter[str])
    alerts: dict[str, AlertRow] = field(default_factory=dict[str, AlertRow])

    async def preload(self, rows: Iterable[StateRow]) -> None:
        """Read the alerts of states that are open at once, rather than one by one when something happens to them."""
        ids = [alert_id_of(row.fingerprint, read_state(row).episode) for row in rows if row.status in OPEN]
        for first in range(0, len(ids), _AT_ONCE):
            part = AlertRow.id.in_(ids[first : first + _AT_ONCE])
            self.alerts |= {row.id: row for row in await self.session.scalars(select(AlertRow).where(part))}

    async def take(self, entry: Entry, step: Step, evidence: Evidence | None) -> None:
        """Write down where a step led."""
        episode_before = entry.state.episode
        entry.state = step.state
        self._keep_state(entry, step.due_us)
        if step.state.episode:
            await self._keep_alert(entry, step, evidence, is_new=step.state.episode != episode_before)
        for transition in step.transitions:
            self._keep_transition(entry, transition, evidence)
        self.changes.update(transition.change for transition in step.transitions)
        for notice in step.notices:
            self.intents += _intents(entry, notice, self.alerts.get(alert_id_of(entry.fingerprint, notice.episode)))

    async def write(self) -> int:
        """Put the notifications into the outbox; returns how many there were."""
        if self.intents:
            await add(self.session, self.intents, now_us=self.now_us)
        return len(self.intents)

    def _keep_state(self, entry: Entry, due_us: int | None) -> None:
        text = msgspec.json.encode(entry.state).decode()
        if entry.row is None:
            entry.row = StateRow(
                fingerprint=entry.fingerprint,
                rule_id=entry.rule.id,
                meaning=entry.meaning,
                key=msgspec.json.encode(entry.key).decode(),
                status=entry.state.status,
                state=text,
                due_us=due_us,
            )
            self.session.add(entry.row)
        elif entry.row.state != text or entry.row.due_us != due_us:
            entry.row.state, entry.row.status, entry.row.due_us = text, entry.state.status, due_us
            entry.row.meaning = entry.meaning

    async def _keep_alert(self, entry: Entry, step: Step, evidence: Evidence | None, *, is_new: bool) -> None:
        state = entry.state
        alert_id = alert_id_of(entry.fingerprint, state.episode)
        row = self.alerts.get(alert_id)
        if row is None and not is_new:
            row = await self.session.get(AlertRow, alert_id)
        if row is None:
            row = _new_alert(entry, alert_id, self.now_us)
            self.session.add(row)
        self.alerts[alert_id] = row
        if row.ended_at_us is not None:
            return
        _show(row, entry, self.now_us)
        if evidence is not None:
            _explain(row, step, evidence)
            row.summary = summary_of(entry.rule, entry.key, evidence)
        if state.status not in OPEN:
            row.ended_at_us = self.now_us
            ended = next((done for done in reversed(step.transitions) if done.status == state.status), None)
            row.ended_by = ended.by if ended else None

    def _keep_transition(self, entry: Entry, transition: Transition, evidence: Evidence | None) -> None:
        alert_id = alert_id_of(entry.fingerprint, transition.episode)
        self.session.add(
            TransitionRow(
                fingerprint=entry.fingerprint,
                number=transition.number,
                alert_id=alert_id,
                change=transition.change,
                at_us=transition.at_us,
                transition=msgspec.json.encode(transition).decode(),
            )
        )
        event_id = event_id_of(entry.fingerprint, transition.number)
        row = _event_row(entry, transition, evidence, alert_id=alert_id, event_id=event_id)
        self.session.add(
            AnnouncementRow(
                fingerprint=entry.fingerprint,
                number=transition.number,
                made_at_us=transition.at_us,
                event_id=event_id,
                row=msgspec.json.encode(row).decode(),
            )
        )


async def load_states(session: AsyncSession, fingerprints: Sequence[str]) -> dict[str, StateRow]:
    """The states of these rules and keys, locked until the transaction ends; those that are nothing are not there."""
    found: dict[str, StateRow] = {}
    for first in range(0, len(fingerprints), _AT_ONCE):
        part = fingerprints[first : first + _AT_ONCE]
        for row in await session.scalars(select(StateRow).where(StateRow.fingerprint.in_(part)).with_for_update()):
            found[row.fingerprint] = row
    return found


def read_state(row: StateRow) -> AlertState:
    """The state in a row."""
    return _STATE.decode(row.state)


def read_key(text: str) -> dict[str, str | None]:
    """The key in a row."""
    return msgspec.json.decode(text, type=dict[str, str | None])


def summary_of(rule: Rule, key: Mapping[str, str | None], evidence: Evidence | None) -> str:
    """One sentence: what, for whom, with which values."""
    about = f" for {key_text(key)}" if key else ""
    if evidence is None:
        return f"{rule.name}{about}"
    if evidence.error is not None:
        return f"{rule.name}{about}: it cannot be judged: {evidence.error}"[:_LONGEST_SUMMARY]
    values = ", ".join(f"{text} = {_shown(value)}" for text, value in _operands(evidence))
    why = evidence.values.get("why")
    told = str(why) if why else f"{rule.definition.condition} with {values}" if values else rule.definition.condition
    return f"{rule.name}{about}: {told}"[:_LONGEST_SUMMARY]


def _operands(evidence: Evidence) -> Iterator[tuple[str, object]]:
    """What the first condition compares, as it is written there, with its value; numbers that stand there are left out."""
    above: dict[int, str] = {}
    told: set[str] = set()
    for step in evidence.reasons[0].steps if evidence.reasons else ():
        above[step.depth] = step.kind
        is_literal = step.text[:1].isdigit() or step.text[:1] in {"-", '"', "'"}
        if step.kind != "boolean" and above.get(step.depth - 1) == "boolean" and not is_literal and step.text not in told:
            told.add(step.text)
            yield step.text, step.value


def _new_alert(entry: Entry, alert_id: str, now_us: int) -> AlertRow:
    return AlertRow(
        id=alert_id,
        fingerprint=entry.fingerprint,
        rule_id=entry.rule.id,
        rule_name=entry.rule.name,
        rule_version=entry.rule.version,
        key=msgspec.json.encode(entry.key).decode(),
        summary=summary_of(entry.rule, entry.key, None),
        started_at_us=now_us,
        evidence="{}",
    )


def _show(row: AlertRow, entry: Entry, now_us: int) -> None:
    state, taken = entry.state, entry.state.acknowledged
    row.status, row.level = state.status, state.level or entry.rule.definition.level
    row.fired_at_us = state.fired_at_us or row.fired_at_us
    row.silenced_by, row.inhibited_by = state.silenced_by, state.inhibited_by
    row.flapping, row.step, row.revision = state.flapping, state.step, state.revision
    row.shadow = entry.rule.definition.shadow
    if taken is not None or state.status in OPEN:
        row.acknowledged_at_us = None if taken is None else taken.at_us
        row.acknowledged_by = None if taken is None else taken.by
        row.acknowledged_until_us = None if taken is None else taken.until_us
        row.acknowledged_comment = None if taken is None else taken.comment
    row.rule_name, row.rule_version, row.updated_at_us = entry.rule.name, entry.rule.version, now_us


def _explain(row: AlertRow, step: Step, evidence: Evidence) -> None:
    """Keep why it fired, and how it was last judged."""
    known: dict[str, Any] = msgspec.json.decode(row.evidence)
    plain = msgspec.to_builtins(evidence)
    if "first" not in known:
        known["first"] = plain
    if any(done.change in {"firing", "no_data", "error", "level", "amended"} for done in step.transitions):
        known["fired"] = plain
    known["last"] = plain
    row.evidence = msgspec.json.encode(known).decode()


def _intents(entry: Entry, notice: Notice, alert: AlertRow | None) -> list[Intent]:
    definition = entry.rule.definition
    channels = tuple(notice.channels or definition.channels)
    if not channels:
        return []
    summary = alert.summary if alert is not None else summary_of(entry.rule, entry.key, None)
    since_us = alert.fired_at_us or alert.started_at_us if alert is not None else notice.at_us
    values = _values(alert)
    alert_id = alert_id_of(entry.fingerprint, notice.episode)
    notification = Notification(
        fingerprint=entry.fingerprint,
        transition=notice.number,
        state=_told_state(notice),
        rule_id=entry.rule.id,
        rule_name=entry.rule.name,
        rule_version=entry.rule.version,
        level=notice.level or definition.level,
        summary=summary[:_LONGEST_SUMMARY],
        since_us=since_us,
        at_us=notice.at_us,
        occasion="" if notice.kind in {"firing", "resolved", "no_data", "error"} else notice.kind,
        group_key=entry.rule.id,
        group_wait_us=_optional_us(definition.group_wait),
        group_interval_us=_optional_us(definition.group_interval),
        description=(definition.description or "")[:_LONGEST_SUMMARY],
        labels={name: value for name, value in entry.key.items() if value is not None},
        values=values,
        links={
            "alert": f"/api/v1/alerts/{alert_id}",
            "why": f"/api/v1/alerts/{alert_id}/why",
            "rule": f"/api/v1/rules/{entry.rule.id}",
        },
    )
    return [Intent(notification=notification, channels=channels)]


def _told_state(notice: Notice) -> str:
    return (
        "firing" if notice.status in {"recovering", "pending"} else "resolved" if notice.status == "inactive" else notice.status
    )


def _values(alert: AlertRow | None) -> dict[str, Any]:
    if alert is None:
        return {}
    evidence: dict[str, Any] = msgspec.json.decode(alert.evidence)
    last: dict[str, Any] = evidence.get("last", {})
    values: dict[str, Any] = last.get("values", {})
    return {name: value for name, value in values.items() if isinstance(value, int | float | str | bool | None)}


def _event_row(entry: Entry, transition: Transition, evidence: Evidence | None, *, alert_id: str, event_id: str) -> EventRow:
    rule, state = entry.rule, entry.state
    data = {
        "alert_id": alert_id,
        "fingerprint": entry.fingerprint,
        "rule": {"id": rule.id, "name": rule.name, "version": rule.version},
        "key": entry.key,
        "number": transition.number,
        "change": transition.change,
        "status": transition.status,
        "before": transition.before,
        "level": transition.level or rule.definition.level,
        "at": times.to_text(transition.at_us),
        "at_us": transition.at_us,
        "event_time": None if transition.event_us is None else times.to_text(transition.event_us),
        "by": transition.by,
        "reason": transition.reason,
        "amended": transition.amended,
        "acknowledged": state.acknowledged is not None,
        "silenced": state.silenced_by is not None,
        "inhibited": state.inhibited_by is not None,
        "shadow": rule.definition.shadow,
        "summary": summary_of(rule, entry.key, evidence),
        "values": {} if evidence is None else evidence.values,
        "channels": rule.definition.channels,
        "tags": rule.definition.tags,
    }
    return EventRow(
        type=EVENT_TYPE + transition.change,
        source=SOURCE + rule.id,
        id=event_id,
        subject=(key_text(entry.key) or rule.name)[:1024],
        timestamp=times.to_text(transition.at_us),
        data=msgspec.Raw(msgspec.json.encode(data)),
    )


def _optional_us(text: str | None) -> int | None:
    return None if text is None else parse_interval(text)


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "unknown" if value is None else str(value)
