"""Dead letters: events that could not be worked on, set aside with the reason, so that they block nobody (promise P6).

They stand in the topic `<topic>.dlq`, one event of type `weft.dead_letter` for each batch, and can be listed and replayed.
"""

import base64
from typing import Final

import msgspec
import numpy as np

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.errors import Corrupt
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.core.repeat import repeat_key
from weft.log.port import Log, LogState

SUFFIX: Final = ".dlq"
TYPE: Final = "weft.dead_letter"
REPLAYED_GROUP: Final = "weft.dead-letters"
"""Its positions say how far the dead letters were handed in again."""

_SOURCE: Final = "weft/log"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Events that were set aside: where they stood, how often they were tried, why not, and their very bytes."""

    topic: str
    partition: int
    offset: int
    events: int
    attempts: int
    reason: str
    rows_base64: str
    ids: list[str]
    times_us: list[int]

    @property
    def rows(self) -> bytes:
        """The events as they arrived: JSON objects joined by commas."""
        return base64.b64decode(self.rows_base64)


_LETTER: Final = msgspec.json.Decoder(DeadLetter)


async def set_aside(log: Log, batch: LogBatch, *, attempts: int, reason: str, clock: Clock) -> None:
    """Append a dead letter for a batch; durable when this returns. Set aside twice, it stands there once."""
    letter = DeadLetter(
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.first_offset,
        events=batch.count,
        attempts=attempts,
        reason=reason,
        rows_base64=base64.b64encode(batch.rows).decode(),
        ids=list(batch.ids),
        times_us=batch.times_us.tolist(),
    )
    event_id = f"{batch.topic}/{batch.partition}/{batch.first_offset}"
    row = EventRow(type=TYPE, source=_SOURCE, id=event_id, severity="high", data=msgspec.Raw(msgspec.json.encode(letter)))
    now_us = clock.now_us()
    await log.append(
        Batch(
            topic=batch.topic + SUFFIX,
            rows=msgspec.json.encode(row),
            ids=[event_id],
            times_us=np.array([now_us], dtype=np.int64),
            received_at_us=now_us,
            repeat_keys=np.array([repeat_key(_SOURCE, event_id)], dtype=np.uint64),
        )
    )


async def list_dead_letters(log: Log, *, topic: str | None = None, limit: int = 100) -> list[DeadLetter]:
    """The dead letters that were not replayed yet, oldest first, of one topic or of all."""
    found: list[DeadLetter] = []
    for at, start, end in _waiting(await log.state(), topic):
        offset = start
        while offset < end and len(found) < limit:
            letters, offset = await _some(log, at, offset, end)
            found.extend(letters)
    return found[:limit]


async def replay(log: Log, *, topic: str | None = None, clock: Clock) -> int:
    """Append the events of waiting dead letters to their topics again; returns how many events.

    They are new events of the log there with their old ids; whoever keeps ids apart takes them once.
    """
    replayed = 0
    for at, start, end in _waiting(await log.state(), topic):
        offset = start
        while offset < end:
            letters, offset = await _some(log, at, offset, end)
            for letter in letters:
                await log.append(_again(letter, clock.now_us()))
                replayed += letter.events
            await log.commit(REPLAYED_GROUP, {at: offset})
    return replayed


def count_waiting(state: LogState) -> int:
    """How many dead letters were not replayed yet."""
    return sum(end - offset for _, offset, end in _waiting(state, None))


def _waiting(state: LogState, topic: str | None) -> list[tuple[TopicPartition, int, int]]:
    return [
        (
            TopicPartition(part.topic, part.partition),
            max(part.positions.get(REPLAYED_GROUP, 0), part.start_offset),
            part.end_offset,
        )
        for part in state.partitions
        if part.topic.endswith(SUFFIX) and (topic is None or part.topic == topic + SUFFIX)
    ]


async def _some(log: Log, at: TopicPartition, offset: int, end: int) -> tuple[list[DeadLetter], int]:
    """Some letters from an offset on, and where to go on. A damaged range is stepped over: it is named by the log."""
    try:
        batches = await log.read(at, offset)
    except Corrupt as damage:
        return [], max(int(damage.details["next_offset"]), offset + 1)
    letters = [
        _LETTER.decode(row.data)
        for batch in batches
        for index, row in enumerate(batch.event_rows)
        if batch.first_offset + index >= offset
    ]
    return letters, batches[-1].next_offset if batches else end


def _again(letter: DeadLetter, now_us: int) -> Batch:
    return Batch(
        topic=letter.topic,
        rows=letter.rows,
        ids=letter.ids,
        times_us=np.array(letter.times_us, dtype=np.int64),
        received_at_us=now_us,
    )
