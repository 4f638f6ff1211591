"""The verdict: one sentence that says whether everything is fine, and if not, what to look at or act on.

Each room offers checks; a check looks once and answers with a finding. Unknown is never shown as fine.
"""

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec


class Level(StrEnum):
    """How a finding weighs. The order from best to worst is fine, unknown, look, act."""

    FINE = "fine"
    UNKNOWN = "unknown"
    LOOK = "look"
    ACT = "act"


_WEIGHT: Final = {Level.FINE: 0, Level.UNKNOWN: 1, Level.LOOK: 2, Level.ACT: 3}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check saw.

    `code` is stable (`log.disk_forecast`), `why` is a sentence for people, `parameters` are the numbers in it with units in
    their names, `since_us` is when the level was first seen (filled in by the register).
    """

    code: str
    level: Level
    why: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    since_us: int | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The worst level, the sentence, and every finding, worst first."""

    level: Level
    sentence: str
    at_us: int
    findings: list[Finding]


Check = Callable[[], Awaitable[Finding]]


class CheckRegister:
    """The checks of this process, by code, and since when each has had its level."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._since: dict[str, tuple[Level, int]] = {}

    def add(self, code: str, check: Check) -> None:
        """Register a check under its finding's code. Codes are unique."""
        if code in self._checks:
            raise ValueError(f"two checks are called '{code}'")
        self._checks[code] = check

    async def findings(self, now_us: int, wanted: Callable[[str], bool]) -> list[Finding]:
        """Look at some checks once, those whose code is wanted. A check that raises is unknown."""
        return [await self._look(code, check, now_us) for code, check in self._checks.items() if wanted(code)]

    async def verdict(self, now_us: int) -> Verdict:
        """Look at everything once. A check that raises is unknown, and says with what."""
        findings = [await self._look(code, check, now_us) for code, check in self._checks.items()]
        return conclude(findings, now_us)

    async def _look(self, code: str, check: Check, now_us: int) -> Finding:
        try:
            finding = await check()
        except Exception as failure:  # a check's own fault must not hide what the others see
            finding = Finding(code=code, level=Level.UNKNOWN, why=f"this check failed: {failure}")
        level, since_us = self._since.get(code, (finding.level, now_us))
        if level is not finding.level:
            since_us = now_us
        self._since[code] = (finding.level, since_us)
        return msgspec.structs.replace(finding, since_us=since_us)


def conclude(findings: Sequence[Finding], now_us: int) -> Verdict:
    """One verdict from many findings. No finding at all is unknown, not fine."""
    ranked = sorted(findings, key=lambda finding: (-_WEIGHT[finding.level], finding.code))
    if not ranked:
        return Verdict(level=Level.UNKNOWN, sentence="Nothing was checked.", at_us=now_us, findings=[])
    worst = ranked[0].level
    pressing = [finding for finding in ranked if finding.level is worst]
    return Verdict(level=worst, sentence=_sentence(worst, pressing, len(ranked)), at_us=now_us, findings=ranked)


def _sentence(worst: Level, pressing: Sequence[Finding], total: int) -> str:
    if worst is Level.FINE:
        return f"Everything is fine ({total} checks)."
    opening = {Level.ACT: "Act now", Level.LOOK: "Have a look", Level.UNKNOWN: "Not known whether all is fine"}[worst]
    others = len(pressing) - 1
    more = f" And {others} more." if others else ""
    return f"{opening}: {pressing[0].why.rstrip('.')}.{more}"
