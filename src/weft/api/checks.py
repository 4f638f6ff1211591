"""What this room looks at for the verdict: do answers fail?"""

from collections import deque
from typing import Final, NamedTuple

from weft.api.metrics import Metrics
from weft.core.clock import Clock
from weft.core.verdict import Check, Finding, Level

FAILURES: Final = "api.failures"

WINDOW_S: Final = 300.0
"""How far back failures count."""
LOOK_SHARE: Final = 0.01
ACT_SHARE: Final = 0.2
_FEW: Final = 5


class _Counts(NamedTuple):
    at_s: float
    answers: int
    failures: int


def checks(metrics: Metrics, *, clock: Clock) -> dict[str, Check]:
    """The checks of this room, by code."""
    history: deque[_Counts] = deque([_Counts(clock.steady_s(), *metrics.answers())])

    async def failures() -> Finding:
        now = _Counts(clock.steady_s(), *metrics.answers())
        if len(history) > 1 and now.at_s - history[-2].at_s < 1.0:
            history.pop()  # however often somebody asks, the history stays short
        history.append(now)
        while len(history) > 1 and history[1].at_s <= now.at_s - WINDOW_S:
            history.popleft()  # the first one left is the newest at least as old as the window
        return _failures(now.answers - history[0].answers, now.failures - history[0].failures, now.at_s - history[0].at_s)

    return {FAILURES: failures}


def _failures(answers: int, failures: int, over_s: float) -> Finding:
    share = failures / answers if answers else 0.0
    level = Level.FINE
    if failures >= _FEW and share >= LOOK_SHARE:
        level = Level.ACT if share >= ACT_SHARE else Level.LOOK
    minutes = max(1, round(over_s / 60))
    why = f"{failures} of {answers} requests failed on our side in the last {minutes} min"
    if level is not Level.FINE:
        why += "; the log has each under its correlation id"
    parameters = {"answers": answers, "failures": failures, "share": round(share, 4), "over_s": round(over_s)}
    return Finding(code=FAILURES, level=level, why=why, parameters=parameters)
