"""Counts: what judging has done since the process began, for metrics and checks."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Filled by whoever judges. `judged_us` is the end of the newest window judged, `looked_s` when it last looked (steady)."""

    results: int = 0
    gaps: int = 0
    notifications: int = 0
    transitions: Counter[str] = field(default_factory=Counter[str])
    judged_us: int | None = None
    looked_s: float | None = None
    is_judging: bool = False
    failure: str | None = None
    rule_failures: dict[str, str] = field(default_factory=dict[str, str])
    poisoned: int = 0
