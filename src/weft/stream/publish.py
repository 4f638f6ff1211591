"""Publishing: what an engine answered becomes events of the log, each once, whatever died in between.

The id of a result or of a late event is a function of what it says, so the log knows a repeat when it sees one. It knows only
its own partition, though: after a crash whoever goes on may own another one. So at the beginning the topics of results are read
from where the saved state knew them on, and what stands there already is not appended again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import structlog

from weft.core import times
from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.errors import Busy, Corrupt, Unavailable
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.core.repeat import repeat_keys
from weft.core.watermark import watermarks_us
from weft.log.port import Log, PartitionState
from weft.stream.engine.taken import Late, Result
from weft.stream.state import Offsets

logger = structlog.get_logger(__name__)

RESULT_TYPE: Final = "weft.result"
LATE_TYPE: Final = "weft.late"
LATE_SUFFIX: Final = ".late"

_LATE_SOURCE: Final = "weft/stream"
_LONGEST_PAUSE_S: Final = 1.0
_ROWS_IN_BATCH: Final = 5_000
_LONGEST_SUBJECT: Final = 1024


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One event that the stream appends: of which topic, when, and its row with its id."""

    topic: str
    id: str
    source: str
    time_us: int
    row: msgspec.Raw


_ANSWERS: Final = msgspec.json.Decoder(list[Answer])


def told(result: Result) -> dict[str, Any]:
    """What a result says, as JSON values: the `data` of its event."""
    return {
        "query": result.query,
        "version": result.version,
        "key": result.key,
        "window": {
            "start": _moment(result.start_us),
            "end": _moment(result.end_us),
            "start_us": result.start_us,
            "end_us": result.end_us,
        },
        "revision": result.revision,
        "final": result.final,
        "events": result.events,
        "values": result.values,
        "offsets": {partition: [first, result.last_offsets[partition]] for partition, first in result.first_offsets.items()},
    }


def answer_of(result: Result) -> Answer:
    """The event of a result."""
    source = f"weft/queries/{result.query}"
    subject = "/".join("" if value is None else value for value in result.key.values())[:_LONGEST_SUBJECT]
    row = EventRow(
        type=RESULT_TYPE,
        source=source,
        id=result.id,
        subject=subject or None,
        data=msgspec.Raw(msgspec.json.encode(told(result))),
    )
    return Answer(
        topic=result.topic, id=result.id, source=source, time_us=result.end_us, row=msgspec.Raw(msgspec.json.encode(row))
    )


def late_answers(late: Sequence[Late], batch: LogBatch, bound_us: int) -> list[Answer]:
    """The events that say of others of a batch that they came too late, and for which queries."""
    if not late:
        return []
    watermarks = watermarks_us(batch, bound_us)
    return [_late_answer(one, batch, int(watermarks[one.offset - batch.first_offset])) for one in late]


def _late_answer(late: Late, batch: LogBatch, watermark_us: int) -> Answer:
    index = late.offset - batch.first_offset
    event = msgspec.structs.replace(
        batch.event_rows[index], id=batch.ids[index], time=_moment(late.time_us), timestamp=None, topic=late.topic
    )
    data = {"event": event, "queries": late.queries, "watermark": _moment(watermark_us)}
    late_id = f"{late.topic}/{late.partition}/{late.offset}"
    row = EventRow(type=LATE_TYPE, source=_LATE_SOURCE, id=late_id, data=msgspec.Raw(msgspec.json.encode(data)))
    return Answer(
        topic=late.topic + LATE_SUFFIX,
        id=late_id,
        source=_LATE_SOURCE,
        time_us=late.time_us,
        row=msgspec.Raw(msgspec.json.encode(row)),
    )


def pack(answers: Sequence[Answer]) -> bytes:
    """Answers as they are kept with a state."""
    return msgspec.json.encode(answers) if answers else b""


def unpack(packed: bytes) -> list[Answer]:
    """The answers a state was kept with."""
    return _ANSWERS.decode(packed) if packed else []


class Publisher:
    """Appends answers for the one process that computes a share. `published` says how far it has filled each topic."""

    def __init__(self, log: Log, clock: Clock, published: Mapping[str, Offsets]) -> None:
        self._log = log
        self._clock = clock
        self.published: dict[str, Offsets] = {topic: dict(offsets) for topic, offsets in published.items()}
        self._there: dict[str, set[str]] = {}
        self._ends: dict[str, Offsets] | None = None

    async def publish(self, answers: Sequence[Answer]) -> int:
        """Append answers and return once they are durable; returns how many were new. Waits while the log takes nothing."""
        by_topic: defaultdict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            by_topic[answer.topic].append(answer)
        return sum(await asyncio.gather(*(self._fill(topic, of_topic) for topic, of_topic in by_topic.items())))

    async def _fill(self, topic: str, answers: Sequence[Answer]) -> int:
        there = await self._already_there(topic)
        fresh = [answer for answer in answers if answer.id not in there] if there else answers
        new = 0
        for first in range(0, len(fresh), _ROWS_IN_BATCH):
            new += await self._append(topic, fresh[first : first + _ROWS_IN_BATCH])
        return new

    async def _append(self, topic: str, answers: Sequence[Answer]) -> int:
        batch = Batch(
            topic=topic,
            rows=b",".join(bytes(answer.row) for answer in answers),
            ids=[answer.id for answer in answers],
            times_us=np.array([answer.time_us for answer in answers], dtype=np.int64),
            received_at_us=self._clock.now_us(),
            repeat_keys=repeat_keys([answer.source for answer in answers], [answer.id for answer in answers]),
        )
        while True:
            try:
                appended = await self._log.append(batch)
            except (Busy, Unavailable) as away:
                logger.warning("results_delayed", topic=topic, reason=away.message)
                await asyncio.sleep(min(away.retry_after_s, _LONGEST_PAUSE_S))
                continue
            new = batch.count - len(appended.repeats)
            if appended.first_offset is not None:
                self.published.setdefault(topic, {})[appended.partition] = appended.first_offset + new
            return new

    async def _already_there(self, topic: str) -> set[str]:
        """The ids that were appended after the state was saved, looked up once for each topic."""
        if topic not in self._there:
            self._there[topic] = await self._read_behind(topic)
        return self._there[topic]

    async def _read_behind(self, topic: str) -> set[str]:
        if self._ends is None:
            self._ends = _ends((await self._log.state()).partitions)
        known = self.published.get(topic, {})
        ids: set[str] = set()
        for partition, end in self._ends.get(topic, {}).items():
            offset = known.get(partition, 0)
            while offset < end:
                found, offset = await self._some_ids(TopicPartition(topic, partition), offset, end)
                ids.update(found)
        return ids

    async def _some_ids(self, at: TopicPartition, offset: int, end: int) -> tuple[Iterable[str], int]:
        try:
            batches = await self._log.read(at, offset)
        except Corrupt as damage:
            return (), max(int(damage.details["next_offset"]), offset + 1)
        return [event_id for batch in batches for event_id in batch.ids], batches[-1].next_offset if batches else end


def _ends(partitions: Iterable[PartitionState]) -> dict[str, Offsets]:
    ends: dict[str, Offsets] = {}
    for part in partitions:
        ends.setdefault(part.topic, {})[part.partition] = part.end_offset
    return ends


def _moment(time_us: int) -> str | None:
    """The moment as text; None outside the calendar."""
    return times.to_text(time_us) if times.EARLIEST_US <= time_us <= times.LATEST_US else None
