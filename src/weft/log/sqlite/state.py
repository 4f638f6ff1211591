"""The state of the whole log, put together from partitions and groups."""

from collections.abc import Mapping
from pathlib import Path

from weft.core.position import TopicPartition
from weft.log.port import PartitionState
from weft.log.sqlite.ledger import Gone
from weft.log.topic_end import TopicEnd

NOTHING_GONE = Gone()


def partition_states(
    ends: Mapping[TopicPartition, TopicEnd],
    gone: Mapping[TopicPartition, Gone],
    positions: Mapping[str, Mapping[TopicPartition, int]],
) -> list[PartitionState]:
    """One state for each partition of each topic, in order."""
    states: list[PartitionState] = []
    for at, end in sorted(ends.items()):
        lost = gone.get(at, NOTHING_GONE)
        states.append(
            PartitionState(
                topic=at.topic,
                partition=at.partition,
                start_offset=lost.start_offset,
                end_offset=end.next_offset,
                events_total=end.events_total,
                events_trimmed=lost.events_trimmed,
                events_erased=lost.events_erased,
                repeats_total=end.repeats_total,
                max_time_us=end.max_time_us,
                appended_at_us=end.appended_at_us,
                positions={group: known[at] for group, known in positions.items() if at in known},
            )
        )
    return states


def size_bytes(root: Path) -> int:
    """What the segments take on disk, those being written included."""
    return sum(_size(path) for path in root.glob("partition-*/*.db*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
