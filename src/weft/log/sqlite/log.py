"""The log on SQLite files: the loop's side. Writing is in `append`, reading in `reading`, files in `segment`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Busy, Conflict, Corrupt, Invalid, TooLarge, Unavailable, WeftError
from weft.core.position import Positions, TopicPartition
from weft.log.port import Appended, Damage, Log, LogState, PartitionState, Retention
from weft.log.settings import LogSettings
from weft.log.sqlite.append import Appender, AppendRequest, Flushed, TickRequest
from weft.log.sqlite.groups import Groups
from weft.log.sqlite.partition import Ownership, partitions_in
from weft.log.sqlite.reading import PartitionReader
from weft.log.sqlite.recent import RecentBatches
from weft.log.sqlite.segment import TopicEnd, require_sqlite
from weft.log.sqlite.wake import ERASED, Ear

_CHUNK_BYTES = 4 * 1024 * 1024
_EVERYTHING = "*"
T = TypeVar("T")


class SqliteLog(Log):
    """The embedded log. `url` is `sqlite:///absolute/path/of/a/folder`; `append=False` opens it for reading alone."""

    reach: ClassVar[Literal["process", "host", "network"]] = "host"

    def __init__(self, url: str, *, settings: LogSettings, clock: Clock, append: bool = True) -> None:
        self._root = _folder(url)
        self._settings = settings
        self._clock = clock
        self._may_append = append
        self._appender: Appender | None = None
        self._groups: Groups | None = None
        self._recent = RecentBatches(settings.recent_bytes)
        self._readers: dict[int, PartitionReader] = {}
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="log-read")
        self._ear: Ear | None = None
        self._followers: set[asyncio.Event] = set()
        self._ends: dict[str, TopicEnd] = {}
        self._queued_bytes = 0
        self._is_open = False

    async def __aenter__(self) -> Self:
        require_sqlite()
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as undo:
            undo.callback(self._reading.shutdown)
            await self._in_thread(self._open)
            undo.pop_all()
        if self._appender is not None:
            self._ends = {name: end.copy() for name, end in self._appender.live.ends.items()}
        self._is_open = True
        return self

    def _open(self) -> None:
        if self._may_append:
            self._root.mkdir(parents=True, exist_ok=True)
        elif not self._root.is_dir():
            raise Unavailable(f"there is no log at {self._root} yet; start the process that appends first")
        self._groups = Groups(self._root / "groups.db")
        if not self._may_append:
            return
        ownership = Ownership.take(self._root, self._settings.partitions)
        self._appender = Appender(self._root, ownership, settings=self._settings, clock=self._clock, deliver=self._deliver)
        self._appender.open()

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        if self._appender is not None:
            await self._in_thread(self._appender.close)
            self._appender.ownership.release()
        for event in self._followers:
            event.set()
        if self._ear is not None:
            self._ear.close()
        await self._in_thread(self._close_readers)
        self._reading.shutdown()

    def _close_readers(self) -> None:
        for reader in self._readers.values():
            reader.close()
        if self._groups is not None:
            self._groups.close()

    async def append(self, batch: Batch) -> Appended:
        appender = self._require_appender()
        if batch.count == 0:
            return Appended(appender.ownership.partition, None, "fsync")
        size = batch.size_bytes
        if self._queued_bytes + size > self._settings.queue_bytes:
            if size > self._settings.queue_bytes:
                raise TooLarge(
                    f"a batch of {size} bytes is larger than the queue of the log ({self._settings.queue_bytes} bytes); split it",
                    limit=self._settings.queue_bytes,
                    unit="bytes",
                )
            raise Busy(f"{self._queued_bytes} bytes wait for the disk already (log.queue_bytes); try again in a second")
        answer: asyncio.Future[Appended] = self._loop.create_future()
        self._queued_bytes += size
        appender.put(AppendRequest(batch, answer, size))
        return await answer

    async def tick(self, topic: str, time_us: int) -> None:
        answer: asyncio.Future[None] = self._loop.create_future()
        self._require_appender().put(TickRequest(topic, time_us, answer))
        await answer

    def _deliver(self, flushed: Flushed) -> None:
        self._loop.call_soon_threadsafe(self._settle, flushed)

    def _settle(self, flushed: Flushed) -> None:
        """On the loop: give the answers and wake who follows."""
        self._queued_bytes -= flushed.size_bytes
        for answer, outcome in flushed.answers:
            if answer.done():
                continue
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        if flushed.ends is None:
            return
        self._ends.update(flushed.ends)
        for stored in flushed.stored:
            self._recent.add(stored.batch)
        for event in self._followers:
            event.set()

    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = _CHUNK_BYTES) -> Sequence[LogBatch]:
        self._require_open()
        found = self._recent.run(at.topic, at.partition, offset, max_bytes)
        if found:
            return found
        batches = await self._in_thread(lambda: self._read(at, offset, max_bytes))
        return [self._recent.add(batch) for batch in batches]

    def _read(self, at: TopicPartition, offset: int, max_bytes: int) -> Sequence[LogBatch]:
        reader = self._reader(at.partition)
        return () if reader is None else reader.read(at.topic, offset, max_bytes)

    def _reader(self, partition: int) -> PartitionReader | None:
        """In the reading thread."""
        reader = self._readers.get(partition)
        if reader is None and partition in partitions_in(self._root):
            reader = self._readers[partition] = PartitionReader(self._root, partition)
        return reader

    async def follow(self, group: str, topics: Sequence[str], *, start: Positions | None = None) -> AsyncIterator[LogBatch]:
        groups = self._require_open()
        if self._ear is None:
            self._ear = Ear(self._root, self._hear)
            if self._appender is not None:
                self._appender.bell.leave_out(self._ear.path.name)
        woken = asyncio.Event()
        self._followers.add(woken)
        positions = dict(start) if start is not None else await self._in_thread(lambda: groups.positions(group))
        try:
            while self._is_open:
                woken.clear()
                progressed = False
                for at, end in (await self._follow_ends(topics)).items():
                    while self._is_open and positions.get(at, 0) < end:
                        try:
                            batches = await self.read(at, positions.get(at, 0))
                        except Corrupt as damage:
                            positions[at] = await self._note(damage)
                            continue
                        if not batches:
                            positions[at] = end
                        for batch in batches:
                            positions[at] = batch.next_offset
                            progressed = True
                            yield batch
                if not progressed and self._is_open:
                    await woken.wait()
        finally:
            self._followers.discard(woken)

    async def _follow_ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        own = None if self._appender is None else self._appender.ownership.partition
        foreign = await self._in_thread(lambda: self._foreign_ends(own))
        ends = dict(foreign)
        if own is not None:
            ends.update({TopicPartition(topic, own): end for topic, end in self._ends.items()})
        wanted = set(topics)
        everything = _EVERYTHING in wanted
        return {at: end.next_offset for at, end in ends.items() if everything or at.topic in wanted}

    def _foreign_ends(self, own: int | None) -> dict[TopicPartition, TopicEnd]:
        ends: dict[TopicPartition, TopicEnd] = {}
        for partition in partitions_in(self._root):
            reader = None if partition == own else self._reader(partition)
            if reader is not None:
                ends.update({TopicPartition(topic, partition): end for topic, end in reader.ends().items()})
        return ends

    async def _note(self, damage: Corrupt) -> int:
        """Write a damaged range down; returns where to read on."""
        where = damage.details
        found = Damage(where["topic"], where["partition"], where["first_offset"], where["next_offset"], where["reason"])
        groups = self._require_open()
        await self._in_thread(lambda: groups.add_damage(found))
        return found.next_offset

    def _hear(self, sounds: bytes) -> None:
        if ERASED in sounds:
            self._recent.clear()
        for event in self._followers:
            event.set()

    async def commit(self, group: str, positions: Positions) -> None:
        groups = self._require_open()
        await self._in_thread(lambda: groups.commit(group, positions))

    async def trim(self, retention: Retention) -> int:
        raise NotImplementedError

    async def erase(self, erasure: Erasure) -> int:
        raise NotImplementedError

    async def state(self) -> LogState:
        groups = self._require_open()
        return await self._in_thread(lambda: self._state(groups))

    def _state(self, groups: Groups) -> LogState:
        own = None if self._appender is None else self._appender.ownership.partition
        ends = self._foreign_ends(own)
        if own is not None:
            ends.update({TopicPartition(topic, own): end for topic, end in list(self._ends.items())})
        committed = groups.all_positions()
        partitions: list[PartitionState] = []
        for at, end in sorted(ends.items()):
            reader = self._reader(at.partition)
            gone = None if reader is None else reader.gone().get(at.topic)
            partitions.append(
                PartitionState(
                    topic=at.topic,
                    partition=at.partition,
                    start_offset=gone.start_offset if gone else 0,
                    end_offset=end.next_offset,
                    events_total=end.events_total,
                    events_trimmed=gone.events_trimmed if gone else 0,
                    events_erased=gone.events_erased if gone else 0,
                    repeats_total=end.repeats_total,
                    max_time_us=end.max_time_us,
                    appended_at_us=end.appended_at_us,
                    positions={group: positions[at] for group, positions in committed.items() if at in positions},
                )
            )
        flushes = sorted(self._appender.flushes_s.copy()) if self._appender is not None else []
        refusal = None if self._appender is None else self._appender.refusal
        return LogState(
            partitions=partitions,
            size_bytes=sum(path.stat().st_size for path in self._root.glob("partition-*/*.db*")),
            damages=groups.damages(),
            writable=self._appender is not None and refusal is None,
            refusal=refusal,
            flush_p50_s=flushes[len(flushes) // 2] if flushes else None,
            flush_p99_s=flushes[len(flushes) * 99 // 100] if flushes else None,
        )

    def _require_open(self) -> Groups:
        if not self._is_open or self._groups is None:
            raise Unavailable("the log is closed")
        return self._groups

    def _require_appender(self) -> Appender:
        self._require_open()
        if self._appender is None:
            raise Conflict("this log was opened for reading alone; open it with the right to append")
        return self._appender

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._reading, work)


def _folder(url: str) -> Path:
    scheme, _, path = url.partition("://")
    if scheme != "sqlite" or not path.startswith("/"):
        raise Invalid(f"'{url}' is not a folder of a log; write sqlite:///absolute/path", field="log.url")
    return Path(path)
