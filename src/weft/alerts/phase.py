"""Phase: how far an alert has come by what its windows say, in event time alone. Pure: the same windows give the same phase.

`for` is counted from the end of the first window of an unbroken run in which the condition was true to the end of the last, as
Prometheus counts it. What is unknown is not false: it ends a run that had not fired yet, and resolves nothing.
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from weft.alerts.rule import AlertLevel, NoDataPolicy

Status = Literal["inactive", "pending", "firing", "recovering", "resolved", "no_data", "error"]
ACTIVE: Final = frozenset[Status]({"firing", "recovering", "no_data", "error"})
"""What somebody has to know of."""
OPEN: Final = ACTIVE | frozenset[Status]({"pending"})
_MOST_WINDOWS: Final = 256


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one window says: `is_true` of the condition, None where that is unknown, `level` where it is true.

    `is_clear` is whether it may resolve; None is unknown too. `error` is why the window could not be judged at all.
    """

    start_us: int
    end_us: int
    is_true: bool | None
    is_clear: bool | None = None
    level: AlertLevel | None = None
    revision: int = 0
    final: bool = True
    error: str | None = None


class Phase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the windows so far have led. `true_until_us` is set from firing on until it ends."""

    status: Status = "inactive"
    level: AlertLevel | None = None
    held_since_us: int | None = None
    true_until_us: int | None = None
    missing_since_us: int | None = None
    last_end_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of a rule. `step_us` is the distance between two consecutive windows, None where they have none (sessions).

    `watched` says that data is due even where nothing is wrong: the key is expected, or the rule says what no data means.
    """

    level: AlertLevel
    for_us: int = 0
    keep_firing_us: int = 0
    missing_us: int
    no_data: NoDataPolicy = "alert"
    step_us: int | None = None
    revisable_us: int = 0
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Unfolded:
    """The phases after each of some windows, the first being the one before them."""

    phases: tuple[Phase, ...]

    @property
    def last(self) -> Phase:
        """Where they lead."""
        return self.phases[-1]


def unfold(base: Phase, windows: tuple[Seen, ...], timing: Timing) -> Unfolded:
    """Each phase from `base` on."""
    phases = [base]
    for seen in windows:
        phases.append(advance(phases[-1], seen, timing))
    return Unfolded(tuple(phases))


def advance(phase: Phase, seen: Seen, timing: Timing) -> Phase:
    """The phase after one more window, which ends no earlier than those before it."""
    if seen.error is not None:
        return _changed(phase, seen, status="error", level=phase.level or timing.level, held_since_us=None)
    if seen.is_true is None:
        return _unknown(phase, seen, timing)
    if seen.is_true:
        return _true(phase, seen, timing)
    return _false(phase, seen, timing, is_clear=seen.is_clear)


def settle(base: Phase, windows: tuple[Seen, ...], timing: Timing) -> tuple[Phase, tuple[Seen, ...]]:
    """Fold those windows into the base that no late event can change any more; returns the new base and the rest."""
    newest_us = windows[-1].end_us if windows else 0
    keep = len(windows)
    while keep > 1:
        oldest = windows[len(windows) - keep]
        if newest_us - oldest.end_us <= timing.revisable_us and keep <= _MOST_WINDOWS:
            break
        base = advance(base, oldest, timing)
        keep -= 1
    return base, windows[len(windows) - keep :]


def _true(phase: Phase, seen: Seen, timing: Timing) -> Phase:
    if phase.true_until_us is not None:
        return _changed(phase, seen, status="firing", level=seen.level, true_until_us=seen.end_us, missing_since_us=None)
    since_us = phase.held_since_us
    if since_us is None or not _is_next(phase, seen, timing):
        since_us = seen.end_us
    if seen.end_us - since_us >= timing.for_us:
        return Phase(status="firing", level=seen.level, true_until_us=seen.end_us, last_end_us=seen.end_us)
    return Phase(status="pending", level=seen.level, held_since_us=since_us, last_end_us=seen.end_us)


def _false(phase: Phase, seen: Seen, timing: Timing, *, is_clear: bool | None) -> Phase:
    if phase.true_until_us is None:
        over: Status = "resolved" if phase.status in {"resolved", "no_data", "error"} else "inactive"
        return Phase(status=over, level=phase.level if over == "resolved" else None, last_end_us=seen.end_us)
    if not is_clear:
        return _changed(phase, seen, status="firing", missing_since_us=None)
    if seen.end_us - phase.true_until_us >= timing.keep_firing_us:
        return Phase(status="resolved", level=phase.level, last_end_us=seen.end_us)
    return _changed(phase, seen, status="recovering", missing_since_us=None)


def _unknown(phase: Phase, seen: Seen, timing: Timing) -> Phase:
    since_us = seen.start_us if phase.missing_since_us is None else phase.missing_since_us
    missing = _changed(phase, seen, missing_since_us=since_us, held_since_us=None)
    if phase.status == "pending":
        missing = msgspec.structs.replace(missing, status="inactive", level=None)
    if seen.end_us - since_us < timing.missing_us or timing.no_data == "keep":
        return missing
    if timing.no_data == "ok":
        return _false(phase, seen, timing, is_clear=True)
    is_active = phase.status in ACTIVE
    if timing.no_data == "resolve":
        over = Phase(status="resolved", level=phase.level, last_end_us=seen.end_us)
        return over if is_active else missing
    if is_active or timing.watched:
        return msgspec.structs.replace(missing, status="no_data", level=phase.level or timing.level)
    return missing


def _is_next(phase: Phase, seen: Seen, timing: Timing) -> bool:
    """Whether no window is missing between the last one and this one."""
    if timing.step_us is None or phase.last_end_us is None:
        return True
    return seen.end_us - phase.last_end_us <= timing.step_us


def _changed(phase: Phase, seen: Seen, **fields: object) -> Phase:
    return msgspec.structs.replace(phase, last_end_us=seen.end_us, **fields)
