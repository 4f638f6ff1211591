"""Progress: how far a pass has read each partition, and how far event time has come in all of them."""

from collections.abc import Iterable
from typing import Any, Self

from weft.core.batch import LogBatch
from weft.core.watermark import BEGINNING


class Progress:
    """Positions and watermarks of the partitions of one topic."""

    def __init__(self, bound_us: int) -> None:
        self.bound_us = bound_us
        self.positions: dict[int, int] = {}
        self.watermarks_us: dict[int, int] = {}
        self.counted: frozenset[int] | None = None
        """The partitions that hold windows open; None for those that a batch came from."""
        self.least_us = BEGINNING
        """The least watermark of those, as far as it ever was."""

    @property
    def passed_us(self) -> int:
        """The first microsecond that event time has not passed in all of them."""
        return self.least_us + 1

    def took(self, batch: LogBatch, newest_us: int) -> None:
        """A batch was read; `newest_us` is the largest time that counts, up to its end."""
        self.positions[batch.partition] = batch.next_offset
        before = self.watermarks_us.get(batch.partition, BEGINNING)
        self.watermarks_us[batch.partition] = max(before, newest_us - self.bound_us)
        self._advance()

    def join(self, other: "Progress") -> None:
        """Begin where another one is, or where the farther of several is."""
        for partition, offset in other.positions.items():
            if offset >= self.positions.get(partition, 0):
                self.positions[partition] = offset
                if partition in other.watermarks_us:
                    self.watermarks_us[partition] = other.watermarks_us[partition]
        self.least_us = max(self.least_us, other.least_us)

    def count_only(self, partitions: Iterable[int]) -> None:
        """Only these partitions hold windows open from now on."""
        self.counted = frozenset(partitions)
        self._advance()

    def _advance(self) -> None:
        counted = self.watermarks_us.keys() if self.counted is None else self.counted
        least_us = min((self.watermarks_us.get(partition, BEGINNING) for partition in counted), default=BEGINNING)
        self.least_us = max(self.least_us, least_us)

    def save(self) -> dict[str, Any]:
        """Everything but the bound."""
        return {
            "positions": list(self.positions.items()),
            "watermarks_us": list(self.watermarks_us.items()),
            "counted": None if self.counted is None else sorted(self.counted),
            "least_us": self.least_us,
        }

    @classmethod
    def load(cls, saved: dict[str, Any], bound_us: int) -> Self:
        """Where it was saved."""
        progress = cls(bound_us)
        progress.positions = dict(saved["positions"])
        progress.watermarks_us = dict(saved["watermarks_us"])
        progress.counted = None if saved["counted"] is None else frozenset(saved["counted"])
        progress.least_us = saved["least_us"]
        return progress
