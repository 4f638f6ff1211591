"""Single events on their way to the log, put together.

A batch of one costs the log nearly as much as a batch of hundred. Events that arrive while the one before is being made
durable therefore wait for it and then go as one batch; nobody waits for a timer.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.errors import Busy, WeftError
from weft.core.ids import new_ids
from weft.core.repeat import NO_KEY, repeat_key
from weft.log.port import Appended, Log

BATCH_BYTES: Final = 1024 * 1024
_AT_ONCE: Final = 2
"""Batches under way at once: while one is flushed, the next is packed."""


class Single(msgspec.Struct, frozen=True, gc=False):
    """One checked event: `event_id` is None where the client gave none, `time_us` is None where it named no time."""

    topic: str
    row: bytes
    source: str
    event_id: str | None
    time_us: int | None


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a single went."""

    event_id: str
    partition: int
    offset: int | None
    durability: str
    repeat: bool


@dataclass(slots=True)
class _Line:
    """The singles of one topic that wait, and how many batches are under way."""

    waiting: deque[tuple[Single, asyncio.Future[Place]]] = field(default_factory=deque[tuple[Single, "asyncio.Future[Place]"]])
    under_way: int = 0
    is_woken: bool = False


class Gatherer:
    """Puts singles together, topic by topic."""

    def __init__(self, log: Log, clock: Clock, *, queue_bytes: int) -> None:
        self._log = log
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue_bytes = queue_bytes
        self._queued_bytes = 0

    async def put(self, single: Single) -> Place:
        """Wait until the event is durable. Raises Busy when too much waits already, else what the log raises."""
        if self._queued_bytes > self._queue_bytes:
            raise Busy(f"{self._queued_bytes} bytes of single events wait for the log already; try again in a second")
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Place] = loop.create_future()
        line = self._lines.get(single.topic)
        if line is None:
            line = self._lines[single.topic] = _Line()
        line.waiting.append((single, place))
        self._queued_bytes += len(single.row)
        if not line.is_woken and line.under_way < _AT_ONCE:
            line.is_woken = True
            loop.call_soon(self._start, single.topic, line)  # after everybody who arrived in this turn of the loop
        return await place

    def _start(self, topic: str, line: _Line) -> None:
        line.is_woken = False
        while line.waiting and line.under_way < _AT_ONCE:
            group: list[tuple[Single, asyncio.Future[Place]]] = []
            size_bytes = 0
            while line.waiting and size_bytes < BATCH_BYTES:
                group.append(line.waiting.popleft())
                size_bytes += len(group[-1][0].row)
            line.under_way += 1
            task = asyncio.create_task(self._append(topic, line, group, size_bytes))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _append(
        self, topic: str, line: _Line, group: list[tuple[Single, "asyncio.Future[Place]"]], size_bytes: int
    ) -> None:
        batch = make_batch(topic, [single for single, _ in group], self._clock.now_us())
        try:
            _settle(group, batch, await self._log.append(batch))
        except WeftError as error:
            _fail(group, error)
        finally:
            self._queued_bytes -= size_bytes
            line.under_way -= 1
            if line.waiting:
                self._start(topic, line)


def make_batch(topic: str, singles: list[Single], now_us: int) -> Batch:
    """One batch of single events; those without a time happened now."""
    ids = new_ids(len(singles), now_us)
    is_named = any(single.event_id is not None for single in singles)
    keys = None
    if is_named:
        keys = np.array(
            [NO_KEY if single.event_id is None else repeat_key(single.source, single.event_id) for single in singles],
            dtype=np.uint64,
        )
    times_us = [now_us if single.time_us is None else single.time_us for single in singles]
    return Batch(
        topic=topic,
        rows=b",".join([single.row for single in singles]),
        ids=[single.event_id or new for single, new in zip(singles, ids, strict=True)] if is_named else ids,
        times_us=np.array(times_us, dtype=np.int64),
        received_at_us=now_us,
        repeat_keys=keys,
    )


def _settle(group: list[tuple[Single, "asyncio.Future[Place]"]], batch: Batch, appended: Appended) -> None:
    repeats = frozenset(appended.repeats)
    offset = appended.first_offset
    for index, (event_id, (_, place)) in enumerate(zip(batch.ids, group, strict=True)):
        is_repeat = index in repeats
        if not place.done():  # its client may be gone; the event is stored all the same
            place.set_result(Place(event_id, appended.partition, None if is_repeat else offset, appended.durability, is_repeat))
        if not is_repeat and offset is not None:
            offset += 1


def _fail(group: list[tuple[Single, "asyncio.Future[Place]"]], error: WeftError) -> None:
    for _, place in group:
        if not place.done():
            place.set_exception(error)
