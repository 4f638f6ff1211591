"""Appending: what arrived while the broker took the last group is the next one; one message of the stream holds it all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
import zstandard

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.errors import Busy, Corrupt, Malformed, TimedOut, Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.log.group import Group, Stored
from weft.log.port import Appended
from weft.log.rabbitmq.entry import GROUP, Entry, as_ends, encode, row_of
from weft.log.rabbitmq.ownership import Owned
from weft.log.repeats import Place
from weft.log.settings import LogSettings
from weft.log.topic_end import TopicEnd
from weft.log.unique import Unique

logger = structlog.get_logger(__name__)

_ENTRY_BYTES: Final = 1024 * 1024
_CHECKPOINT_ENTRIES: Final = 64
_CHECKPOINT_BYTES: Final = 1024 * 1024
_FLUSHES_KEPT: Final = 1024

ReadPlace = Callable[[TopicPartition, Place], Coroutine[Any, Any, Sequence[LogBatch]]]


@dataclass(slots=True, eq=False)
class AppendRequest:
    """Events that wait for the broker."""

    batch: Batch
    answer: asyncio.Future[Appended]
    size_bytes: int

    def settle(self, appended: Appended | None) -> None:
        """Give the answer, where somebody still waits for it."""
        assert appended is not None, "what is appended has a place"  # noqa: S101 - a tick alone has none
        if not self.answer.done():
            self.answer.set_result(appended)


@dataclass(slots=True, eq=False)
class TickRequest:
    """A tick that waits for the broker."""

    topic: str
    time_us: int
    answer: asyncio.Future[None]

    def settle(self, _: Appended | None) -> None:
        """Give the answer, where somebody still waits for it."""
        if not self.answer.done():
            self.answer.set_result(None)


Request = AppendRequest | TickRequest


@dataclass(slots=True)
class _Draft:
    """A group before it is written."""

    answers: list[Appended | None] = field(default_factory=list[Appended | None])
    stored: list[Stored] = field(default_factory=list[Stored])
    ends: dict[str, TopicEnd] = field(default_factory=dict[str, TopicEnd])
    repeats: dict[str, int] = field(default_factory=dict[str, int])
    body: bytes = b""
    tells_ends: bool = False


class Appender:
    """Writes groups to the partition this process owns."""

    def __init__(
        self,
        *,
        settings: LogSettings,
        clock: Clock,
        own: Callable[[], Awaitable[Owned]],
        announce: Callable[[Sequence[Batch]], Awaitable[set[int]]],
        deliver: Callable[[Owned, Sequence[Stored]], None],
        read_place: ReadPlace,
    ) -> None:
        self.flushes_s: deque[float] = deque(maxlen=_FLUSHES_KEPT)
        self.queued_bytes = 0
        self._settings = settings
        self._clock = clock
        self._own = own
        self._announce = announce
        self._deliver = deliver
        self._read_place = read_place
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._requests: deque[Request] = deque()
        self._changed = asyncio.Event()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="rabbitmq-append")
        self._task = asyncio.create_task(self._run(), name="rabbitmq-append")

    def put(self, request: Request) -> None:
        """Hand a request over."""
        if isinstance(request, AppendRequest):
            self.queued_bytes += request.size_bytes
        self._requests.append(request)
        self._changed.set()

    async def close(self) -> None:
        """Write what was handed over, then stop."""
        self._closing = True
        self._changed.set()
        await self._task
        self._preparing.shutdown()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            if self._requests:
                await self._write_guarded(self._take())
            elif self._closing:
                return
            else:
                await self._changed.wait()

    def _take(self) -> list[Request]:
        taken: list[Request] = []
        size = 0
        limit = min(self._settings.group_bytes, _ENTRY_BYTES)
        while self._requests and size < limit:
            request = self._requests.popleft()
            taken.append(request)
            if isinstance(request, AppendRequest):
                size += len(request.batch.rows)
        return taken

    async def _write_guarded(self, requests: list[Request]) -> None:
        try:
            await self._write(requests)
        except WeftError as failure:
            self._refuse(requests, failure)
        except Exception as failure:  # whoever waits must hear, and the next group is tried
            logger.exception("rabbitmq_append_failed")
            self._refuse(requests, Unavailable(f"these events could not be appended: {failure!r}"))
        finally:
            self.queued_bytes -= sum(request.size_bytes for request in requests if isinstance(request, AppendRequest))

    async def _write(self, requests: list[Request]) -> None:
        owned = await self._own()
        draft = await self._prepared(owned, requests)
        if draft is None:
            return
        requests = await self._announced(owned, requests, draft)
        if not requests:
            return
        if draft.stored or draft.repeats:
            began_s = self._loop.time()
            try:
                await owned.write(draft.body, tells_ends=draft.tells_ends)
            except TimedOut:
                raise
            except Unavailable as lost:
                raise TimedOut(f"{lost.message}; whether these events were kept is not known, send them again") from lost
            self.flushes_s.append(self._loop.time() - began_s)
            owned.ends.update(draft.ends)
            self._remember(owned, draft.stored)
            self._deliver(owned, draft.stored)
        for request, answer in zip(requests, draft.answers, strict=True):
            request.settle(answer)

    async def _prepared(self, owned: Owned, requests: list[Request]) -> _Draft | None:
        """The draft of a group. One request that cannot be stored must not take the others with it."""
        try:
            return await self._loop.run_in_executor(self._preparing, self._prepare, owned, requests)
        except Exception as failure:
            if len(requests) == 1:
                error = failure if isinstance(failure, WeftError) else Malformed(f"this batch cannot be stored: {failure!r}")
                self._refuse(requests, error)
                return None
            for request in requests:
                try:
                    await self._write([request])
                except WeftError as error:
                    self._refuse([request], error)
            return None

    async def _announced(self, owned: Owned, requests: list[Request], draft: _Draft) -> list[Request]:
        """Hand the events to the exchanges first: a full queue refuses them, and then they must not stand in the log."""
        appends: list[AppendRequest] = []
        batches: list[Batch] = []
        for request, answer in zip(requests, draft.answers, strict=True):
            if isinstance(request, AppendRequest) and answer is not None and answer.first_offset is not None:
                appends.append(request)
                batches.append(_without(request.batch, answer.repeats))
        refused = await self._announce(batches)
        if not refused:
            return requests
        gone = {id(appends[index]) for index in refused}
        busy = Busy("a queue of RabbitMQ that these events go to is full; its consumer is too slow or away")
        self._refuse([request for request in requests if id(request) in gone], busy)
        left = [request for request in requests if id(request) not in gone]
        if left:
            again = await self._prepared(owned, left)
            if again is None:
                return []
            draft.answers, draft.stored, draft.ends = again.answers, again.stored, again.ends
            draft.repeats, draft.body, draft.tells_ends = again.repeats, again.body, again.tells_ends
        return left

    def _prepare(self, owned: Owned, requests: Sequence[Request]) -> _Draft:
        """In the preparing thread."""
        draft = _Draft()

        def end_of(topic: str) -> TopicEnd:
            end = draft.ends.get(topic)
            if end is None:
                known = owned.ends.get(topic)
                end = draft.ends[topic] = known.copy() if known else TopicEnd(0)
            return end

        group = Group(owned.partition, end_of, self._compressor, self._settings.merge_bytes)
        unique = Unique(owned.index, lambda place: self._stored(owned, place))
        unique.begin()
        for request in requests:
            draft.answers.append(self._add(owned, unique, group, request, end_of, draft.repeats))
        draft.stored = group.finish()
        draft.tells_ends = owned.entries_since >= _CHECKPOINT_ENTRIES or owned.bytes_since >= _CHECKPOINT_BYTES
        draft.body = encode(
            Entry(
                kind=GROUP,
                epoch=owned.epoch,
                ends=as_ends(owned.ends) if draft.tells_ends else None,
                size_bytes=owned.size_bytes,
                frames=tuple(row_of(item.topic, item.frame) for item in draft.stored),
                repeats=draft.repeats,
            )
        )
        return draft

    def _add(
        self,
        owned: Owned,
        unique: Unique,
        group: Group,
        request: Request,
        end_of: Callable[[str], TopicEnd],
        counts: dict[str, int],
    ) -> Appended | None:
        if isinstance(request, TickRequest):
            group.tick(request.topic, request.time_us)
            return None
        batch = request.batch
        repeats = unique.repeats(batch)
        if repeats:
            end_of(batch.topic).repeats_total += len(repeats)
            counts[batch.topic] = counts.get(batch.topic, 0) + len(repeats)
            if len(repeats) == batch.count:
                return self._answer(owned, None, repeats)
            known = set(repeats)
            batch = batch.select([index for index in range(batch.count) if index not in known])
        return self._answer(owned, group.add(batch), repeats)

    def _answer(self, owned: Owned, first_offset: int | None, repeats: Sequence[int]) -> Appended:
        replicas = self._settings.rabbitmq.replicas
        return Appended(owned.partition, first_offset, "replicated", repeats, in_sync_replicas=replicas)

    def _stored(self, owned: Owned, place: Place) -> Sequence[LogBatch]:
        """In the preparing thread: what stands at a place, to compare with."""
        reading = asyncio.run_coroutine_threadsafe(
            self._read_place(TopicPartition(place.topic, owned.partition), place), self._loop
        )
        try:
            return reading.result()
        except Corrupt:
            logger.warning("log_repeat_not_compared", topic=place.topic, offset=place.first_offset)
            return ()

    def _remember(self, owned: Owned, stored: Sequence[Stored]) -> None:
        now_us = self._clock.now_us()
        for item in stored:
            if item.keys is not None:
                header = item.frame.header
                owned.remember(item.topic, header.first_offset, header.next_offset, item.keys, header.received_last_us, now_us)

    def _refuse(self, requests: Sequence[Request], error: WeftError) -> None:
        for request in requests:
            if not request.answer.done():
                request.answer.set_exception(copy(error))


def _without(batch: Batch, repeats: Sequence[int]) -> Batch:
    if not repeats:
        return batch
    known = set(repeats)
    return batch.select([index for index in range(batch.count) if index not in known])
