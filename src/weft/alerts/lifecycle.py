"""The life of an alert: inactive, pending, firing, recovering, resolved, and what people and other alerts do to it.

Pure: no clock, no I/O. Conditions live in event time (`weft.alerts.phase`), people in theirs: acknowledgements, silences,
escalation and notifications take the moment they happen at. Each method gives the state afterwards, the transitions on the way
there, what somebody has to be told, and when to look again.
"""

from dataclasses import dataclass
from typing import Literal

from weft.alerts.alert_state import (
    SYSTEM,
    Acknowledgement,
    AlertState,
    Mute,
    Notice,
    NoticeKind,
    Step,
    Told,
    weight,
    worse,
)
from weft.alerts.phase import ACTIVE, OPEN, Phase, Seen, Status, Timing, Unfolded, settle, unfold
from weft.alerts.rule import AlertLevel, level_above


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """One step, `after_us` after it fired."""

    after_us: int
    level: AlertLevel | None = None
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a rule's alerts live."""

    timing: Timing
    suppression_us: int = 0
    repeat_us: int | None = None
    escalation: tuple[Escalation, ...] = ()
    flaps: int = 6
    flaps_within_us: int = 30 * 60_000_000
    shadow: bool = False
    revises: bool = True
    """Whether a changed result is late truth; where windows are judged while they are open it is only the next look."""


class Life:
    """What can happen to an alert under a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def judge(self, state: AlertState, seen: Seen, now_us: int, mute: Mute | None = None) -> Step:
        """A window was judged: a new one, or a revision of one that is remembered. Older ones change nothing.

        `mute` says what keeps it quiet now; without it that is as it was.
        """
        step = Step(state, now_us)
        if mute is not None:
            self._mute(step, mute)
        last_us = state.base.last_end_us
        if last_us is not None and seen.end_us <= last_us and not _is_recent(state, seen):
            return self._end(step)
        old = unfold(state.base, state.recent, self._policy.timing)
        windows, changed = _with(state.recent, seen)
        new = unfold(state.base, windows, self._policy.timing)
        step.amends = changed and self._policy.revises
        base, recent = settle(state.base, windows, self._policy.timing)
        step.change(base=base, recent=recent)
        if step.amends:
            step.change(revision=state.revision + 1)
            self._missed(step, old, new)
        self._move(step, new.last, reason=seen.error)
        return self._end(step)

    def acknowledge(
        self, state: AlertState, now_us: int, *, by: str, until_us: int | None = None, comment: str | None = None
    ) -> Step:
        """Somebody takes it on: no escalation and no reminders until then."""
        step = Step(state, now_us)
        step.change(acknowledged=Acknowledgement(by=by, at_us=now_us, until_us=until_us, comment=comment))
        step.note("acknowledged", before=state.status, by=by, reason=comment)
        return self._end(step)

    def resolve(self, state: AlertState, now_us: int, *, by: str = SYSTEM, reason: str | None = None) -> Step:
        """Somebody says that it is over. Where its condition is still true in the next window, that is a new episode."""
        step = Step(state, now_us)
        if state.status in OPEN:
            over: Status = "resolved" if state.is_active else "inactive"
            phase = Phase(status=over, level=state.phase.level, last_end_us=state.phase.last_end_us)
            step.change(base=phase, recent=())
            self._move(step, phase, by=by, reason=reason)
        return self._end(step)

    def mute(self, state: AlertState, now_us: int, mute: Mute) -> Step:
        """What keeps it quiet now, if anything."""
        step = Step(state, now_us)
        self._mute(step, mute)
        return self._end(step)

    def _mute(self, step: Step, mute: Mute) -> None:
        state, (silenced_by, inhibited_by) = step.state, mute
        if state.status not in OPEN:
            step.change(silenced_by=silenced_by, inhibited_by=inhibited_by)
            return
        if silenced_by != state.silenced_by:
            step.change(silenced_by=silenced_by)
            if (silenced_by is None) != (state.silenced_by is None):
                step.note("silenced" if silenced_by else "unsilenced", before=state.status, reason=silenced_by)
                step.change(escalate_from_us=step.now_us if state.escalate_from_us is not None else None)
        if inhibited_by != state.inhibited_by:
            step.change(inhibited_by=inhibited_by)
            if (inhibited_by is None) != (state.inhibited_by is None):
                step.note("inhibited" if inhibited_by else "uninhibited", before=state.status, reason=inhibited_by)

    def look(self, state: AlertState, now_us: int) -> Step:
        """Time has passed."""
        return self._end(Step(state, now_us))

    def _missed(self, step: Step, old: Unfolded, new: Unfolded) -> None:
        """Late events show that it was firing in between, and is over: both are written down, and told."""
        state = step.state
        if state.is_active or new.last.status in OPEN:
            return
        before = sum(phase.status == "firing" for phase in old.phases)
        if before == 0 and any(phase.status == "firing" for phase in new.phases):
            fired = next(phase for phase in new.phases if phase.status == "firing")
            self._move(step, fired, reason="late events show that it was firing")

    def _move(self, step: Step, phase: Phase, *, by: str = SYSTEM, reason: str | None = None) -> None:
        """Go on to a phase, with what belongs to beginning and ending."""
        state = step.state
        before, level = state.status, state.level
        step.change(phase=phase)
        if phase.status == before:
            if phase.status in ACTIVE and step.state.level != level:
                self._reopen(step, level)
                step.note("level", before=before, by=by, reason=reason)
            elif step.amends and phase.status in ACTIVE:
                step.note("amended", before=before, reason="late events changed a window")
            return
        if phase.status in OPEN and before not in OPEN:
            step.change(
                episode=state.episode + 1, acknowledged=None, step=0, raised=None, fired_at_us=None, escalate_from_us=None
            )
        if phase.status in ACTIVE and before not in ACTIVE:
            step.change(fired_at_us=step.now_us, escalate_from_us=step.now_us, told=None)
        if phase.status == "firing" or (phase.status == "resolved" and before in ACTIVE):
            step.change(flips_us=(*step.state.flips_us, step.now_us)[-2 * self._policy.flaps :])
        self._reopen(step, level)
        step.note(phase.status, before=before, by=by, reason=reason)

    def _reopen(self, step: Step, level_before: AlertLevel | None) -> None:
        """Who took it on took on something milder."""
        state = step.state
        if state.acknowledged and state.is_active and weight(state.level) > weight(level_before) >= 0:
            step.change(acknowledged=None, escalate_from_us=step.now_us)

    def _end(self, step: Step) -> Step:
        """What the clock brings, then what has to be said, then when to look again."""
        self._expire(step)
        self._flap(step)
        self._escalate(step)
        self._speak(step)
        if step.state.status not in OPEN and step.state.acknowledged is not None:
            step.change(acknowledged=None)
        step.due_us = self._due_us(step.state)
        return step

    def _expire(self, step: Step) -> None:
        taken = step.state.acknowledged
        if taken is not None and taken.until_us is not None and taken.until_us <= step.now_us and step.state.status in OPEN:
            step.change(acknowledged=None, escalate_from_us=step.now_us)
            step.note("unacknowledged", before=step.state.status, reason=f"{taken.by}'s acknowledgement ended")

    def _flap(self, step: Step) -> None:
        policy = self._policy
        flips = tuple(at_us for at_us in step.state.flips_us if at_us > step.now_us - policy.flaps_within_us)
        if flips != step.state.flips_us:
            step.change(flips_us=flips)
        if not step.state.flapping and len(flips) >= policy.flaps:
            step.change(flapping=True)
            step.note("flapping", before=step.state.status)
            if not step.state.is_muted and not policy.shadow:
                self._tell(step, "flapping")
        elif step.state.flapping and len(flips) <= policy.flaps // 2:
            step.change(flapping=False)
            step.note("steady", before=step.state.status)

    def _escalate(self, step: Step) -> None:
        while (due_us := self._escalation_due_us(step.state)) is not None and due_us <= step.now_us:
            state = step.state
            rung = self._policy.escalation[state.step]
            level = worse(state.level, rung.level or level_above(state.level or self._policy.timing.level))
            step.change(step=state.step + 1, raised=level)
            step.note("escalated", before=state.status, reason=f"nobody acknowledged it: step {state.step + 1}")
            if not self._policy.shadow and not state.flapping:
                self._tell(step, "escalated", channels=rung.channels)

    def _speak(self, step: Step) -> None:
        state = step.state
        if state.is_muted or self._policy.shadow or state.flapping:
            if state.status not in OPEN and not state.flapping and state.told is not None:
                step.change(told=None)
            return
        if state.is_active:
            self._speak_of_active(step)
        elif state.status not in OPEN:
            missed = step.amends and any(done.change == "firing" for done in step.transitions)
            if missed or (state.told is not None and state.told.status in ACTIVE):
                self._tell(step, "amended" if step.amends else "resolved")
                step.change(told=None)

    def _speak_of_active(self, step: Step) -> None:
        state, told = step.state, step.state.told
        kind = _kind_of(state.status)
        if told is None:
            if step.amends or self._speak_due_us(state) <= step.now_us:
                self._tell(step, "amended" if step.amends else kind)
        elif step.amends and step.transitions:
            self._tell(step, "amended")
        elif weight(state.level) > weight(told.level):
            self._tell(step, "level")
        elif kind != _kind_of(told.status):
            self._tell(step, kind)
        elif (due_us := self._reminder_due_us(state)) is not None and due_us <= step.now_us:
            step.note("reminded", before=state.status)
            self._tell(step, "reminder")

    def _speak_due_us(self, state: AlertState) -> int:
        """When a new episode may be told: at once, or after the suppression period where that told no worse."""
        last = state.last_told
        if last is None or weight(state.level) > weight(last.level):
            return 0
        return last.at_us + self._policy.suppression_us

    def _tell(self, step: Step, kind: NoticeKind, *, channels: tuple[str, ...] | None = None) -> None:
        state = step.state
        step.notices.append(
            Notice(
                kind=kind,
                number=state.number,
                episode=state.episode,
                status=state.status,
                level=state.level,
                at_us=step.now_us,
                step=state.step,
                channels=channels,
            )
        )
        told = Told(at_us=step.now_us, number=state.number, status=state.status, level=state.level)
        if state.is_active and kind != "flapping":
            step.change(told=told, last_told=told)

    def _escalation_due_us(self, state: AlertState) -> int | None:
        if state.status not in {"firing", "no_data", "error"} or state.acknowledged or state.is_muted:
            return None
        if state.step >= len(self._policy.escalation) or state.escalate_from_us is None:
            return None
        return state.escalate_from_us + self._policy.escalation[state.step].after_us

    def _reminder_due_us(self, state: AlertState) -> int | None:
        if state.told is None or state.acknowledged or self._policy.repeat_us is None:
            return None
        return state.told.at_us + self._policy.repeat_us

    def _due_us(self, state: AlertState) -> int | None:
        dues: list[int | None] = []
        if state.status in OPEN and state.acknowledged is not None:
            dues.append(state.acknowledged.until_us)
        dues.append(self._escalation_due_us(state))
        if state.flapping and state.flips_us:
            dues.append(state.flips_us[0] + self._policy.flaps_within_us)
        if state.is_active and not state.is_muted and not self._policy.shadow and not state.flapping:
            if state.told is None:
                dues.append(self._speak_due_us(state))
            dues.append(self._reminder_due_us(state))
        return min((due for due in dues if due is not None), default=None)


def _is_recent(state: AlertState, seen: Seen) -> bool:
    return any(window.end_us == seen.end_us and window.start_us == seen.start_us for window in state.recent)


def _with(windows: tuple[Seen, ...], seen: Seen) -> tuple[tuple[Seen, ...], bool]:
    """The windows with one more or one revised, in order, and whether a verdict that was given is another now."""
    known = next((window for window in windows if (window.start_us, window.end_us) == (seen.start_us, seen.end_us)), None)
    if known is not None and known.revision > seen.revision:
        return windows, False
    others = [window for window in windows if window is not known]
    ordered = tuple(sorted([*others, seen], key=lambda window: (window.end_us, window.start_us)))
    newest = max((window.end_us for window in others), default=None)
    if known is None:
        return ordered, newest is not None and seen.end_us < newest and bool(seen.is_true)
    return ordered, (known.is_true, known.level) != (seen.is_true, seen.level)


def _kind_of(status: Status) -> Literal["firing", "no_data", "error"]:
    """What an active alert is told as."""
    match status:
        case "no_data" | "error":
            return status
        case _:
            return "firing"
