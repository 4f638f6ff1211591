"""The log on SQLite files: the loop's side. Writing is in `append`, reading in `reading`, files in `segment`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing
from copy import copy
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

import apsw

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Busy, Conflict, Corrupt, Invalid, TooLarge, Unavailable
from weft.core.position import Positions, TopicPartition
from weft.core.times import SECOND_US
from weft.log.percentile import percentile
from weft.log.port import Appended, Damage, Log, LogState, Retention
from weft.log.recent import RecentBatches
from weft.log.settings import LogSettings
from weft.log.sqlite.append import Appender, AppendRequest, Flushed, TickRequest
from weft.log.sqlite.erase import erase, require_searched
from weft.log.sqlite.follow import Follower
from weft.log.sqlite.groups import Groups
from weft.log.sqlite.ledger import Gone
from weft.log.sqlite.partition import Ownership, partitions_in
from weft.log.sqlite.reading import PartitionReader
from weft.log.sqlite.segment import require_sqlite
from weft.log.sqlite.state import partition_states, size_bytes
from weft.log.sqlite.trim import TrimRule, trim
from weft.log.sqlite.upkeep import Upkeep, taken
from weft.log.sqlite.wake import APPENDED, ERASED, ROLL, Ear
from weft.log.topic_end import TopicEnd

_ROLL_TIMEOUT_S: Final = 30.0
_CHUNK_BYTES: Final = 4 * 1024 * 1024
T = TypeVar("T")


class SqliteLog(Log):
    """The embedded log. `url` is `sqlite:///absolute/path/of/a/folder`; `append=False` opens it for reading alone."""

    reach = "host"
    appends_alone = True

    def __init__(self, url: str, *, settings: LogSettings, clock: Clock, append: bool = True) -> None:
        self._root = _folder(url)
        self._settings = settings
        self._clock = clock
        self._may_append = append
        self._recent = RecentBatches(settings.recent_bytes)
        self._readers: dict[int, PartitionReader] = {}
        self._followers: set[Follower] = set()
        self._own_ends: dict[str, TopicEnd] = {}
        self._foreign_ends: dict[TopicPartition, TopicEnd] = {}
        self._heard, self._looked = 1, 0
        self._appender: Appender | None = None
        self._ear: Ear | None = None
        self._queued_bytes = 0
        self._erasures = 0
        self._opened: ExitStack | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._opened is not None

    async def __aenter__(self) -> Self:
        require_sqlite()
        self._loop = asyncio.get_running_loop()
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="log-read")
        self._keeping = ThreadPoolExecutor(1, thread_name_prefix="log-keep")
        self._began = (self._clock.now_us(), self._clock.steady_s())
        self._rung = asyncio.Event()
        self._opened = await asyncio.to_thread(self._open)
        if self._appender is not None:
            self._own_ends = {name: end.copy() for name, end in self._appender.live.ends.items()}
        self._ear = Ear(self._root, self._hear)
        if self._appender is not None:
            self._appender.bell.leave_out(self._ear.path.name)
        return self

    def _open(self) -> ExitStack:
        with ExitStack() as opened:
            if self._may_append:
                self._root.mkdir(parents=True, exist_ok=True)
            elif not self._root.is_dir():
                raise Unavailable(f"there is no log at {self._root} yet; start the process that appends first")
            try:
                self._groups = Groups(self._root / "groups.db")
                opened.callback(self._groups.close)
                if self._may_append:
                    self._appender = self._open_appender(opened)
            except (apsw.Error, OSError) as failure:
                raise Unavailable(f"the log at {self._root} cannot be opened: {failure}") from failure
            # Closed the other way round: first nobody reads or keeps house any more, then what they used goes.
            opened.callback(self._close_readers)
            opened.callback(self._keeping.shutdown)
            opened.callback(self._reading.shutdown)
            return opened.pop_all()

    def _open_appender(self, opened: ExitStack) -> Appender:
        ownership = Ownership.take(self._root, self._settings.partitions)
        opened.callback(ownership.release)
        appender = Appender(self._root, ownership, settings=self._settings, clock=self._clock, deliver=self._deliver)
        appender.open(self._groups.floors(ownership.partition))
        opened.callback(appender.close)
        self._upkeep = Upkeep(self._root, ownership, appender.checkpointer, roll=appender.roll, keep=appender.keep)
        opened.callback(self._upkeep.close)
        return appender

    async def __aexit__(self, *_: object) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await asyncio.to_thread(opened.close)
        for follower in self._followers:
            follower.woken.set()
        if self._ear is not None:
            self._ear.close()

    def _close_readers(self) -> None:
        for reader in self._readers.values():
            reader.close()

    async def append(self, batch: Batch) -> Appended:
        appender = self._require_appender()
        if batch.count == 0:
            return Appended(appender.ownership.partition, None, "fsync")
        size = batch.size_bytes
        if self._queued_bytes + size > self._settings.queue_bytes:
            raise self._too_much(size)
        answer: asyncio.Future[Appended] = self._loop.create_future()
        self._queued_bytes += size
        appender.put(AppendRequest(batch, answer, size))
        return await answer

    def _too_much(self, size: int) -> Busy | TooLarge:
        limit = self._settings.queue_bytes
        if size > limit:
            return TooLarge(
                f"a batch of {size} bytes is larger than log.queue_bytes ({limit} bytes); split it", limit=limit, unit="bytes"
            )
        return Busy(
            f"{self._queued_bytes} bytes wait for the disk already, log.queue_bytes allows {limit}; try again in a second"
        )

    async def tick(self, topic: str, time_us: int) -> None:
        appender = self._require_appender()
        known = self._own_ends.get(topic)
        if known is None or (known.max_time_us is not None and known.max_time_us >= time_us):
            return
        answer: asyncio.Future[None] = self._loop.create_future()
        appender.put(TickRequest(topic, time_us, answer))
        await answer

    def _deliver(self, flushed: Flushed) -> None:
        self._loop.call_soon_threadsafe(self._settle, flushed)

    def _settle(self, flushed: Flushed) -> None:
        """On the loop, once a group: show what was stored, give the answers, wake who follows."""
        self._queued_bytes -= flushed.size_bytes
        self._own_ends.update(flushed.ends)
        for stored in flushed.stored:
            self._recent.add(stored.batch)
        for answer, outcome in flushed.answers:
            if answer.done():
                continue
            if isinstance(outcome, BaseException):
                answer.set_exception(copy(outcome))
            else:
                answer.set_result(outcome)
        if flushed.stored:
            for follower in self._followers:
                follower.woken.set()

    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = _CHUNK_BYTES) -> Sequence[LogBatch]:
        self._require_open()
        found = self._recent.run(at.topic, at.partition, offset, max_bytes)
        if found:
            return found
        erasures = self._erasures
        end = self._known_end(at)
        batches = await self._in_reading(lambda: self._read(at, offset, max_bytes, end))
        if erasures != self._erasures:
            return batches
        return [self._recent.add(batch) for batch in batches]

    def _known_end(self, at: TopicPartition) -> int | None:
        """Where a partition ends, or None where only the disk knows."""
        if self._appender is not None and at.partition == self._appender.ownership.partition:
            end = self._own_ends.get(at.topic)
        else:
            end = self._foreign_ends.get(at) if self._looked == self._heard else None
        return None if end is None else end.next_offset

    def _read(self, at: TopicPartition, offset: int, max_bytes: int, end: int | None) -> Sequence[LogBatch]:
        reader = self._reader(at.partition)
        return () if reader is None else reader.read(at.topic, offset, max_bytes, end)

    def _reader(self, partition: int) -> PartitionReader | None:
        """In the reading thread."""
        reader = self._readers.get(partition)
        if reader is None and partition in partitions_in(self._root):
            reader = self._readers[partition] = PartitionReader(self._root, partition)
        return reader

    async def follow(
        self, group: str, topics: Sequence[str], *, start: Positions | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        self._require_open()
        positions = dict(start) if start is not None else await self._in_reading(lambda: self._groups.positions(group))
        follower = Follower(self, topics, positions)
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

    def _hear(self, sounds: bytes) -> None:
        """Another process appended or erased, or wants to."""
        self._heard += 1
        if not self.is_open:
            return
        self._rung.set()
        if ERASED in sounds:
            self._forget_recent()
        if ROLL in sounds:
            self._keeping.submit(self._roll_for_others)
        for follower in self._followers:
            follower.woken.set()

    def _forget_recent(self) -> None:
        self._erasures += 1
        self._recent.clear()

    async def ends(self) -> Mapping[TopicPartition, int]:
        """The offset after the last durable event, of every partition; looks at the disk after a ring only."""
        while self._looked != self._heard:
            heard = self._heard
            self._foreign_ends = await self._in_reading(self._look_at_others)
            self._looked = heard
        return {at: end.next_offset for at, end in self._all_ends().items()}

    def _all_ends(self) -> dict[TopicPartition, TopicEnd]:
        if self._appender is None:
            return self._foreign_ends
        own = self._appender.ownership.partition
        return {**self._foreign_ends, **{TopicPartition(topic, own): end for topic, end in self._own_ends.items()}}

    def _look_at_others(self) -> dict[TopicPartition, TopicEnd]:
        ends: dict[TopicPartition, TopicEnd] = {}
        for partition in partitions_in(self._root):
            own = self._appender is not None and partition == self._appender.ownership.partition
            reader = None if own else self._reader(partition)
            if reader is not None:
                ends.update({TopicPartition(topic, partition): end for topic, end in reader.ends().items()})
        return ends

    async def note(self, damage: Corrupt) -> int:
        """Write a damaged range down; returns the offset behind it."""
        where = damage.details
        found = Damage(where["topic"], where["partition"], where["first_offset"], where["next_offset"], where["reason"])
        await self._in_reading(lambda: self._groups.add_damage(found))
        return found.next_offset

    async def commit(self, group: str, positions: Positions) -> None:
        self._require_open()
        try:
            await self._in_reading(lambda: self._groups.commit(group, positions))
        except apsw.Error as failure:
            raise Unavailable(f"the positions of group '{group}' could not be kept: {failure}") from failure

    async def trim(self, retention: Retention) -> int:
        self._require_appender()
        now_us = self._steady_now_us()
        positions = await self._in_reading(self._groups.all_positions)
        rule = TrimRule(
            positions=positions,
            oldest_us=None if retention.max_age_s is None else now_us - int(retention.max_age_s * SECOND_US),
            excess_bytes=0 if retention.max_bytes is None else size_bytes(self._root) - retention.max_bytes,
            horizon_us=now_us - int(self._settings.repeat_age_s * SECOND_US),
        )
        removed = await self._in_keeping(lambda: self._trim(rule))
        if removed:
            self._forget_recent()
        return removed

    def _trim(self, rule: TrimRule) -> int:
        """This process's partition, and those that nobody appends to any more."""
        removed = trim(self._upkeep, rule)
        for partition in partitions_in(self._root):
            if partition != self._upkeep.partition:
                with taken(self._root, partition, self._settings, self._clock) as upkeep:
                    removed += trim(upkeep, rule) if upkeep is not None else 0
        return removed

    def _steady_now_us(self) -> int:
        """Now, but not where the wall clock jumped ahead since the log was opened: that must not make everything old."""
        wall_us, steady_s = self._began
        return min(self._clock.now_us(), wall_us + int((self._clock.steady_s() - steady_s) * SECOND_US))

    async def erase(self, erasure: Erasure) -> int:
        appender = self._require_appender()
        erased = 0
        damages: list[Corrupt] = []
        try:
            for partition in await self._in_reading(lambda: partitions_in(self._root)):
                await self._close_live(appender, partition)
                count, found = await self._in_keeping(partial(self._erase, partition, erasure))
                erased += count
                damages += found
        except (apsw.Error, OSError) as failure:
            raise Unavailable(f"erasing stopped after {erased} events: {failure}; erase again") from failure
        finally:
            self._forget_recent()
            appender.sound(ERASED)
        return require_searched(erased, damages)

    def _erase(self, partition: int, erasure: Erasure) -> tuple[int, list[Corrupt]]:
        with closing(PartitionReader(self._root, partition)) as reader:
            return erase(reader, erasure)

    async def _close_live(self, appender: Appender, partition: int) -> None:
        """Have everything of a partition in sealed segments, whoever appends to it."""
        live = await self._in_keeping(partial(self._live_segment, partition))
        try:
            async with asyncio.timeout(_ROLL_TIMEOUT_S):
                self._rung.clear()
                while not await self._in_keeping(partial(self._is_closed, partition, live)):
                    appender.sound(ROLL)
                    await self._rung.wait()
                    self._rung.clear()
        except TimeoutError as late:
            raise Unavailable(f"who appends to partition {partition} did not seal its segment; erase again") from late

    def _live_segment(self, partition: int) -> int:
        with closing(PartitionReader(self._root, partition)) as reader:
            return max(reader.segments(), default=0)

    def _is_closed(self, partition: int, live: int) -> bool:
        if partition == self._upkeep.partition:
            self._upkeep.roll()
        else:
            with taken(self._root, partition, self._settings, self._clock) as upkeep:
                if upkeep is not None:
                    upkeep.roll()
        with closing(PartitionReader(self._root, partition)) as reader:
            return live in reader.sealed() or next(reader.reader(live).headers(), None) is None

    def _roll_for_others(self) -> None:
        """Another process wants to erase: in the keeping thread."""
        appender = self._appender
        if appender is not None and self._opened is not None:
            self._upkeep.roll()
            appender.sound(APPENDED)

    async def identity(self) -> str:
        self._require_open()
        return await self._in_reading(self._groups.identity)

    async def state(self) -> LogState:
        self._require_open()
        return await self._in_reading(self._state)

    def _state(self) -> LogState:
        ends = self._look_at_others()
        appender = self._appender
        if appender is not None:
            own = appender.ownership.partition
            ends.update({TopicPartition(topic, own): end for topic, end in self._own_ends.copy().items()})
        gone: dict[TopicPartition, Gone] = {}
        for partition in {at.partition for at in ends}:
            reader = self._reader(partition)
            if reader is not None:
                gone.update({TopicPartition(topic, partition): lost for topic, lost in reader.gone().items()})
        flushes_s = [] if appender is None else list(appender.flushes_s.copy())
        refusal = None if appender is None else appender.refusal
        return LogState(
            partitions=partition_states(ends, gone, self._groups.all_positions()),
            size_bytes=size_bytes(self._root),
            damages=self._groups.damages(),
            writable=appender is not None and refusal is None,
            refusal=refusal,
            flush_p50_s=percentile(flushes_s, 0.5),
            flush_p99_s=percentile(flushes_s, 0.99),
        )

    def _require_open(self) -> None:
        if self._opened is None:
            raise Unavailable("the log is closed")

    def _require_appender(self) -> Appender:
        self._require_open()
        if self._appender is None:
            raise Conflict("this log was opened for reading alone; only a process that appends can do this")
        return self._appender

    async def _in_reading(self, work: Callable[[], T]) -> T:
        self._require_open()
        return await self._loop.run_in_executor(self._reading, work)

    async def _in_keeping(self, work: Callable[[], T]) -> T:
        self._require_open()
        return await self._loop.run_in_executor(self._keeping, work)


def _folder(url: str) -> Path:
    scheme, _, path = url.partition("://")
    if scheme != "sqlite" or not path.startswith("/"):
        raise Invalid(f"'{url}' is not the folder of a log; write sqlite:///absolute/path", field="log.url")
    return Path(path)
