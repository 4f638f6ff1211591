"""ParquetStore: the embedded event store."""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit

import structlog

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Corrupt, Invalid, Unavailable
from weft.core.event import Event
from weft.core.position import Positions, TopicPartition
from weft.store.asking import check_aggregate, check_select, check_series, check_trend
from weft.store.parquet.aggregate import answer_aggregate, answer_series, answer_trend
from weft.store.parquet.disk import Disk
from weft.store.parquet.engine import Engine, FilesGone
from weft.store.parquet.find import find_event, find_stored
from weft.store.parquet.intake import Intake
from weft.store.parquet.manifest import Manifest
from weft.store.parquet.owner import Owner, OwnerLock
from weft.store.parquet.pages import select_page
from weft.store.parquet.refresh import TRIES, Refresh
from weft.store.parquet.replay import replay_some
from weft.store.parquet.scan import scan_for
from weft.store.parquet.shelf import Shelf, View
from weft.store.parquet.slices import PagedFiles
from weft.store.port import EventStore, check_adoption, check_binding
from weft.store.query import (
    Aggregate,
    Filter,
    Group,
    Page,
    Select,
    Series,
    SeriesColumns,
    StoreState,
    TopicCount,
    Trend,
    TrendRow,
)
from weft.store.settings import StoreSettings

logger = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class ParquetStore(EventStore):
    """An event store in a folder: `parquet:///absolute/path`.

    With `write=True` this is the one owner of the folder: it flushes, merges, retires and erases. With `write=False` it is
    a reader beside the owner: it answers the same questions, keeps a tail of its own from what is written to it, and follows
    the owner's files. The files can be read by any other program at any time.
    """

    reach: Literal["process", "host", "network"] = "host"

    def __init__(
        self, url: str, *, settings: StoreSettings, clock: Clock, write: bool = True, disk: Disk | None = None
    ) -> None:
        self.folder = folder_of_url(url)
        self._settings = settings
        self._clock = clock
        self._write = write
        self._disk = disk or Disk()
        self._stack = AsyncExitStack()
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._tail_since_s: float | None = None
        self._retry_at_s: float | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            threads = ExitStack()
            stack.callback(threads.close)
            self._intake_thread = threads.enter_context(ThreadPoolExecutor(1, "weft-store-intake"))
            self._disk_thread = threads.enter_context(ThreadPoolExecutor(1, "weft-store-disk"))
            self._state_thread = threads.enter_context(ThreadPoolExecutor(1, "weft-store-state"))
            self._question_threads = threads.enter_context(
                ThreadPoolExecutor(self._settings.question_threads, "weft-store-question")
            )
            opened = ExitStack()
            stack.push_async_callback(self._in, self._disk_thread, opened.close)
            await self._in(self._disk_thread, self._open, opened)
            if self._write:
                stack.push_async_callback(self._last_flush)
                task = asyncio.create_task(self._tidy(), name="weft-store-tidy")
                stack.push_async_callback(_stop, task)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def _open(self, opened: ExitStack) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._write:
            opened.callback(OwnerLock(self.folder).release)
        manifest = Manifest(self.folder)
        opened.callback(manifest.close)
        spill = self.folder / "spill" / secrets.token_hex(8)
        opened.callback(shutil.rmtree, spill, ignore_errors=True)
        self._engine = Engine(self.folder, spill, self._settings)
        opened.callback(self._engine.close)
        self._shelf = Shelf(self.folder, self._disk, self._clock)
        self._manifest = manifest
        self._paged = PagedFiles(self.folder, manifest.find_directory)
        self._intake = Intake(
            {},
            lambda asked: self._answer(lambda view: find_stored(self._engine, self._paged, view, asked)),
            lambda topic: self._settings.cutoff_us(topic, self._clock.now_us()),
        )
        self._refresh = Refresh(
            self._shelf, manifest, self._intake, lambda view, asked: find_stored(self._engine, self._paged, view, asked)
        )
        self._refresh.now()
        self._owner = Owner(self._shelf, manifest, self._intake, self._settings, self._clock)
        if self._write:
            self._owner.remove_orphans()

    async def bind(self, log_identity: str) -> None:
        check_binding(await self._in(self._disk_thread, self._manifest.bind, log_identity), log_identity, str(self.folder))

    async def write(self, batches: Sequence[LogBatch]) -> None:
        async with self._writing:
            done = 0
            while done < len(batches):
                await self._make_room()
                done = await self._in(self._intake_thread, self._take, batches, done)
                self._note_tail()

    def _take(self, batches: Sequence[LogBatch], done: int) -> int:
        """Take batches until the tail is full; returns how many are done."""
        while done < len(batches) and self._shelf.view.tail_bytes < self._settings.tail_max_bytes:
            taken = self._intake.prepare(batches[done])
            if taken is None:
                done += 1
                continue
            with self._shelf.lock:
                if self._intake.apply(taken):
                    if taken.events is not None:
                        tail = self._shelf.view.open.with_events(taken.place.topic, taken.events)
                        self._shelf.publish(open_=tail)
                    done += 1
        return done

    async def _make_room(self) -> None:
        if self._shelf.view.tail_bytes < self._settings.tail_max_bytes:
            return
        if self._write:
            await self.flush()
            return
        await self._in(self._question_threads, self._refresh.now)
        if self._shelf.view.tail_bytes >= self._settings.tail_max_bytes:
            raise Unavailable("the owner of the store has not flushed for long, and this reader's tail is full; is it running?")

    def _note_tail(self) -> None:
        view = self._shelf.view
        if not view.tail_bytes:
            self._tail_since_s = None
        elif self._tail_since_s is None:
            self._tail_since_s = self._clock.steady_s()
        if view.tail_bytes >= self._settings.flush_bytes:
            self._wake.set()

    async def flush(self) -> None:
        """Make everything taken so far durable without the log. Raises StorageFull or Unavailable; the tail is kept then."""
        self._check_owner("flush")
        self._tail_since_s = None
        try:
            await self._in(self._disk_thread, self._owner.flush)
        except Unavailable:
            self._retry_at_s = self._clock.steady_s() + self._settings.retry_s
            raise
        finally:
            self._note_tail()
        self._retry_at_s = None

    async def tidy(self) -> None:
        """Merge small files, remove what is past retention, and the files nobody needs any more."""
        self._check_owner("tidy")
        while await self._in(self._disk_thread, self._owner.compact):
            pass
        await self._in(self._disk_thread, lambda: self._owner.compact(settled=True))  # one hour at a time: late events trickle
        await self._in(self._disk_thread, self._owner.retire)
        await self._in(self._disk_thread, self._shelf.sweep, self._settings.grace_s)

    async def _tidy(self) -> None:
        """Flush and tidy up in the background, as they fall due by the clock."""
        tidied_s = self._clock.steady_s()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(self._settings.flush_age_s, self._settings.tidy_every_s) / 4)
            self._wake.clear()
            try:
                if self._is_flush_due():
                    await self.flush()
                if self._clock.steady_s() - tidied_s >= self._settings.tidy_every_s:
                    tidied_s = self._clock.steady_s()
                    await self.tidy()
            except Exception as failed:  # whatever it is, the next round may go well, and without rounds the tail fills up
                self._retry_at_s = self._clock.steady_s() + self._settings.retry_s
                logger.warning("store_tidy_failed", reason=str(failed), error=type(failed).__name__)

    def _is_flush_due(self) -> bool:
        now_s = self._clock.steady_s()
        if self._retry_at_s is not None and now_s < self._retry_at_s:
            return False
        full = self._shelf.view.tail_bytes >= self._settings.flush_bytes
        old = self._tail_since_s is not None and now_s - self._tail_since_s >= self._settings.flush_age_s
        return full or old

    async def _last_flush(self) -> None:
        try:
            await self.flush()
        except Unavailable as failed:
            logger.warning("store_closed_with_tail", reason=str(failed), tail_bytes=self._shelf.view.tail_bytes)

    async def flushed(self) -> Positions:
        if self._write:
            return {place: account.position for place, account in self._owner.flushed_ledger.items()}
        content = await self._in(self._question_threads, self._refresh.now)
        return {place: account.position for place, account in content.ledger.items()}

    async def get(self, event_id: str, *, source: str | None = None) -> Event | None:
        return await self._ask(lambda view: find_event(self._paged, view, event_id, source))

    async def select(self, select: Select) -> Page:
        check_select(select, self._settings)
        return await self._ask(
            lambda view: select_page(self._engine, self._paged, scan_for(self.folder, view, select.filter), select)
        )

    async def aggregate(self, aggregate: Aggregate) -> Sequence[Group]:
        check_aggregate(aggregate, self._settings)
        return await self._ask(
            lambda view: answer_aggregate(self._engine, scan_for(self.folder, view, aggregate.filter), aggregate)
        )

    async def trend(self, trend: Trend) -> Sequence[TrendRow]:
        check_trend(trend)
        return await self._ask(lambda view: answer_trend(self._engine, scan_for(self.folder, view, trend.filter), trend))

    async def series(self, series: Series) -> SeriesColumns:
        check_series(series)
        return await self._ask(lambda view: answer_series(self._engine, scan_for(self.folder, view, series.filter), series))

    async def erase(self, erasure: Erasure) -> int:
        if erasure == Erasure():
            raise Invalid("an erasure needs at least one condition", field="erasure")
        self._check_owner("erase")
        count = await self._in(self._disk_thread, self._owner.erase, erasure)
        self._paged.forget()
        return count

    async def replay(self, at: TopicPartition, offset: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        asked = Filter(topic=at.topic)
        next_offset: int | None = offset
        while next_offset is not None:
            events, next_offset = await self._ask(
                lambda view, first=next_offset: replay_some(
                    self._engine, scan_for(self.folder, view, asked), at.partition, first
                )
            )
            if events:
                yield events

    async def adopt(self, books: Sequence[TopicCount]) -> None:
        self._check_owner("take over books")
        check_adoption({place: account.position for place, account in self._intake.ledger.items()}, books)
        await self._in(self._disk_thread, self._owner.adopt, books)

    async def state(self) -> StoreState:
        # A thread of its own: the verdict and the books must not wait behind long questions.
        return await self._in(self._state_thread, lambda: self._answer(self._state))

    def _state(self, view: View) -> StoreState:
        with self._shelf.lock:
            flushed = self._owner.flushed_ledger if self._write else self._refresh.content.ledger
            topics = [
                TopicCount(
                    topic=place.topic,
                    partition=place.partition,
                    position=account.position,
                    flushed_position=flushed[place].position if place in flushed else 0,
                    stored_total=account.stored,
                    repeats_total=account.repeats,
                    expired_total=account.expired,
                    ticks_total=account.ticks,
                    skipped_total=account.skipped,
                    erased_total=account.erased,
                    retired_total=account.retired,
                )
                for place, account in sorted(self._intake.ledger.items())
            ]
        chunks = [chunk for some in view.tail.chunks.values() for chunk in some]
        parts = [*view.files, *chunks]
        return StoreState(
            topics=topics,
            events=sum(part.rows for part in parts),
            size_bytes=sum(file.size_bytes for file in view.files)
            + sum(run.file.size_bytes for run in view.runs)
            + self._manifest.size_bytes,
            files=len(view.files),
            tail_events=view.tail.rows,
            tail_bytes=view.tail_bytes,
            oldest_us=min((part.min_us for part in parts), default=None),
            newest_us=max((part.max_us for part in parts), default=None),
            details={"refusal": self._owner.refusal, "flush_s": self._owner.flush_s},
        )

    async def _ask(self, work: Callable[[View], T]) -> T:
        return await self._in(self._question_threads, lambda: self._answer(work))

    def _answer(self, work: Callable[[View], T]) -> T:
        gone: FilesGone | None = None
        for _ in range(TRIES):
            if not self._write:
                self._refresh.now(always=gone is not None)
            with self._shelf.reading() as view:
                try:
                    return work(view)
                except FilesGone as missing:
                    gone = missing
            if self._write:
                break
        raise Corrupt(f"a file of the store in {self.folder} is missing: {gone}") from gone

    def _check_owner(self, what: str) -> None:
        if not self._write:
            raise Conflict(f"this store was opened for reading; only the owner of {self.folder} may {what}")

    async def _in(self, threads: Executor, work: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)


def folder_of_url(url: str) -> Path:
    """The folder of `parquet:///absolute/path`. Raises Invalid for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "parquet" or parts.netloc or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise Invalid(f"'{url}' is not an address of this store; write parquet:///absolute/path", field="store.url")
    folder = Path(unquote(parts.path))
    if set("*?[]{}") & set(str(folder)):
        raise Invalid(
            f"the folder {folder} holds one of * ? [ ] {{ }}, which stand for several files; rename it", field="store.url"
        )
    return folder


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
