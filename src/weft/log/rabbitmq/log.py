"""The log on RabbitMQ: what a process sees of it. Writing is in `appending`, reading in `reading`, AMQP in `broker`."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Final, Self

import structlog

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Busy, Conflict, Corrupt, TooLarge, Unavailable, Unsupported, WeftError
from weft.core.position import Positions, TopicPartition
from weft.log.group import Stored
from weft.log.percentile import percentile
from weft.log.port import Appended, Damage, Log, LogState, PartitionState, Retention
from weft.log.rabbitmq.appending import Appender, AppendRequest, TickRequest
from weft.log.rabbitmq.broker import Link
from weft.log.rabbitmq.bus import Bus
from weft.log.rabbitmq.connection import Connection
from weft.log.rabbitmq.entry import Entry, batch_of
from weft.log.rabbitmq.follow import Alone, Follower, Share
from weft.log.rabbitmq.leases import Leases
from weft.log.rabbitmq.names import Names
from weft.log.rabbitmq.ownership import Owned, Ownership
from weft.log.rabbitmq.reading import OffsetReader
from weft.log.rabbitmq.shared import Shared
from weft.log.recent import RecentBatches
from weft.log.repeats import Place
from weft.log.settings import LogSettings

logger = structlog.get_logger(__name__)

_CHUNK_BYTES: Final = 4 * 1024 * 1024


class RabbitmqLog(Log):
    """The log on RabbitMQ. `url` is `amqp://user:password@host:port/vhost`, or `amqps://`; `append=False` only reads."""

    reach = "network"
    appends_alone = True

    def __init__(self, url: str, *, settings: LogSettings, clock: Clock, append: bool = True) -> None:
        self._settings = settings
        self._rabbitmq = settings.rabbitmq
        self._clock = clock
        self._may_append = append
        self._names = Names(self._rabbitmq.prefix)
        self._publishing = self._connection(url, "weft-publish")
        self._consuming = self._connection(url, "weft-consume")
        self._recent = RecentBatches(settings.recent_bytes)
        self._reader = OffsetReader(self._consuming, self._names, self._recent, self._write_marker, self._rabbitmq.timeout_s)
        self._shared = Shared(
            self._names,
            settings=settings,
            publishing=self._publishing,
            consuming=self._consuming,
            own=self._own,
            heard=self._hear,
            changed=self._wake,
        )
        self._ownership = Ownership(
            self._names,
            settings=settings,
            clock=clock,
            publishing=self._publishing,
            consuming=self._consuming,
            registry=self._shared,
        )
        self._bus = Bus(self._rabbitmq, self._publishing)
        self._followers: set[Follower] = set()
        self._leases: set[tuple[str, int]] = set()
        self._appender: Appender | None = None
        self._opened: AsyncExitStack | None = None

    def _connection(self, url: str, name: str) -> Connection:
        rabbitmq = self._rabbitmq

        def make() -> Link:
            return Link(url, name=name, heartbeat_s=rabbitmq.heartbeat_s, timeout_s=rabbitmq.timeout_s)

        return Connection(make, pulse_s=rabbitmq.timeout_s, retry_max_s=rabbitmq.retry_max_s)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._opened is not None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            for connection in (self._publishing, self._consuming):
                await connection.open()
                opened.push_async_callback(connection.close)
            opened.push_async_callback(self._shared.close)
            await self._shared.open()
            if self._may_append:
                opened.push_async_callback(self._bus.close)
                await self._bus.open()
                self._appender = Appender(
                    settings=self._settings,
                    clock=self._clock,
                    own=self._take,
                    announce=self._bus.announce,
                    deliver=self._deliver,
                    read_place=self._read_place,
                )
                opened.push_async_callback(self._stop_appending, self._appender)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        opened, self._opened = self._opened, None
        self._wake()
        if opened is not None:
            await opened.aclose()

    async def _stop_appending(self, appender: Appender) -> None:
        await appender.close()
        owned = self._own()
        if owned is not None:
            try:
                await self._shared.publish_mark(owned.partition, owned.mark(closed=True))
            except WeftError as failure:
                logger.warning("rabbitmq_close_not_noted", reason=failure.message)

    async def identity(self) -> str:
        self._require_open()
        return await self._shared.identity()

    async def append(self, batch: Batch) -> Appended:
        appender = self._require_appender()
        if batch.count == 0:
            return Appended(0, None, "replicated", in_sync_replicas=self._rabbitmq.replicas)
        size = batch.size_bytes
        limit = self._settings.queue_bytes
        if size > limit:
            raise TooLarge(
                f"a batch of {size} bytes is larger than log.queue_bytes ({limit} bytes); split it", limit=limit, unit="bytes"
            )
        if appender.queued_bytes + size > limit:
            raise Busy(
                f"{appender.queued_bytes} bytes wait for RabbitMQ already, log.queue_bytes allows {limit}; try again soon"
            )
        _ = self._publishing.link
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        appender.put(AppendRequest(batch, answer, size))
        return await answer

    async def tick(self, topic: str, time_us: int) -> None:
        appender = self._require_appender()
        owned = self._own()
        known = owned.ends.get(topic) if owned is not None else None
        if known is None or (known.max_time_us is not None and known.max_time_us >= time_us):
            return
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        appender.put(TickRequest(topic, time_us, answer))
        await answer

    def _own(self) -> Owned | None:
        """The partition this process appends to, while it has the right."""
        owned = self._ownership.owned
        return None if owned is None or owned.is_lost else owned

    async def _take(self) -> Owned:
        before = self._ownership.owned
        owned = await self._ownership.own()
        if owned is not before:
            self._wake()
        return owned

    def _deliver(self, owned: Owned, stored: Sequence[Stored]) -> None:
        for item in stored:
            self._recent.add(item.batch)
        if stored:
            self._wake()

    def _hear(self, partition: int, position: int, entry: Entry) -> None:
        """Another process appended."""
        self._reader.places.checkpoints(partition).note(position, entry)
        if self._followers:
            for row in entry.frames:
                batch = batch_of(row, partition, self._reader.decompressor)
                if isinstance(batch, LogBatch):
                    self._recent.add(batch)
        self._wake()

    def _wake(self) -> None:
        for follower in self._followers:
            follower.woken.set()
            follower.share.poke()

    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = _CHUNK_BYTES) -> Sequence[LogBatch]:
        self._require_open()
        found = self._recent.run(at.topic, at.partition, offset, max_bytes)
        if found:
            return found
        end = self._shared.ends().get(at)
        if end is None or offset >= end.next_offset:
            return []
        return await self._reader.read(
            at, offset, end.next_offset, max_bytes=max_bytes, tail=self._shared.tail_position(at.partition)
        )

    async def _read_place(self, at: TopicPartition, place: Place) -> Sequence[LogBatch]:
        """What is left of a stored batch, to compare with; it may be so new that its end is not known yet."""
        found = self._recent.find(at.topic, at.partition, place.first_offset)
        if found is not None:
            return [found]
        return await self._reader.read(
            at, place.first_offset, place.next_offset, max_bytes=1, tail=self._shared.tail_position(at.partition)
        )

    async def _write_marker(self, partition: int, word: str) -> None:
        await self._shared.write_marker(partition, word)

    async def follow(
        self, group: str, topics: Sequence[str], *, start: Positions | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        self._require_open()
        await self._shared.catch_up()
        follower = Follower(self, topics, lambda follower: self._share(follower, group, start))
        self._followers.add(follower)
        try:
            async with aclosing(follower.batches()) as batches:
                async for batch in batches:
                    yield batch
        except Unavailable:
            if self.is_open:
                raise
        finally:
            self._followers.discard(follower)
            await follower.share.close()

    def _share(self, follower: Follower, group: str, start: Positions | None) -> Share:
        if start is not None:
            return Alone(start)
        return Leases(
            group,
            self._names,
            shared=self._shared,
            connection=self._consuming,
            taken=self._leases,
            turned=follower.forget,
        )

    def ends(self) -> Mapping[TopicPartition, int]:
        """The offset after the last event that is known here, of every partition."""
        return {at: end.next_offset for at, end in self._shared.ends().items()}

    async def note(self, damage: Corrupt) -> int:
        """Write a damaged range down; returns the offset behind it."""
        where = damage.details
        found = Damage(where["topic"], where["partition"], where["first_offset"], where["next_offset"], where["reason"])
        await self._shared.note(found)
        return found.next_offset

    async def commit(self, group: str, positions: Positions) -> None:
        self._require_open()
        await self._shared.commit(group, positions)

    async def trim(self, retention: Retention) -> int:
        """Count what is gone: RabbitMQ removes whole segments by itself, by the age and size its streams were declared with."""
        self._require_appender()
        await self._shared.catch_up()
        return await self._shared.look_at_starts()

    async def erase(self, erasure: Erasure) -> int:
        raise Unsupported(
            "a log on RabbitMQ cannot erase single events: its streams are append-only and end after log.retention_age_s"
        )

    async def state(self) -> LogState:
        self._require_open()
        refusal, is_current = self._publishing.refusal, True
        try:
            await self._shared.catch_up()
        except Unavailable as away:
            refusal, is_current = refusal or away.message, False
        flushes = list(self._appender.flushes_s) if self._appender is not None else []
        return LogState(
            partitions=self._partition_states(),
            size_bytes=self._shared.size_bytes,
            damages=[
                Damage(row.topic, row.partition, row.first_offset, row.next_offset, row.reason)
                for row in self._shared.ledger.damages.values()
            ],
            writable=self._may_append and refusal is None,
            refusal=refusal,
            is_current=is_current,
            flush_p50_s=percentile(flushes, 0.5),
            flush_p99_s=percentile(flushes, 0.99),
        )

    def _partition_states(self) -> list[PartitionState]:
        ledger = self._shared.ledger
        states: list[PartitionState] = []
        for at, end in sorted(self._shared.ends().items()):
            start_offset, trimmed = ledger.starts.get(at, (0, 0))
            states.append(
                PartitionState(
                    topic=at.topic,
                    partition=at.partition,
                    start_offset=start_offset,
                    end_offset=end.next_offset,
                    events_total=end.events_total,
                    events_trimmed=trimmed,
                    events_erased=0,
                    repeats_total=end.repeats_total,
                    max_time_us=end.max_time_us,
                    appended_at_us=end.appended_at_us,
                    positions={group: known[at] for group, known in ledger.positions.items() if at in known},
                )
            )
        return states

    def _require_open(self) -> None:
        if self._opened is None:
            raise Unavailable("the log is closed")

    def _require_appender(self) -> Appender:
        self._require_open()
        if self._appender is None:
            raise Conflict("this log was opened for reading alone")
        return self._appender
