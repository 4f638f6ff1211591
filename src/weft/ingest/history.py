"""A light memory of the intake: how many events met which outcome, minute by minute, for the verdict."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from weft.core.clock import Clock
from weft.core.times import MINUTE_US

_MINUTES: Final = 24 * 60
RECENT_MINUTES: Final = 5
USUAL_MINUTES: Final = 60


@dataclass(slots=True)
class Minute:
    """What happened in one minute since the epoch."""

    number: int
    outcomes: dict[str, int] = field(default_factory=dict[str, int])


class IntakeHistory:
    """Counts per minute of the last day, in this process alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minutes: deque[Minute] = deque(maxlen=_MINUTES)
        self._began = clock.now_us() // MINUTE_US

    def count(self, outcome: str, number: int) -> None:
        """`number` events met this outcome now."""
        now = self._clock.now_us() // MINUTE_US
        if not self._minutes or self._minutes[-1].number != now:
            self._minutes.append(Minute(now))
        outcomes = self._minutes[-1].outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + number

    def total(self, outcome: str, minutes: int) -> int:
        """Events of the last full minutes and the running one that met an outcome."""
        first = self._clock.now_us() // MINUTE_US - minutes
        return sum(minute.outcomes.get(outcome, 0) for minute in self._minutes if minute.number >= first)

    def recent_per_minute(self) -> float | None:
        """Accepted events a minute over the last full minutes; None before there are enough."""
        now = self._clock.now_us() // MINUTE_US
        if now - self._began <= RECENT_MINUTES:
            return None
        return sum(self._accepted(now - RECENT_MINUTES, now)) / RECENT_MINUTES

    def usual_per_minute(self) -> float | None:
        """The median of accepted events a minute over the hour before the recent minutes; None before there are ten."""
        now = self._clock.now_us() // MINUTE_US
        last = now - RECENT_MINUTES
        first = max(last - USUAL_MINUTES, self._began + 1)
        if last - first < RECENT_MINUTES * 2:
            return None
        return median(self._accepted(first, last))

    def _accepted(self, first: int, last: int) -> list[int]:
        """Accepted events of each minute in [first, last), empty minutes included."""
        counts = {minute.number: minute.outcomes.get("accepted", 0) for minute in self._minutes}
        return [counts.get(number, 0) for number in range(first, last)]
