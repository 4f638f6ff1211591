"""Shape: when tumbling and sliding windows begin, end and are answered, and which events an answer may hold."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from weft.core.watermark import BEGINNING

ALWAYS: Final = BEGINNING
"""The moment from which on a layer shows where windows are answered once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """When windows begin, end and are answered, in microseconds."""

    slide_us: int
    panes: int
    lateness_us: int
    every_us: int | None
    revises: bool

    @property
    def answers_once(self) -> bool:
        """Whether each window is answered only when it is over."""
        return self.every_us is None and not self.revises

    @property
    def size_us(self) -> int:
        """How long a window is."""
        return self.slide_us * self.panes

    def final_us(self, end: int) -> int:
        """The moment of the last answer of window `end`."""
        return end * self.slide_us + self.lateness_us

    def moment_us(self, end: int, from_us: int) -> int:
        """The first moment from `from_us` on at which window `end` is answered; the last one where there is none before it."""
        end_us, final_us = end * self.slide_us, self.final_us(end)
        if self.every_us is not None and from_us < end_us:
            earliest_us = max(from_us, end_us - self.size_us + self.every_us)
            moment_us = -(-earliest_us // self.every_us) * self.every_us
            if moment_us < end_us:
                return moment_us
        if self.revises:
            later = max(0, -(-(from_us - end_us) // self.slide_us))
            return min(end_us + later * self.slide_us, final_us)
        return final_us

    def shows_us(self, pane: int, reached_us: int) -> int:
        """From which moment on an event of a pane shows that came when `reached_us` was the first microsecond not yet passed.

        Moments that none of its windows is answered at are not told apart.
        """
        if self.every_us is not None:
            earliest_us = (pane + 1 - self.panes) * self.slide_us + self.every_us
            return max((reached_us // self.every_us + 1) * self.every_us, earliest_us)
        if self.revises:
            return max((reached_us // self.slide_us + 1) * self.slide_us, (pane + 1) * self.slide_us)
        return ALWAYS


class Layer(NamedTuple):
    """Which events of a pane: those taken from window `first` on, and shown from `shows_us` on."""

    pane: int
    first: int
    shows_us: int
