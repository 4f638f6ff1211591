"""An erasure: which events are to be removed for good, from the log's retained batches and from the store alike."""

from dataclasses import dataclass

from weft.core.event import EventRow


@dataclass(frozen=True, slots=True)
class Erasure:
    """Which events to erase: every condition that is given must hold; times are half-open [start, end). At least one is
    needed."""

    source: str | None = None
    subject: str | None = None
    user_id: str | None = None
    start_us: int | None = None
    end_us: int | None = None

    def matches(self, row: EventRow, time_us: int) -> bool:
        """Whether one event is to be erased."""
        return (
            (self.source is None or row.source == self.source)
            and (self.subject is None or row.subject == self.subject)
            and (self.user_id is None or row.user_id == self.user_id)
            and (self.start_us is None or time_us >= self.start_us)
            and (self.end_us is None or time_us < self.end_us)
        )
