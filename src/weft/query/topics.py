"""What the log holds, topic by topic: partitions, offsets, totals, and how far behind each group is."""

from collections.abc import Iterable, Sequence

import msgspec

from weft.core import times
from weft.core.errors import NotFound
from weft.log.port import LogState, PartitionState


class PartitionBody(msgspec.Struct, frozen=True, kw_only=True):
    """One partition. Offsets [start_offset, end_offset) are readable; `lag` is offsets still to read, by group."""

    partition: int
    start_offset: int
    end_offset: int
    events_total: int
    events_trimmed: int
    events_erased: int
    repeats_total: int
    newest_event: str | None
    newest_arrival: str | None
    positions: dict[str, int]
    lag: dict[str, int]


class TopicBody(msgspec.Struct, frozen=True, kw_only=True):
    """One topic: its partitions, and their sums."""

    topic: str
    events_total: int
    events_readable: int
    repeats_total: int
    newest_arrival: str | None
    lag: dict[str, int]
    partitions: list[PartitionBody]


def topic_bodies(state: LogState) -> list[TopicBody]:
    """Every topic of the log, by name."""
    topics: dict[str, list[PartitionState]] = {}
    for partition in state.partitions:
        topics.setdefault(partition.topic, []).append(partition)
    return [_topic(topic, partitions) for topic, partitions in sorted(topics.items())]


def get_topic(state: LogState, topic: str) -> TopicBody:
    """One topic. Raises NotFound."""
    for body in topic_bodies(state):
        if body.topic == topic:
            return body
    raise NotFound(f"the log has no topic '{topic[:128]}'; a topic is there once an event was sent to it", topic=topic[:128])


def _topic(topic: str, partitions: Iterable[PartitionState]) -> TopicBody:
    ordered = sorted(partitions, key=lambda state: state.partition)
    bodies = [_partition(state) for state in ordered]
    groups = sorted({group for body in bodies for group in body.lag})
    return TopicBody(
        topic=topic,
        events_total=sum(state.events_total for state in ordered),
        events_readable=sum(state.events_total - state.events_trimmed - state.events_erased for state in ordered),
        repeats_total=sum(state.repeats_total for state in ordered),
        newest_arrival=_text(_newest([state.appended_at_us for state in ordered])),
        lag={group: sum(_lag(state, group) for state in ordered) for group in groups},
        partitions=bodies,
    )


def _partition(state: PartitionState) -> PartitionBody:
    return PartitionBody(
        partition=state.partition,
        start_offset=state.start_offset,
        end_offset=state.end_offset,
        events_total=state.events_total,
        events_trimmed=state.events_trimmed,
        events_erased=state.events_erased,
        repeats_total=state.repeats_total,
        newest_event=_text(state.max_time_us),
        newest_arrival=_text(state.appended_at_us),
        positions=dict(state.positions),
        lag={group: _lag(state, group) for group in sorted(state.positions)},
    )


def _lag(state: PartitionState, group: str) -> int:
    """Offsets a group has still to read; a group that never committed here has all of them before it."""
    return max(state.end_offset - max(state.positions.get(group, 0), state.start_offset), 0)


def _newest(moments: Sequence[int | None]) -> int | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _text(time_us: int | None) -> str | None:
    return None if time_us is None else times.to_text(time_us)
