"""What the verdict says about the intake."""

from collections.abc import Awaitable, Callable
from typing import Final

from weft.core.verdict import Check, Finding, Level
from weft.ingest.history import RECENT_MINUTES, USUAL_MINUTES, IntakeHistory
from weft.ingest.host_source import HostSource

RATE: Final = "ingest.rate"
REJECTED: Final = "ingest.rejected"
HOST_SOURCE: Final = "ingest.host_source"

_SILENT_SHARE: Final = 0.2
"""Below this share of the usual rate something that usually sends has probably stopped."""
_FLOOD_FACTOR: Final = 5.0
_LEAST_PER_MINUTE: Final = 10.0
"""Below this usual rate a quiet spell says nothing."""
_MINUTES: Final = 15
_LOOK_SHARE: Final = 0.01
_ACT_SHARE: Final = 0.5
_FEWEST: Final = 20


def ingest_checks(history: IntakeHistory, host: HostSource | None = None) -> dict[str, Check]:
    """The checks of this room, by code."""
    checks: dict[str, Check] = {
        RATE: _looking(lambda: rate_finding(history.recent_per_minute(), history.usual_per_minute())),
        REJECTED: _looking(
            lambda: rejected_finding(
                taken=history.total("accepted", _MINUTES) + history.total("repeat", _MINUTES),
                rejected=history.total("rejected", _MINUTES),
                refused=history.total("refused", _MINUTES),
            )
        ),
    }
    if host is not None:
        checks[HOST_SOURCE] = _looking(lambda: host_finding(host))
    return checks


def rate_finding(recent: float | None, usual: float | None) -> Finding:
    """Whether as many events come in as usual."""
    if recent is None:
        why = f"The usual intake is not known yet; it takes {RECENT_MINUTES} minutes to see one."
        return Finding(code=RATE, level=Level.UNKNOWN, why=why)
    parameters = {"recent_events_per_minute": recent, "usual_events_per_minute": usual}
    if usual is None:
        why = f"{recent:.0f} events a minute come in; there is no hour yet to compare with."
        return Finding(code=RATE, level=Level.FINE, why=why, parameters=parameters)
    told = (
        f"{recent:.0f} events a minute in the last {RECENT_MINUTES} minutes, usually {usual:.0f} (last {USUAL_MINUTES} minutes)"
    )
    if usual >= _LEAST_PER_MINUTE and recent < usual * _SILENT_SHARE:
        why = f"Far fewer events come in than usual: {told}. Does everything that sends still run?"
        return Finding(code=RATE, level=Level.LOOK, why=why, parameters=parameters)
    if usual >= _LEAST_PER_MINUTE and recent > usual * _FLOOD_FACTOR:
        why = f"Far more events come in than usual: {told}. Does something send in a loop?"
        return Finding(code=RATE, level=Level.LOOK, why=why, parameters=parameters)
    return Finding(code=RATE, level=Level.FINE, why=f"The intake is as usual: {told}.", parameters=parameters)


def rejected_finding(*, taken: int, rejected: int, refused: int) -> Finding:
    """Whether senders send events that cannot be taken, or the log refuses good ones."""
    parameters = {"taken": taken, "rejected": rejected, "refused": refused, "minutes": _MINUTES}
    if refused:
        why = f"The log could not take {refused} events in the last {_MINUTES} minutes; their senders were told to try again."
        level = Level.ACT if refused >= (taken + refused) * _LOOK_SHARE else Level.LOOK
        return Finding(code=REJECTED, level=level, why=why, parameters=parameters)
    total = taken + rejected
    share = rejected / total if total else 0.0
    if rejected >= _FEWEST and share >= _LOOK_SHARE:
        why = (
            f"{rejected} of {total} events ({share:.1%}) were rejected in the last {_MINUTES} minutes; their senders know why."
        )
        level = Level.ACT if share >= _ACT_SHARE else Level.LOOK
        return Finding(code=REJECTED, level=level, why=why, parameters=parameters)
    why = f"{rejected} of {total} events were rejected in the last {_MINUTES} minutes."
    return Finding(code=REJECTED, level=Level.FINE, why=why, parameters=parameters)


def host_finding(host: HostSource) -> Finding:
    """Whether the samples of this machine reach the log."""
    parameters = {"sampled_total": host.sampled_total, "dropped_total": host.dropped_total}
    if host.dropped_why is not None:
        why = f"The log does not take this machine's samples: {host.dropped_why} ({host.dropped_total} dropped so far)."
        return Finding(code=HOST_SOURCE, level=Level.LOOK, why=why, parameters=parameters)
    if host.is_left_to_another:
        why = "Another process on this data folder samples this machine."
        return Finding(code=HOST_SOURCE, level=Level.FINE, why=why, parameters=parameters)
    if not host.sampled_total:
        return Finding(code=HOST_SOURCE, level=Level.UNKNOWN, why="No sample of this machine was written yet.")
    why = (
        f"This machine's samples are written ({host.dropped_total} of {host.sampled_total + host.dropped_total} were dropped)."
    )
    return Finding(code=HOST_SOURCE, level=Level.FINE, why=why, parameters=parameters)


def _looking(look: Callable[[], Finding]) -> Callable[[], Awaitable[Finding]]:
    async def check() -> Finding:
        return look()

    return check
