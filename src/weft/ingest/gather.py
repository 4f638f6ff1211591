"""Single events on their way to the log, put together.

A batch of one costs the log nearly as much as a batch of hundred. Events that arrive while those before are being made
durable therefore wait for them and then go as one batch; nobody waits for a timer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import numpy as np

from weft.core import times
from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.errors import Busy, Unavailable
from weft.core.ids import new_ids
from weft.core.repeat import NO_KEY, repeat_key
from weft.ingest.intake import Checked
from weft.log.port import Appended, Log

BATCH_BYTES: Final = 1024 * 1024
_AT_ONCE: Final = 2
"""Batches under way at once: while one is flushed, the next is packed."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """What became of one event, and when that was sure. `offset` is None for a repeat: it stands where it was stored the
    first time. `in_sync_replicas` is known where `durability` is `replicated`."""

    event_id: str
    topic: str
    partition: int
    offset: int | None
    durability: str
    repeat: bool
    timestamp: str
    in_sync_replicas: int | None = None


class _Waiting(NamedTuple):
    """An event that waits; `event_id` is None where nobody gave one."""

    checked: Checked
    event_id: str | None
    answer: "asyncio.Future[Stored]"


Count = Callable[[str, str, int, float | None], None]
"""Told of a topic, an outcome, how many events met it, and after how many seconds."""


class _Line:
    """The events of one topic that wait, and how many batches are under way."""

    __slots__ = ("is_woken", "under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.under_way = 0
        self.is_woken = False


class Gatherer:
    """Puts singles together, topic by topic."""

    def __init__(self, log: Log, clock: Clock, *, queue_bytes: int, count: Count) -> None:
        self._log = log
        self._clock = clock
        self._count = count
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue_bytes = queue_bytes
        self._queued_bytes = 0

    def put(self, checked: Checked, event_id: str | None) -> "asyncio.Future[Stored]":
        """Take an event; the future is done when it is durable, or fails with what the log raised.

        Raises Busy when too much waits already.
        """
        if self._queued_bytes > self._queue_bytes:
            raise Busy(f"{self._queued_bytes} bytes of single events wait for the log already; try again in a second")
        loop = asyncio.get_running_loop()
        line = self._lines.get(checked.topic)
        if line is None:
            line = self._lines[checked.topic] = _Line()
        answer: asyncio.Future[Stored] = loop.create_future()
        line.waiting.append(_Waiting(checked, event_id, answer))
        self._queued_bytes += len(checked.text)
        if not line.is_woken and line.under_way < _AT_ONCE:
            line.is_woken = True
            loop.call_soon(self._start, checked.topic, line)  # after everybody who arrived in this turn of the loop
        return answer

    def _start(self, topic: str, line: _Line) -> None:
        line.is_woken = False
        while line.waiting and line.under_way < _AT_ONCE:
            group: list[_Waiting] = []
            size_bytes = 0
            while line.waiting and size_bytes < BATCH_BYTES:
                group.append(line.waiting.popleft())
                size_bytes += len(group[-1].checked.text)
            line.under_way += 1
            task = asyncio.create_task(self._append(topic, line, group, size_bytes))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _append(self, topic: str, line: _Line, group: list[_Waiting], size_bytes: int) -> None:
        started_s = self._clock.steady_s()
        batch = make_batch(topic, group, self._clock.now_us())
        try:
            appended = await self._log.append(batch)
        except Exception as error:  # whatever it was, nobody may wait for ever
            _fail(group, error)
            self._count(topic, "refused", len(group), None)
        except asyncio.CancelledError:
            _fail(group, Unavailable("the process is stopping; try again"))
            raise
        else:
            _settle(group, batch, appended, times.to_text(self._clock.now_us()))
            duration_s = self._clock.steady_s() - started_s
            self._count(topic, "accepted", len(group) - len(appended.repeats), duration_s)
            if appended.repeats:
                self._count(topic, "repeat", len(appended.repeats), duration_s)
        finally:
            self._queued_bytes -= size_bytes
            line.under_way -= 1
            if line.waiting:
                self._start(topic, line)


def make_batch(topic: str, group: list[_Waiting], now_us: int) -> Batch:
    """One batch of single events; those without a time happened now."""
    ids = new_ids(len(group), now_us)
    named = [waiting.event_id for waiting in group]
    is_named = any(named)
    keys = None
    if is_named:
        keys = np.array(
            [
                NO_KEY if waiting.event_id is None else repeat_key(waiting.checked.event.source, waiting.event_id)
                for waiting in group
            ],
            dtype=np.uint64,
        )
    checked = [waiting.checked for waiting in group]
    return Batch(
        topic=topic,
        rows=b",".join([single.text for single in checked]),
        ids=[own or new for own, new in zip(named, ids, strict=True)] if is_named else ids,
        times_us=np.array([now_us if single.time_us is None else single.time_us for single in checked], dtype=np.int64),
        received_at_us=now_us,
        repeat_keys=keys,
    )


def _settle(group: list[_Waiting], batch: Batch, appended: Appended, timestamp: str) -> None:
    repeats = frozenset(appended.repeats)
    partition, durability, topic = appended.partition, appended.durability, batch.topic
    offset, in_sync = appended.first_offset, appended.in_sync_replicas
    for index, (event_id, waiting) in enumerate(zip(batch.ids, group, strict=True)):
        is_repeat = index in repeats
        if not waiting.answer.done():  # its client may be gone; the event is stored all the same
            place = None if is_repeat else offset
            waiting.answer.set_result(Stored(event_id, topic, partition, place, durability, is_repeat, timestamp, in_sync))
        if not is_repeat and offset is not None:
            offset += 1


def _fail(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
