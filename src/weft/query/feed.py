"""The live feed of a topic: one follower of the log per topic, any number of readers, nobody waits for anybody.

The newest batches are kept in memory once, ready to send. A reader holds no queue, only its offsets: it takes from there what
comes next, or, when it is further behind, from the log. So a slow reader costs one chunk of memory and delays itself alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from weft.core.clock import Clock
from weft.core.errors import Busy, Invalid, Unavailable
from weft.log.port import Log, PartitionState
from weft.query.piece import Pace, Piece
from weft.query.settings import QuerySettings
from weft.query.topic_feed import TopicFeed

_FIRST_RETRY_S: Final = 0.02
_LONGEST_RETRY_S: Final = 1.0


class Reader:
    """One reader of a topic: the next offset of each partition, and what comes there."""

    def __init__(self, feed: TopicFeed, positions: dict[int, int]) -> None:
        self.positions = positions
        self._feed = feed
        self._turn = 0

    async def next(self, wait_s: float) -> Sequence[Piece]:
        """The next pieces of one partition, [] after `wait_s` seconds of silence. Whoever has sent a piece calls `passed`.

        Raises Unavailable when the server stops, or what befell the log.
        """
        try:
            async with asyncio.timeout(wait_s):
                return await self._wait()
        except TimeoutError:
            return ()

    def passed(self, piece: Piece) -> None:
        """Note that a piece was sent."""
        self.positions[piece.partition] = piece.next_offset

    @property
    def forgotten(self) -> int:
        """How often what is kept in memory was dropped because something was erased."""
        return self._feed.forgotten

    async def after(self, partition: int, offset: int) -> Sequence[Piece]:
        """What comes in a partition from `offset` on, whatever this reader has read: up to a chunk, [] when nothing does."""
        return [piece for piece in await self._feed.after(partition, offset) if piece.next_offset > offset]

    async def begin(self, start: str | dict[int, int]) -> dict[int, int]:
        """The next offsets to read from a start on. Raises Invalid for an offset that is not there yet."""
        return _begin(await self._feed.partitions(), start)

    async def start_of(self, partition: int) -> int:
        """The oldest offset of a partition that the log still has."""
        return next((state.start_offset for state in await self._feed.partitions() if state.partition == partition), 0)

    async def _wait(self) -> Sequence[Piece]:
        patience_s = _FIRST_RETRY_S
        while True:
            changed = self._feed.changed
            if self._feed.ended is not None:
                raise self._feed.ended
            if pieces := await self._look():
                return pieces
            # What lies behind us in the log may not be readable yet: another process wrote it a moment ago.
            timeout_s = patience_s if self._feed.is_ahead_of(self.positions) else None
            patience_s = min(2 * patience_s, _LONGEST_RETRY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await changed.wait()

    async def _look(self) -> Sequence[Piece]:
        """Each partition has its turn, so that a busy one does not hide the others."""
        known = sorted(self._feed.kept.keys() | self.positions.keys())
        for step in range(len(known)):
            partition = known[(self._turn + step) % len(known)]
            offset = self.positions.setdefault(partition, 0)
            if pieces := await self._feed.after(partition, offset):
                self._turn = (known.index(partition) + 1) % len(known)
                return [piece.tail(offset) for piece in pieces if piece.next_offset > offset]
        return ()


class Feeds:
    """The worker that follows the log for every topic somebody reads live."""

    name = "live-feed"

    def __init__(self, log: Log, clock: Clock, settings: QuerySettings) -> None:
        self._log = log
        self._settings = settings
        self.pace = Pace(clock, settings.feed_max_share)
        self._feeds: dict[str, TopicFeed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._readers = 0

    @property
    def readers(self) -> int:
        """How many feeds are open."""
        return self._readers

    @property
    def size_bytes(self) -> int:
        """Bytes of batches kept in memory for all topics."""
        return sum(feed.size_bytes for feed in self._feeds.values())

    async def run(self, started: Callable[[], None]) -> None:
        """Let readers in until cancelled; then tell every reader that the feed ends, and from where to resume."""
        async with asyncio.TaskGroup() as group:
            try:
                self._group = group
                started()
                await asyncio.get_running_loop().create_future()
            finally:
                self.close()

    def close(self) -> None:
        """End every feed. Call it before a server waits for its connections to finish."""
        self._group = None
        for feed in self._feeds.values():
            feed.end(Unavailable("the server is stopping; resume from where this feed ends"))

    def forget(self) -> None:
        """Drop what is kept in memory of every topic, after an erasure."""
        for feed in self._feeds.values():
            feed.forget()

    @asynccontextmanager
    async def open(self, topic: str, start: str | dict[int, int]) -> AsyncGenerator[Reader]:
        """A reader of a topic from `latest`, `earliest`, or given next offsets on.

        Raises Busy when too many read already, Invalid for an offset that is not there yet, Unavailable when no feed runs.
        """
        feed = self._enter(topic)
        try:
            yield Reader(feed, _begin(await feed.partitions(), start))
        finally:
            self._leave(feed)

    def _enter(self, topic: str) -> TopicFeed:
        if self._group is None:
            raise Unavailable("the live feed does not run in this process", retry_after_s=5)
        if self._readers >= self._settings.feed_max_readers:
            raise Busy(f"{self._readers} feeds are open already; close one or try again later", retry_after_s=5)
        feed = self._feeds.get(topic)
        if feed is None or feed.ended is not None:
            feed = self._start(topic, self._group)
        feed.readers += 1
        self._readers += 1
        return feed

    def _start(self, topic: str, group: asyncio.TaskGroup) -> TopicFeed:
        if len(self._feeds) >= self._settings.feed_max_topics:
            for idle in [feed for feed in self._feeds.values() if feed.readers == 0]:
                self._stop(idle)
        if len(self._feeds) >= self._settings.feed_max_topics and topic not in self._feeds:
            raise Busy(f"{len(self._feeds)} topics are fed live already; try again later", retry_after_s=5)
        feed = self._feeds[topic] = TopicFeed(topic, self._log, self.pace, self._settings)
        self._tasks[topic] = group.create_task(feed.run(), name=f"{self.name}:{topic}")
        return feed

    def _leave(self, feed: TopicFeed) -> None:
        feed.readers -= 1
        self._readers -= 1
        if feed.readers == 0 and self._group is not None:
            asyncio.get_running_loop().call_later(self._settings.feed_linger_s, self._stop, feed)

    def _stop(self, feed: TopicFeed) -> None:
        """Let go of a feed nobody reads."""
        if feed.readers == 0 and self._feeds.get(feed.topic) is feed:
            del self._feeds[feed.topic]
            self._tasks.pop(feed.topic).cancel()


def _begin(partitions: Sequence[PartitionState], start: str | dict[int, int]) -> dict[int, int]:
    if start == "latest":
        return {state.partition: state.end_offset for state in partitions}
    if isinstance(start, str):
        return {state.partition: state.start_offset for state in partitions}
    ends = {state.partition: state.end_offset for state in partitions}
    for partition, offset in start.items():
        if offset > ends.get(partition, 0):
            raise Invalid(
                f"offset {offset} of partition {partition} does not exist yet; the log ends at {ends.get(partition, 0)}",
                field="from",
                partition=partition,
                end_offset=ends.get(partition, 0),
            )
    return {**dict.fromkeys(ends, 0), **start}
