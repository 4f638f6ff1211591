"""The end of a topic in a partition: what the next append goes on from."""

from dataclasses import dataclass, replace


@dataclass(slots=True)
class TopicEnd:
    """Where a topic of a partition stands: its number, the next offset, and totals since the very beginning."""

    number: int
    next_offset: int = 0
    events_total: int = 0
    repeats_total: int = 0
    max_time_us: int | None = None
    appended_at_us: int | None = None

    def copy(self) -> "TopicEnd":
        """Another one that can be changed."""
        return replace(self)
