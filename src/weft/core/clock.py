"""Where the time comes from. Injected everywhere, so that a test can hold it still or make it jump."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and steady time. Wall time may jump; steady time only grows."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01T00:00:00Z."""
        ...

    def steady_s(self) -> float:
        """Seconds since an unknown moment, for measuring how long something took."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def steady_s(self) -> float:
        return time.monotonic()
