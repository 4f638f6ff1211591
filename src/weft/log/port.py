"""The port of the durable log. Each promise here has a test in `weft.testing.log_suite`, run on every adapter.

Order: offsets of one (topic, partition) are consecutive and follow the order of appends.
Durability: see `append`. Delivery: at least once per group; what a group did not commit comes again after a crash.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from weft.core.batch import Batch, LogBatch
from weft.core.erasure import Erasure
from weft.core.errors import Unavailable
from weft.core.position import Positions, TopicPartition


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a batch went, and which durability it has: `fsync` or `replicated`, then by how many replicas in sync.

    `repeats` are the indices of events that were already in the log inside the horizon; they were not stored again and
    their answer is the same as the first time. `first_offset` is None when every event was a repeat.
    """

    partition: int
    first_offset: int | None
    durability: Literal["fsync", "replicated"]
    repeats: Sequence[int] = ()
    in_sync_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition as it stands: offsets [start, end) are readable.

    `events_total` counts every event ever appended (ticks not), `events_trimmed` and `events_erased` those that are gone;
    `events_total - events_trimmed - events_erased` are readable. `max_time_us` is what the watermark is made of.
    `appended_at_us` is when the newest event was received. `positions` are the groups' committed offsets.
    """

    topic: str
    partition: int
    start_offset: int
    end_offset: int
    events_total: int
    events_trimmed: int
    events_erased: int
    repeats_total: int
    max_time_us: int | None
    appended_at_us: int | None
    positions: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of offsets that failed its check and is set aside, never skipped in silence."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class LogState:
    """The whole log at one moment, without waiting for anything."""

    partitions: Sequence[PartitionState]
    size_bytes: int
    damages: Sequence[Damage] = ()
    writable: bool = True
    refusal: str | None = None
    """Why appends are refused at the moment, in a sentence, or None."""
    is_current: bool = True
    """False where the log is away, and this is what was known of it last."""
    flush_p50_s: float | None = None
    flush_p99_s: float | None = None

    def require_current(self) -> "LogState":
        """Itself. Raises Unavailable where the log is away: nothing can be weighed against what it held before."""
        if not self.is_current:
            raise Unavailable(f"what the log holds is not known at the moment: {self.refusal}")
        return self


@dataclass(frozen=True, slots=True)
class Retention:
    """What may be trimmed: events older than `max_age_s`, and the oldest beyond `max_bytes`. None means no such limit."""

    max_age_s: float | None = None
    max_bytes: int | None = None


class Log(AbstractAsyncContextManager["Log"], ABC):
    """A durable, ordered, replayable log. Opened and closed by `async with`; closing drains what was accepted."""

    reach: Literal["process", "host", "network"]
    """From how far away other processes can use the same log; start-up refuses a plan this does not allow."""
    appends_alone: ClassVar[bool] = False
    """Whether each partition has one process that appends to it, so that at most `log.partitions` of them can append."""

    @abstractmethod
    async def identity(self) -> str:
        """A name this log has had since it was made and no other log has. Whoever keeps positions keeps it beside them:
        offsets of one log mean nothing in another. Raises Unavailable."""

    @abstractmethod
    async def append(self, batch: Batch) -> Appended:
        """Append events and return once they are durable; never before.

        All or nothing: after an error nothing of the batch is readable, now or after a restart, except after TimedOut, where it
        is unknown; appending the same events with their ids again is then safe. Events of one caller keep their order.
        Raises Busy when the queue (bounded in bytes) is full, StorageFull when the disk is, Unavailable when the log cannot
        make anything durable, Conflict when opened without the right to append.
        """

    @abstractmethod
    async def tick(self, topic: str, time_us: int) -> None:
        """Append a tick to this process's partitions of a topic: event time has come at least this far though nothing
        happened. Nothing is appended where time is that far already or the topic has no partition here."""

    @abstractmethod
    async def read(self, at: TopicPartition, offset: int, *, max_bytes: int = 4 * 1024 * 1024) -> Sequence[LogBatch]:
        """Batches from `offset` on, in order, at least one if there is any, then up to about `max_bytes`; [] at the end.

        An offset inside a batch gives that whole batch. An offset below the start gives the first readable batch.
        Raises Corrupt, naming the offsets, at a damaged range; reading on from `details["next_offset"]` works.
        """

    @abstractmethod
    def follow(self, group: str, topics: Sequence[str], *, start: Positions | None = None) -> AsyncGenerator[LogBatch, None]:
        """Endless: batches of the topics from the group's positions on (or `start`), then new ones as they are appended.

        `topics` may hold `*` for all, topics that come later included. A new group begins at the oldest readable offset.
        Where `reach` is `network`, all who follow with one group and no `start`, in whatever process, share its partitions:
        each event goes to one of them, and to another where that one went away before it committed. Who gives `start` reads
        alone and gets everything from there on (from the oldest readable offset where a partition is not named).
        Woken by appends of this or another process, without polling. Nothing is committed by reading. Damaged ranges are
        stepped over after they stand in `state().damages`. Closing the iterator (`aclose`) frees what it holds.
        """

    @abstractmethod
    async def commit(self, group: str, positions: Positions) -> None:
        """Record durably that a group is done with everything below the positions. Never moves a position back."""

    @abstractmethod
    async def trim(self, retention: Retention) -> int:
        """Remove whole segments that the retention allows and every group has consumed; returns events removed.

        A group that never committed on a topic does not hold it. What no group consumes is kept until its age is reached.
        """

    @abstractmethod
    async def erase(self, erasure: Erasure) -> int:
        """Remove matching events from retained batches for good, bytes included; offsets of the others do not change.

        Returns events erased. Their offsets stay empty: later reads give the runs of events between the gaps as batches
        of their own.
        """

    @abstractmethod
    async def state(self) -> LogState:
        """The whole log at this moment."""
