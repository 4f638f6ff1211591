"""Numbers of log and store for Prometheus: looked up every few seconds, so that a scrape waits for nothing."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from weft.api.metrics import Metrics
from weft.core.errors import WeftError
from weft.log.port import Log, LogState
from weft.store.port import EventStore
from weft.store.query import StoreState

EVERY_S: Final = 5.0

Numbers = Iterable[tuple[tuple[str, ...], float]]


class Gauges:
    """A worker that keeps what `/metrics` shows of the log and, where this process owns it, of the store."""

    name = "gauges"

    def __init__(self, log: Log, store: EventStore | None, metrics: Metrics) -> None:
        self._log = log
        self._store = store
        self._log_state: LogState | None = None
        self._store_state: StoreState | None = None
        self._add_log(metrics)
        if store is not None:
            self._add_store(metrics)

    async def run(self, started: Callable[[], None]) -> None:
        """Look again and again until cancelled."""
        await self.look()
        started()
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Look once. What cannot be seen now keeps its last numbers; the verdict says why."""
        try:
            self._log_state = await self._log.state()
            if self._store is not None:
                self._store_state = await self._store.state()
        except WeftError:
            return

    def _add_log(self, metrics: Metrics) -> None:
        def depth() -> Numbers:
            for part in self._log_state.partitions if self._log_state else ():
                for group, offset in part.positions.items():
                    behind = part.end_offset - max(offset, part.start_offset)
                    yield (part.topic, str(part.partition), group), max(behind, 0)

        def appended() -> Numbers:
            for part in self._log_state.partitions if self._log_state else ():
                yield (part.topic, str(part.partition)), part.events_total

        def removed() -> Numbers:
            for part in self._log_state.partitions if self._log_state else ():
                yield (part.topic, str(part.partition)), part.events_trimmed + part.events_erased

        def size() -> Numbers:
            if self._log_state is not None:
                yield (), self._log_state.size_bytes

        metrics.add_gauge("queue_depth", "Offsets a group has still to read.", ("topic", "partition", "group"), depth)
        metrics.add_counter("log_events_total", "Events appended to the log.", ("topic", "partition"), appended)
        metrics.add_counter(
            "log_removed_events_total", "Events trimmed or erased from the log.", ("topic", "partition"), removed
        )
        metrics.add_gauge("log_size_bytes", "Bytes of the log on disk.", (), size)

    def _add_store(self, metrics: Metrics) -> None:
        def outcomes() -> Numbers:
            for count in self._store_state.topics if self._store_state else ():
                place = (count.topic, str(count.partition))
                yield (*place, "stored"), count.stored_total
                yield (*place, "repeat"), count.repeats_total
                yield (*place, "expired"), count.expired_total
                yield (*place, "erased"), count.erased_total
                yield (*place, "retired"), count.retired_total

        def number(read: Callable[[StoreState], int]) -> Callable[[], Numbers]:
            return lambda: [((), read(self._store_state))] if self._store_state is not None else []

        metrics.add_counter(
            "store_events_total", "Events by what the store did with them.", ("topic", "partition", "outcome"), outcomes
        )
        metrics.add_gauge("store_readable_events", "Events that questions can find.", (), number(lambda state: state.events))
        metrics.add_gauge("store_size_bytes", "Bytes of the store on disk.", (), number(lambda state: state.size_bytes))
        metrics.add_gauge("store_files", "Files of the store.", (), number(lambda state: state.files))
        metrics.add_gauge("store_tail_bytes", "Bytes not yet flushed to files.", (), number(lambda state: state.tail_bytes))
