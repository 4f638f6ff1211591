"""Appender: the one thread that writes a partition. What arrived during the last flush is the next group; there is no timer."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

import apsw
import structlog
import zstandard

from weft.core.batch import Batch, LogBatch
from weft.core.clock import Clock
from weft.core.errors import Corrupt, Malformed, StorageFull, TimedOut, Unavailable, WeftError
from weft.core.times import SECOND_US
from weft.log.group import Group, Stored
from weft.log.kept import KeptRepeats
from weft.log.port import Appended
from weft.log.repeats import Place, RepeatIndex
from weft.log.settings import LogSettings
from weft.log.sqlite.checkpoint import Checkpointer
from weft.log.sqlite.live import Fenced, LiveSegment
from weft.log.sqlite.partition import Ownership
from weft.log.sqlite.reading import PartitionReader
from weft.log.sqlite.remember import remember
from weft.log.sqlite.reserve import Reserve
from weft.log.sqlite.wake import Bell
from weft.log.topic_end import TopicEnd
from weft.log.unique import Unique

logger = structlog.get_logger(__name__)

CONTROL_PREFIX: Final = "weft."
"""Topics of Weft's own: they are still accepted when the disk is nearly full, so that its alert can be kept."""

_FLUSHES_KEPT: Final = 1024
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class AppendRequest:
    """Events that wait for the disk. One for each append, so not frozen: that costs a microsecond."""

    batch: Batch
    answer: asyncio.Future[Appended]
    size_bytes: int

    @property
    def topic(self) -> str:
        return self.batch.topic


@dataclass(slots=True, eq=False)
class TickRequest:
    """A tick that waits for the disk."""

    topic: str
    time_us: int
    answer: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class CallRequest:
    """Something to do between two groups, in the writing thread."""

    call: Callable[[], Any]
    answer: Future[Any]


Write = AppendRequest | TickRequest
Request = Write | CallRequest
Answers = list[tuple[asyncio.Future[Any], object]]


@dataclass(frozen=True, slots=True)
class Flushed:
    """What one flush did: for each request a value or an error, what was stored, and where the topics stand now."""

    answers: Answers
    stored: Sequence[Stored] = ()
    ends: dict[str, TopicEnd] = field(default_factory=dict[str, TopicEnd])
    size_bytes: int = 0


class Appender:
    """Writes groups of batches to an owned partition."""

    def __init__(
        self, root: Path, ownership: Ownership, *, settings: LogSettings, clock: Clock, deliver: Callable[[Flushed], None]
    ) -> None:
        self.ownership = ownership
        self.flushes_s: deque[float] = deque(maxlen=_FLUSHES_KEPT)
        self._failure: str | None = None
        self._fenced: Fenced | None = None
        self.bell = Bell(root)
        self.checkpointer = Checkpointer(ownership, settings.checkpoint_interval_s)
        self.live = LiveSegment(ownership, self.checkpointer, settings, clock)
        self._settings = settings
        self._clock = clock
        self._deliver = deliver
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._reserve = Reserve(ownership.folder / "reserve", settings)
        self._reader = PartitionReader(root, ownership.partition)
        self._unique = Unique(
            RepeatIndex(age_us=int(settings.repeat_age_s * SECOND_US), count=settings.repeat_count), self._read_place
        )
        self._stopping = False
        self._thread = Thread(target=self._run, name=f"log-append-{ownership.partition}", daemon=True)

    def open(self, floors: Mapping[str, int]) -> None:
        """Recover what the last owner left, then accept requests. Blocks. `floors`: see `LiveSegment.open`."""
        self.live.open(floors)
        remember(self._unique, self.ownership.ledger, self._reader, self._clock.now_us())
        self._reserve.fill()
        self.checkpointer.start()
        self._thread.start()

    def put(self, request: Request) -> None:
        """Hand a request over. From any thread."""
        self._requests.put(request)

    def call(self, call: Callable[[], T]) -> T:
        """Do something in the writing thread, between two groups. Blocks; not from the writing thread itself."""
        answer: Future[T] = Future()
        self._requests.put(CallRequest(call, answer))
        return answer.result()

    def sound(self, sound: bytes) -> None:
        """Tell followers in other processes. From any thread, without waiting."""
        self._requests.put(CallRequest(lambda: self.bell.ring(sound), Future()))

    def roll(self) -> None:
        """Seal the live segment if there is anything in it. Blocks."""
        self.call(self.live.roll)

    def keep(self, kept: KeptRepeats, horizon_us: int) -> None:
        """Recognise the repeats of a segment that is about to go. Blocks."""
        self.call(lambda: self._unique.keep(kept, horizon_us))

    def close(self) -> None:
        """Make durable what was handed over, then stop. Blocks."""
        self._requests.put(None)
        self._thread.join()
        self.live.close()
        self.checkpointer.close()
        self._reader.close()
        self.bell.close()

    def _run(self) -> None:
        while not self._stopping:
            requests = self._take()
            writes = [request for request in requests if not isinstance(request, CallRequest)]
            if writes:
                self._write(writes)
            for request in requests:
                if isinstance(request, CallRequest):
                    _answer(request)

    def _take(self) -> list[Request]:
        """What has arrived, at least one, up to the bytes of a group."""
        requests: list[Request] = []
        size = 0
        request = self._requests.get()
        try:
            while request is not None:
                requests.append(request)
                if isinstance(request, AppendRequest):
                    size += len(request.batch.rows)
                    if size >= self._settings.group_bytes:
                        return requests
                request = self._requests.get_nowait()
            self._stopping = True
        except Empty:
            pass
        return requests

    def _write(self, requests: Sequence[Write]) -> None:
        size = sum(request.size_bytes for request in requests if isinstance(request, AppendRequest))
        refused: Answers = []
        if self._reserve.is_short():
            error = StorageFull(self._shortage(), free_bytes=self._reserve.free_bytes())
            refused = [(request.answer, error) for request in requests if not request.topic.startswith(CONTROL_PREFIX)]
            requests = [request for request in requests if request.topic.startswith(CONTROL_PREFIX)]
            if not requests:
                self._deliver(Flushed(refused, size_bytes=size))
                return
        flushed = self._flushed(requests)
        self._deliver(Flushed([*refused, *flushed.answers], flushed.stored, flushed.ends, size))
        if flushed.stored:
            self._ring()

    def _flushed(self, requests: Sequence[Write]) -> Flushed:
        if self._fenced is not None:
            return Flushed([(request.answer, self._fenced) for request in requests])
        try:
            answers, stored, drafts = self._prepared(requests)
        except Exception as failure:  # one request that cannot be stored must not take the others with it
            return self._one_by_one(requests, failure)
        try:
            self._flush(stored, drafts)
        except Exception as failure:  # whatever it was, nothing of the group may count, and the next group is tried
            return self._after_failure(requests, self._failed(failure))
        return Flushed(answers, stored, drafts)

    def _one_by_one(self, requests: Sequence[Write], failure: Exception) -> Flushed:
        if len(requests) == 1:
            error = failure if isinstance(failure, WeftError) else Malformed(f"this batch cannot be stored: {failure!r}")
            return Flushed([(requests[0].answer, error)])
        parts = [self._flushed([request]) for request in requests]
        return Flushed(
            [answer for part in parts for answer in part.answers],
            [item for part in parts for item in part.stored],
            {name: end for part in parts for name, end in part.ends.items()},
        )

    def _after_failure(self, requests: Sequence[Write], error: WeftError) -> Flushed:
        answers: Answers = [(request.answer, error) for request in requests]
        control = [request for request in requests if request.topic.startswith(CONTROL_PREFIX)]
        if not isinstance(error, StorageFull) or not control or len(control) == len(requests):
            return Flushed(answers)
        # The space that was set aside is free now: Weft's own rows are tried again without the events.
        again = self._flushed(control)
        answers = [(request.answer, error) for request in requests if request not in control]
        return Flushed([*answers, *again.answers], again.stored, again.ends)

    def _ring(self) -> None:
        try:
            self.bell.ring()
        except OSError as failure:
            logger.warning("log_followers_not_woken", reason=str(failure))

    def _prepared(self, requests: Sequence[Write]) -> tuple[Answers, list[Stored], dict[str, TopicEnd]]:
        """Frames and answers of a group; nothing has happened yet."""
        drafts: dict[str, TopicEnd] = {}

        def end_of(topic: str) -> TopicEnd:
            draft = drafts.get(topic)
            if draft is None:
                known = self.live.ends.get(topic)
                draft = known.copy() if known else TopicEnd(self._new_number(drafts))
                drafts[topic] = draft
            return draft

        group = Group(self.ownership.partition, end_of, self._compressor, self._settings.merge_bytes)
        self._unique.begin()
        answers: Answers = [(request.answer, self._add(group, request, end_of)) for request in requests]
        return answers, group.finish(), drafts

    def _flush(self, stored: Sequence[Stored], drafts: dict[str, TopicEnd]) -> None:
        began_s = self._clock.steady_s()
        self.live.write(stored, drafts)
        self.flushes_s.append(self._clock.steady_s() - began_s)
        self._unique.stored(stored, self._clock.now_us())
        self._failure = None

    def _add(self, group: Group, request: Write, end_of: Callable[[str], TopicEnd]) -> Appended | None:
        if isinstance(request, TickRequest):
            group.tick(request.topic, request.time_us)
            return None
        batch = request.batch
        repeats = self._unique.repeats(batch)
        if repeats:
            end_of(batch.topic).repeats_total += len(repeats)
            if len(repeats) == batch.count:
                return Appended(self.ownership.partition, None, "fsync", repeats)
            known = set(repeats)
            batch = batch.select([index for index in range(batch.count) if index not in known])
        return Appended(self.ownership.partition, group.add(batch), "fsync", repeats)

    def _new_number(self, drafts: dict[str, TopicEnd]) -> int:
        numbers = [end.number for end in (*self.live.ends.values(), *drafts.values())]
        return max(numbers, default=-1) + 1

    @property
    def refusal(self) -> str | None:
        """Why events are refused at the moment, in a sentence, or None."""
        return self._failure or (self._shortage() if self._reserve.is_short() else None)

    def _shortage(self) -> str:
        return (
            f"the disk of the log has {self._reserve.free_bytes() // 1024**2} MiB left, less than log.min_free_bytes "
            f"({self._settings.min_free_bytes // 1024**2} MiB); free some space"
        )

    def _failed(self, failure: Exception) -> WeftError:
        """Leave the segment for good and say what happened; nothing of the group may be readable later."""
        if isinstance(failure, Fenced):
            return self._stop(failure)
        self.live.leave()
        logger.error("log_flush_failed", partition=self.ownership.partition, reason=repr(failure))
        is_full = isinstance(failure, apsw.FullError)
        if is_full:
            self._reserve.release()
        try:
            self.live.begin()
        except Fenced as fenced:
            return self._stop(fenced)
        except (apsw.Error, OSError) as again:
            self._failure = f"the disk of the log failed ({failure}) and no new segment could be begun ({again})"
            return TimedOut(f"{self._failure}; whether these events were kept is unknown until the log is opened again")
        self._failure = f"the last flush failed: {failure}"
        if isinstance(failure, WeftError):
            return failure
        if is_full:
            return StorageFull(f"the disk of the log is full; these events were not kept ({failure})")
        return Unavailable(f"these events could not be made durable and were not kept ({failure})")

    def _stop(self, fenced: Fenced) -> Fenced:
        self._fenced = fenced
        self._failure = fenced.message
        self.live.close()
        return fenced

    def _read_place(self, place: Place) -> Sequence[LogBatch]:
        found: list[LogBatch] = []
        offset = place.first_offset
        try:
            while offset < place.next_offset:
                batches = self._reader.read(place.topic, offset, 1, place.next_offset)
                if not batches:
                    break
                found.extend(batches)
                offset = batches[-1].next_offset
        except Corrupt:
            logger.warning("log_repeat_not_compared", topic=place.topic, offset=offset)
        return found


def _answer(request: CallRequest) -> None:
    try:
        request.answer.set_result(request.call())
    except Exception as failure:  # the caller gets it; the writing thread goes on
        request.answer.set_exception(failure)
