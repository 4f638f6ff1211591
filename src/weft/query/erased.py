"""Which events of the log were erased from the store alone, because the log can remove no single events.

The records name people only as digests; an event is held against them by making the same digests of it.
"""

import hashlib
from typing import Final

import msgspec

from weft.core import times
from weft.core.errors import Corrupt
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.log.port import Log, LogState
from weft.query.erase import EVENT_TYPE, TOPIC


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions of a record; all that are given must hold."""

    source_sha256: str | None = None
    subject_sha256: str | None = None
    user_id_sha256: str | None = None
    start: str | None = None
    end: str | None = None


class _Record(msgspec.Struct, frozen=True):
    conditions: Conditions
    log_events: int | None


_RECORD: Final = msgspec.json.Decoder(_Record)


class ErasedFromStore:
    """The erasures that left the log as it was."""

    def __init__(self) -> None:
        self._records: list[tuple[int, Conditions]] = []

    @classmethod
    async def read(cls, log: Log, state: LogState) -> "ErasedFromStore":
        """From the records that the log has."""
        found = cls()
        for partition in state.partitions:
            if partition.topic == TOPIC:
                place = TopicPartition(partition.topic, partition.partition)
                await found._read(log, place, partition.start_offset, partition.end_offset)
        return found

    def covers(self, row: EventRow, *, time_us: int, received_at_us: int) -> bool:
        """Whether an erasure took this event out of the store. Those received later than an erasure are none of its."""
        return any(
            received_at_us <= recorded_us and _holds(conditions, row, time_us) for recorded_us, conditions in self._records
        )

    async def _read(self, log: Log, place: TopicPartition, offset: int, end: int) -> None:
        while offset < end:
            try:
                batches = await log.read(place, offset)
            except Corrupt as damage:
                offset = max(int(damage.details.get("next_offset", 0)), offset + 1)
                continue
            if not batches:
                return
            for batch in batches:
                for row, received_at_us in zip(batch.event_rows, batch.received_at_us.tolist(), strict=True):
                    self._note(row, received_at_us)
            offset = batches[-1].next_offset

    def _note(self, row: EventRow, recorded_us: int) -> None:
        if row.type != EVENT_TYPE:
            return
        record = _RECORD.decode(row.data)
        if record.log_events is None:
            self._records.append((recorded_us, record.conditions))


def _holds(conditions: Conditions, row: EventRow, time_us: int) -> bool:
    names = (
        (conditions.source_sha256, row.source),
        (conditions.subject_sha256, row.subject),
        (conditions.user_id_sha256, row.user_id),
    )
    if any(wanted is not None and (name is None or _digest(name) != wanted) for wanted, name in names):
        return False
    if conditions.start is not None and time_us < times.parse(conditions.start):
        return False
    return conditions.end is None or time_us < times.parse(conditions.end)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
