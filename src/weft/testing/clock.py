"""A clock that stands still until a test moves it."""

from weft.core.times import SECOND_US


class ManualClock:
    """Starts at a fixed moment; `advance` moves wall and steady time, `jump` moves wall time alone."""

    def __init__(self, now_us: int = 1_780_000_000 * SECOND_US) -> None:
        self._now_us = now_us
        self._steady_s = 0.0

    def now_us(self) -> int:
        return self._now_us

    def steady_s(self) -> float:
        return self._steady_s

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now_us += int(seconds * SECOND_US)
        self._steady_s += seconds

    def jump(self, seconds: float) -> None:
        """The wall clock is set forward or back; no time passes."""
        self._now_us += int(seconds * SECOND_US)
