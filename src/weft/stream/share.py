"""Share: one topic and its queries, computed by the one process that holds the lease.

The order of things is what makes a crash harmless. Results are appended before the state that has counted their events is
saved, together with the positions, in one transaction that checks the lease. So after a crash the same events come again, and
give the same results with the same ids. Where a decision was taken that the log does not hold (a query was added, a partition
counts no longer), it is saved before anything that follows from it is appended.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final

import structlog

from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.errors import Corrupt, Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.db.lease import Lease
from weft.log.port import Log, PartitionState
from weft.stream.catalogue import Catalogue
from weft.stream.lineup import Asked, Lineup
from weft.stream.publish import Answer, Publisher, answer_of, late_answers, pack, unpack
from weft.stream.runs import joined, runs
from weft.stream.settings import StreamSettings
from weft.stream.state import Offsets, StreamState, find_state, save_state
from weft.stream.tally import Tally

logger = structlog.get_logger(__name__)

GROUP: Final = "stream"
"""The log's name for whoever computes queries: what it has not committed is not trimmed."""
_QUIET_S: Final = 2.0
"""When nothing came for so long, there is nothing more to read again."""
_AT_ONCE: Final = 256
_AT_ONCE_BYTES: Final = 4 * 1024 * 1024
"""So much is taken in before what it answers is appended: one flush for all of it."""


class Share:
    """The work on one topic, from taking it over to losing it."""

    def __init__(
        self,
        topic: str,
        lease: Lease,
        *,
        log: Log,
        database: Database,
        catalogue: Catalogue,
        clock: Clock,
        settings: StreamSettings,
        tally: Tally,
    ) -> None:
        self.topic = topic
        self._lease = lease
        self._log = log
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._settings = settings
        self._tally = tally
        self._lineup = self._empty()
        self._publisher = Publisher(log, clock, {})
        self._log_identity = ""
        self._behind: Offsets = {}
        self._moved_s: dict[int, float] = {}
        self._holding: frozenset[int] = frozenset()
        self._is_saved = True
        self._is_told = True
        self._due_s = 0.0
        self._pause_s = settings.save_interval_s
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """The catalogue has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled, or until there is no query any more.

        Raises Conflict where the lease is lost, Unavailable where the log or the database is away.
        """
        await self._take_over()
        if self._lineup.runs:
            # Told may be more than is saved. A change is made only behind that, or two versions would answer one window.
            self._behind = {part.partition: part.end_offset for part in await self._parts()}
            self._changed.set()
        else:
            await self._align()
        self._moved_s = self._moved(await self._parts())
        await self._hold_open(self._alive())
        try:
            while self._lineup.runs:
                await self._follow()
        finally:
            if self._is_told:
                with suppress(WeftError):  # what is not saved now is computed again
                    await self._save()

    async def _take_over(self) -> None:
        """Go on from the saved state, and append first what it says must be appended."""
        self._log_identity = await self._log.identity()
        state = await find_state(self._database, self.topic)
        if state is None:
            return
        if state.log_identity != self._log_identity:
            logger.warning("stream_begins_anew", topic=self.topic, reason="the state was computed from another log")
            return
        self._publisher = Publisher(self._log, self._clock, state.published)
        if state.figures:
            try:
                await asyncio.to_thread(self._lineup.restore, state.snapshot, state.figures, await self._asked())
            except Corrupt as damage:
                logger.error("stream_begins_anew", topic=self.topic, reason=damage.message)  # noqa: TRY400 - no trace helps
                self._lineup = self._empty()
        await self._publisher.publish(unpack(state.outgoing))

    def _empty(self) -> Lineup:
        settings = self._settings
        return Lineup(self.topic, bound_us=settings.out_of_order_us(self.topic), limit_bytes=settings.state_limit_bytes)

    async def _asked(self) -> list[Asked]:
        stored, _ = await self._catalogue.list(topic=self.topic)
        return [Asked(one.query, one.version) for one in stored]

    async def _align(self) -> bool:
        """Run what the catalogue asks for; returns whether the topic has to be read from another place on.

        It is saved before anything else happens, so that it is the same after a crash.
        """
        self._changed.clear()
        asked = await self._asked()
        if self._lineup.runs_exactly(asked):
            return False
        parts = await self._parts()
        before = self._lineup.positions
        changed = self._lineup.align(
            asked,
            starts={part.partition: part.start_offset for part in parts},
            ends={part.partition: part.end_offset for part in parts},
            largest_us=max((part.max_time_us for part in parts if part.max_time_us is not None), default=None),
        )
        logger.info("stream_queries_changed", topic=self.topic, queries=changed)
        await self._save()
        return not self._lineup.runs or any(
            offset < before.get(partition, offset) for partition, offset in self._lineup.positions.items()
        )

    async def _parts(self) -> list[PartitionState]:
        return [part for part in (await self._log.state()).partitions if part.topic == self.topic]

    def _moved(self, parts: Sequence[PartitionState]) -> dict[int, float]:
        """When each partition moved last, as far as it can be told at the beginning."""
        appended = {part.partition: part.appended_at_us or 0 for part in parts}
        newest_us, now_s = max(appended.values(), default=0), self._clock.steady_s()
        return {partition: now_s - (newest_us - moved_us) / SECOND_US for partition, moved_us in appended.items()}

    async def _follow(self) -> None:
        """Take in what the log holds and what comes, until there is nothing to answer or to be read from another place."""
        async with aclosing(self._batches()) as batches:
            following = asyncio.ensure_future(anext(batches))
            changing = asyncio.ensure_future(self._changed.wait())
            try:
                while True:
                    if changing.done() and self._has_caught_up():
                        if await self._align():
                            return
                        changing = asyncio.ensure_future(self._changed.wait())
                    waiting = {following} if changing.done() else {following, changing}
                    done, _ = await asyncio.wait(waiting, timeout=self._patience_s(), return_when=asyncio.FIRST_COMPLETED)
                    if not done and self._behind:
                        self._behind = {}  # what is missing up to there was erased, or cannot be read
                    ready: list[LogBatch] = []
                    size_bytes = 0
                    while following.done() and size_bytes < _AT_ONCE_BYTES and len(ready) < _AT_ONCE:
                        ready.append(following.result())
                        size_bytes += ready[-1].size_bytes
                        following = asyncio.ensure_future(anext(batches))
                        await asyncio.sleep(0)  # what was read together with it is there after one turn of the loop
                    if ready:
                        await self._take(ready)
                    await self._save_in_time()
            finally:
                changing.cancel()
                following.cancel()
                await asyncio.gather(following, changing, return_exceptions=True)

    async def _batches(self) -> AsyncGenerator[LogBatch, None]:
        start = {TopicPartition(self.topic, partition): offset for partition, offset in self._lineup.positions.items()}
        async with aclosing(self._log.follow(GROUP, [self.topic], start=start)) as batches:
            async for batch in batches:
                yield batch

    def _has_caught_up(self) -> bool:
        """Whether everything is read again that may have been read before this process took over."""
        positions = self._lineup.positions
        self._behind = {partition: end for partition, end in self._behind.items() if positions.get(partition, 0) < end}
        return not self._behind

    def _patience_s(self) -> float | None:
        if self._behind:
            return _QUIET_S
        return None if self._is_saved else max(self._due_s - self._clock.steady_s(), 0.0)

    async def _take(self, batches: Sequence[LogBatch]) -> None:
        """Take in batches and tell what they answer."""
        now_s = self._clock.steady_s()
        self._moved_s.update((batch.partition, now_s) for batch in batches)
        if (alive := self._alive()) != self._holding:
            await self._hold_open(alive)
        self._is_told = False  # cancelled from here on, the state must not be saved: it has counted what nobody was told
        await self._publisher.publish(await asyncio.to_thread(self._compute, batches))
        self._is_told = True
        if self._is_saved:
            self._is_saved = False
            self._due_s = self._clock.steady_s() + self._pause_s

    def _compute(self, batches: Sequence[LogBatch]) -> list[Answer]:
        return [answer for run in runs(batches) for answer in self._answers(run)]

    def _answers(self, run: Sequence[LogBatch]) -> list[Answer]:
        """What batches answer that follow each other; where one of them cannot be read, each by itself."""
        batch = joined(run)
        try:
            outcome = self._lineup.take(batch)
        except Corrupt as damage:  # the store has set it aside as a dead letter
            if len(run) > 1:
                return [answer for one in run for answer in self._answers([one])]
            logger.warning("stream_batch_unreadable", topic=self.topic, reason=damage.message)
            self._tally.count_unreadable(self.topic, batch.count)
            return []
        self._tally.count(self.topic, batch.count, outcome)
        return [*map(answer_of, outcome.results), *late_answers(outcome.late, batch, self._lineup.bound_us)]

    def _alive(self) -> frozenset[int]:
        """The partitions that go on. One that stands still for long while another one goes on belongs to nobody any more."""
        newest_s = max(self._moved_s.values(), default=0.0)
        patience_s = self._settings.orphaned_partition_s
        return frozenset(partition for partition, moved_s in self._moved_s.items() if newest_s - moved_s < patience_s)

    async def _hold_open(self, partitions: frozenset[int]) -> None:
        """Let these partitions hold windows open. What follows from it is saved before it is told."""
        self._holding = partitions
        self._is_told = False
        outcome = await asyncio.to_thread(self._lineup.hold_open, sorted(partitions))
        answers = [answer_of(result) for result in outcome.results]
        if answers:
            self._tally.count(self.topic, 0, outcome)
            await self._save(answers)
            await self._publisher.publish(answers)
        self._is_told = True

    async def _save_in_time(self) -> None:
        if self._is_saved or self._clock.steady_s() < self._due_s:
            return
        try:
            await self._save()
        except Unavailable as away:
            self._due_s = self._clock.steady_s() + self._pause_s
            logger.warning("stream_not_saved", topic=self.topic, reason=away.message)

    async def _save(self, outgoing: Sequence[Answer] = ()) -> None:
        """Keep state and positions together, then tell the log what it may trim."""
        began_s = self._clock.steady_s()
        snapshot = await asyncio.to_thread(self._lineup.snapshot) if self._lineup.runs else b""
        state = StreamState(
            share=self.topic,
            log_identity=self._log_identity,
            positions=self._lineup.positions,
            snapshot=snapshot,
            published=self._publisher.published,
            outgoing=pack(outgoing),
            figures=self._lineup.figures,
            saved_at_us=self._clock.now_us(),
        )
        async with self._database.writing() as session:
            await self._lease.check(session)
            await save_state(session, state, epoch=self._lease.epoch or 0)
        self._is_saved = True
        took_s = self._clock.steady_s() - began_s
        self._pause_s = max(self._settings.save_interval_s, took_s / self._settings.save_max_share)
        self._tally.saved(self.topic, self._lineup.size_bytes, self._lineup.figures)
        await self._log.commit(
            GROUP, {TopicPartition(self.topic, partition): offset for partition, offset in state.positions.items()}
        )
