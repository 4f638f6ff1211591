"""Weft watches itself: findings of the verdict are judged by rules like anything else. Unknown is never taken for fine."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from weft.alerts.compile import FINDING_KEY
from weft.alerts.judging import Question
from weft.alerts.live import LiveRule, LiveRules
from weft.alerts.phase import Seen
from weft.core.clock import Clock
from weft.core.times import SECOND_US
from weft.core.verdict import CheckRegister, Finding, Level

_WEIGHT: Final = {Level.FINE: 0, Level.LOOK: 2, Level.ACT: 3, Level.UNKNOWN: None}


class SelfWatch:
    """Looks at the checks that rules ask for, from time to time."""

    def __init__(self, checks: CheckRegister, clock: Clock, *, interval_s: float) -> None:
        self._checks = checks
        self._clock = clock
        self._interval_s = interval_s
        self._looked_s: float | None = None
        self._looked_us = 0

    async def questions(self, rules: LiveRules) -> list[Question]:
        """What to judge now; nothing where the last look was a moment ago, or no rule is about findings."""
        now_s, now_us = self._clock.steady_s(), self._clock.now_us()
        watching = [one for one in rules.live.values() if one.compiled.query is None]
        if not watching or (self._looked_s is not None and now_s - self._looked_s < self._interval_s):
            return []
        wanted = {pattern for one in watching for pattern in one.rule.definition.finding}
        found = await self._checks.findings(now_us, lambda code: any(fnmatchcase(code, pattern) for pattern in wanted))
        start_us = self._looked_us or now_us - int(self._interval_s * SECOND_US)
        self._looked_s, self._looked_us = now_s, now_us
        return [_question(one, finding, start_us, now_us) for one in watching for finding in found if _concerns(one, finding)]


def values_of(finding: Finding) -> Mapping[str, Any]:
    """What a condition may ask of a finding. Of an unknown one nothing is known."""
    is_known = finding.level is not Level.UNKNOWN
    return {
        "weight": _WEIGHT[finding.level],
        "level": finding.level.value if is_known else None,
        "why": finding.why,
    }


def _concerns(live: LiveRule, finding: Finding) -> bool:
    return any(fnmatchcase(finding.code, pattern) for pattern in live.rule.definition.finding)


def _question(live: LiveRule, finding: Finding, start_us: int, now_us: int) -> Question:
    return Question(
        live=live,
        key={FINDING_KEY: finding.code},
        seen=Seen(start_us=start_us, end_us=now_us, is_true=None),
        values=values_of(finding),
    )
