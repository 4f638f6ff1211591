"""The log on Kafka: the loop's side. Sending is in `append`, reading in `read` and `follow`, what is asked in `keep`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Final, Self, TypeVar

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Busy, Conflict, TooLarge, Unavailable, Unsupported
from weft.core.position import Positions, TopicPartition
from weft.log.kafka.address import parse_address
from weft.log.kafka.admin import Admin
from weft.log.kafka.append import RETRY_AFTER_S, Appender
from weft.log.kafka.client import Client, KafkaException
from weft.log.kafka.follow import Follower
from weft.log.kafka.group_offsets import GroupOffsets
from weft.log.kafka.keep import Keeper
from weft.log.kafka.marks import Marks
from weft.log.kafka.message import MESSAGE_BYTES
from weft.log.kafka.read import PartitionReader
from weft.log.kafka.request import AppendRequest, Request, TickRequest
from weft.log.kafka.topics import Topics
from weft.log.percentile import percentile
from weft.log.port import Appended, Log, LogState, Retention
from weft.log.recent import RecentBatches
from weft.log.settings import LogSettings

_CHUNK_BYTES: Final = 4 * 1024 * 1024
_PROPAGATOR: Final = TraceContextTextMapPropagator()
T = TypeVar("T")


class KafkaLog(Log):
    """The log on a Kafka cluster. `url` is `kafka://host:port[,host:port]/`; `append=False` opens it for reading alone."""

    reach = "network"

    def __init__(self, url: str, *, settings: LogSettings, clock: Clock, append: bool = True) -> None:
        self._address = parse_address(url, settings.kafka)
        self._settings = settings
        self._clock = clock
        self._may_append = append
        self._recent = RecentBatches(settings.recent_bytes)
        self._followers: set[Follower] = set()
        self._appender: Appender | None = None
        self._queued_bytes = 0
        self._ticking = asyncio.Lock()
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        client = Client(self._address)
        self._client = client
        self._admin = Admin(client)
        self._topics = Topics(client, self._admin)
        self._topics.on_made = self._discover
        self._marks = Marks(client, self._admin, self._topics)
        self._offsets = GroupOffsets(client)
        self._keeper = Keeper(self._admin, self._offsets, self._topics, self._marks, self._address.settings)
        self._reader = PartitionReader(client, self._admin, self._topics)
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="kafka-read")
        self._keeping = ThreadPoolExecutor(1, thread_name_prefix="kafka-keep")
        try:
            await asyncio.to_thread(self._topics.partitions)
        except KafkaException as failure:
            raise client.unavailable(failure) from failure
        if self._may_append:
            self._appender = Appender(client, self._topics, self._marks, clock=self._clock, deliver=self._deliver)
            self._appender.start()
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for follower in self._followers:
            follower.stop()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._appender is not None:
            self._appender.close()
        self._reading.shutdown()
        self._keeping.shutdown()
        self._offsets.close()
        self._reader.close()
        self._marks.close()

    async def identity(self) -> str:
        cluster = await self._in_keeping(self._admin.cluster)
        return f"kafka:{cluster}/{self._address.settings.prefix}"

    def _discover(self) -> None:
        for follower in tuple(self._followers):
            follower.discover()

    # Appending

    async def append(self, batch: Batch) -> Appended:
        appender = self._require_appender()
        if batch.count == 0:
            return Appended(0, None, "replicated")
        size = batch.size_bytes + MESSAGE_BYTES * batch.count
        if self._queued_bytes + size > self._settings.queue_bytes:
            raise self._too_much(size)
        if appender.refusal is not None:
            raise Unavailable(appender.refusal, retry_after_s=RETRY_AFTER_S)
        self._queued_bytes += size
        answer: asyncio.Future[Appended] = self._loop.create_future()
        appender.put(AppendRequest(batch, answer, size, _traceparent()))
        return await answer

    def _too_much(self, size: int) -> Busy | TooLarge:
        limit = self._settings.queue_bytes
        if size > limit:
            return TooLarge(
                f"a batch of {size} bytes is larger than log.queue_bytes ({limit} bytes); split it", limit=limit, unit="bytes"
            )
        return Busy(f"{self._queued_bytes} bytes wait for Kafka already, log.queue_bytes allows {limit}; try again in a second")

    async def tick(self, topic: str, time_us: int) -> None:
        appender = self._require_appender()
        async with self._ticking:  # the ends are read where the tick before has its place
            seen = await self._in_keeping(lambda: self._keeper.ticked(topic))
            answer: asyncio.Future[None] = self._loop.create_future()
            appender.put(TickRequest(topic, time_us, answer, seen))
            await answer

    def _deliver(self, finished: Sequence[Request]) -> None:
        self._loop.call_soon_threadsafe(self._settle, finished)

    def _settle(self, finished: Sequence[Request]) -> None:
        """On the loop: give the answers."""
        for request in finished:
            self._queued_bytes -= request.size_bytes
            request.settle()

    # Reading

    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = _CHUNK_BYTES) -> Sequence[LogBatch]:
        self._require_open()
        found = self._recent.run(at.topic, at.partition, offset, max_bytes)
        if found:
            return found
        batches = await self._loop.run_in_executor(self._reading, lambda: self._reader.read(at, offset, max_bytes))
        return [self._share(batch) for batch in batches]

    def _share(self, batch: LogBatch) -> LogBatch:
        """The batch all readers of this process have; another one only where this is a part of it."""
        known = self._recent.add(batch)
        return known if known.count == batch.count else batch

    async def follow(
        self, group: str, topics: Sequence[str], *, start: Positions | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        self._require_open()
        follower = Follower(self._client, self._topics, group, topics, start)
        self._followers.add(follower)
        try:
            async with aclosing(follower.batches()) as batches:
                async for batch in batches:
                    yield self._share(batch)
        finally:
            self._followers.discard(follower)

    async def commit(self, group: str, positions: Positions) -> None:
        self._require_open()
        members = [follower for follower in self._followers if follower.group == group and follower.is_member]
        await self._in_keeping(lambda: self._commit(group, positions, members))

    def _commit(self, group: str, positions: Positions, members: Sequence[Follower]) -> None:
        offsets = self._keeper.forward(group, positions)
        if not offsets:
            return
        for member in members:
            answer = member.commit(offsets)
            if answer is not None:
                self._keeper.check(self._client.wait_for(answer), group)
                return
        self._keeper.commit(group, offsets)

    # Keeping

    async def trim(self, retention: Retention) -> int:
        self._require_appender()
        max_age_s = retention.max_age_s
        if max_age_s is None:
            return 0
        return await self._in_keeping(lambda: self._keeper.trim(self._clock.now_us(), max_age_s))

    async def erase(self, erasure: Erasure) -> int:
        raise Unsupported(
            "Kafka cannot remove single events from a topic; shorten the topic's retention so that they leave with the others"
        )

    async def state(self) -> LogState:
        partitions, size = await self._in_keeping(self._keeper.partition_states)
        appender = self._appender
        refusal = None if appender is None else appender.refusal
        flushes_s = () if appender is None else appender.flushes_s.copy()  # the appending thread adds to it
        return LogState(
            partitions=partitions,
            size_bytes=size,
            writable=appender is not None and refusal is None,
            refusal=refusal,
            flush_p50_s=percentile(flushes_s, 0.5),
            flush_p99_s=percentile(flushes_s, 0.99),
        )

    def _require_open(self) -> None:
        if not self._is_open:
            raise Unavailable("the log is closed")

    def _require_appender(self) -> Appender:
        self._require_open()
        if self._appender is None:
            raise Conflict("this log was opened for reading alone; only a process that appends can do this")
        return self._appender

    async def _in_keeping(self, work: Callable[[], T]) -> T:
        self._require_open()
        try:
            return await self._loop.run_in_executor(self._keeping, lambda: self._client.patiently(work))
        except KafkaException as failure:
            raise self._client.unavailable(failure) from failure


def _traceparent() -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")
