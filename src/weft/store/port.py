"""The port of the event store. Each promise here has a test in `weft.testing.store_suite`, run on every adapter."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal

from weft.core.batch import LogBatch
from weft.core.erasure import Erasure
from weft.core.errors import Conflict
from weft.core.event import Event
from weft.core.position import Positions, TopicPartition
from weft.store.query import Aggregate, Group, Page, Select, Series, SeriesColumns, StoreState, TopicCount, Trend, TrendRow


class EventStore(AbstractAsyncContextManager["EventStore"], ABC):
    """Stores events once each and answers questions about them. Opened and closed by `async with`.

    The log is the store's write-ahead log: what `flushed` does not name yet comes again from the log after a crash.
    """

    reach: Literal["process", "host", "network"]

    @abstractmethod
    async def bind(self, log_identity: str) -> None:
        """Say of which log the batches will be, before the first is written; the first time it is remembered for good.

        Raises Conflict where the positions are those of another log, whose offsets would be taken for stored ones.
        """

    @abstractmethod
    async def write(self, batches: Sequence[LogBatch]) -> None:
        """Take batches in log order per partition. When it returns they can be found by every question to this object.

        Idempotent: a batch below the position is ignored, an event whose (source, id) is stored in its topic already is
        counted as a repeat, also when it comes from another partition. Returns slowly rather than growing without bound
        (memory is bounded in bytes).
        Raises StorageFull or Unavailable when it cannot take more; the same batches may then be handed in again.
        """

    @abstractmethod
    async def flushed(self) -> Positions:
        """For each partition the offset below which everything survives a crash without the log. Commit these, no others."""

    @abstractmethod
    async def get(self, event_id: str, *, source: str | None = None) -> Event | None:
        """The event with this id (of this source), the newest where several sources used it; None where there is none."""

    @abstractmethod
    async def select(self, select: Select) -> Page:
        """One page of events. Raises Invalid for a cursor it did not make."""

    @abstractmethod
    async def aggregate(self, aggregate: Aggregate) -> Sequence[Group]:
        """One row per group, ordered by keys (None last). Raises Invalid for an unknown field or too many groups."""

    @abstractmethod
    async def trend(self, trend: Trend) -> Sequence[TrendRow]:
        """Counts per interval, in time order."""

    @abstractmethod
    async def series(self, series: Series) -> SeriesColumns:
        """One numeric field over time, in buckets. Raises Invalid when the filter's range is open."""

    @abstractmethod
    async def erase(self, erasure: Erasure) -> int:
        """Remove matching events for good, bytes included; returns how many. After it no question finds them, also
        after a crash."""

    @abstractmethod
    def replay(self, at: TopicPartition, offset: int = 0) -> AsyncGenerator[Sequence[Event], None]:
        """The stored events of one partition from `offset` on in the order of their offsets, some thousand at a time; ends
        with what was stored when it was asked. For whoever reads everything: nothing is decoded twice and memory stays flat."""

    @abstractmethod
    async def adopt(self, books: Sequence[TopicCount]) -> None:
        """Take over the books of a store whose events were written to this one, so that it can go on in its place.

        Raises Conflict where a partition here is further than there.
        """

    @abstractmethod
    async def state(self) -> StoreState:
        """The store at this moment."""


def check_binding(known: str, asked: str, store: str) -> None:
    """Raise Conflict where a store's positions are those of another log than the one asked for."""
    if known != asked:
        raise Conflict(
            f"the store at {store} was filled from another log ({known}) than the one configured ({asked}), so its positions "
            "would hide new events; go back to that log, or choose an empty store and carry the events over",
            store=store,
        )


def check_adoption(here: Positions, books: Sequence[TopicCount]) -> None:
    """Raise Conflict where a partition is further here than in the books to take over."""
    for count in books:
        position = here.get(TopicPartition(count.topic, count.partition), 0)
        if position > count.position:
            raise Conflict(
                f"this store has {count.topic}/{count.partition} up to offset {position}, the one it would take over from only "
                f"up to {count.position}; it is in use already, so nothing can be carried into it"
            )
