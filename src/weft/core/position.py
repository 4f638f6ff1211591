"""Where something stands in the log."""

from collections.abc import Mapping
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One ordered sequence of events."""

    topic: str
    partition: int


Positions = Mapping[TopicPartition, int]
"""For each partition the offset of the next event."""
