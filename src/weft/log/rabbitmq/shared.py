"""Shared: what this process knows of the whole log, whoever wrote it, and how it makes sure that it knows the newest."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from weft.core.errors import WeftError
from weft.core.position import Positions, TopicPartition
from weft.log.port import Damage
from weft.log.rabbitmq.broker import Link, Publisher
from weft.log.rabbitmq.connection import Connection
from weft.log.rabbitmq.entry import Entry, as_topic_ends
from weft.log.rabbitmq.identity import find_identity
from weft.log.rabbitmq.ledger import Ledger, Mark
from weft.log.rabbitmq.names import Names
from weft.log.rabbitmq.ownership import Owned
from weft.log.rabbitmq.retired import Start, find_starts
from weft.log.rabbitmq.settings import RabbitmqSettings
from weft.log.rabbitmq.tail import LedgerTail, Marks, Tail, comes_back, marker, write
from weft.log.settings import LogSettings
from weft.log.topic_end import TopicEnd

logger = structlog.get_logger(__name__)

_LEDGER_SEGMENT_BYTES: Final = 1_000_000
_LEDGER_BYTES: Final = 4_000_000


class Shared:
    """The ledger, and a tail for each partition that another process writes."""

    def __init__(
        self,
        names: Names,
        *,
        settings: LogSettings,
        publishing: Connection,
        consuming: Connection,
        own: Callable[[], Owned | None],
        heard: Callable[[int, int, Entry], None],
        changed: Callable[[], None],
    ) -> None:
        self.ledger = Ledger()
        self._names = names
        self._settings = settings
        self._rabbitmq: RabbitmqSettings = settings.rabbitmq
        self._publishing = publishing
        self._consuming = consuming
        self._own = own
        self._heard = heard
        self.wake = changed
        self._tails: dict[int, Tail] = {}
        self._listening: LedgerTail | None = None
        self._publisher: tuple[Link, Publisher] | None = None
        self._asked = 0
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Find the ledger, or begin one."""
        await self._publishing.link.declare_stream(
            self._names.ledger,
            {
                "x-max-length-bytes": _LEDGER_BYTES,
                "x-stream-max-segment-size-bytes": _LEDGER_SEGMENT_BYTES,
                "x-initial-cluster-size": self._rabbitmq.replicas,
            },
        )
        self._listening = LedgerTail(self.ledger, self._names.ledger, self._consuming, self._turned)
        await self.catch_up()

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.stop()
        for tail in self._tails.values():
            tail.stop()

    async def declare_partition(self, partition: int) -> None:
        """See that a partition has its stream. The broker retires what is too old or too much."""
        arguments: dict[str, str | int] = {"x-initial-cluster-size": self._rabbitmq.replicas}
        arguments["x-stream-max-segment-size-bytes"] = self._settings.segment_bytes
        if self._settings.retention_age_s is not None:
            arguments["x-max-age"] = f"{max(1, int(self._settings.retention_age_s))}s"
        if self._rabbitmq.max_stream_bytes is not None:
            arguments["x-max-length-bytes"] = self._rabbitmq.max_stream_bytes
        await self._publishing.link.declare_stream(self._names.partition(partition), arguments)

    async def catch_up(self) -> None:
        """Know everything that was acknowledged, anywhere, before this was called. Callers at the same time share the work."""
        asked = self._asked
        async with self._turn:
            if self._asked != asked:
                return  # another one began after this one was called
            self._asked += 1
            await self._catch_up()

    async def _catch_up(self) -> None:
        listening = self._listening
        if listening is None:
            return
        await self._round_trip(self._names.ledger, listening.marks, self.ledger.page)
        self._listen_to_writers()
        tails = list(self._tails.values())
        outcomes = await asyncio.gather(
            *(self._round_trip(tail.stream, tail.marks, marker) for tail in tails), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _live(self) -> dict[int, Mark]:
        """The partitions others may be writing to."""
        own = self._own()
        return {
            partition: mark
            for partition, mark in self.ledger.marks.items()
            if mark.ends is None and (own is None or own.partition != partition)
        }

    def _listen_to_writers(self) -> None:
        """A tail for each partition others may be writing to, and for no other."""
        live = self._live()
        for partition, mark in live.items():
            if partition not in self._tails:
                self._tails[partition] = Tail(
                    partition, self._names.partition(partition), mark.checkpoint, self._consuming, self._heard
                )
        for partition in self._tails.keys() - live.keys():
            self._tails.pop(partition).stop()

    def _turned(self) -> None:
        """A page of the ledger came."""
        self._listen_to_writers()
        self.wake()

    async def _round_trip(self, stream: str, marks: Marks, page: Callable[[str], bytes]) -> None:
        nonce, seen = marks.new()
        try:
            publisher = await self._ready()
            await write(publisher, stream, page(nonce), "looking at the log")
            await comes_back(seen, self._consuming.link, self._rabbitmq.timeout_s, stream)
        finally:
            marks.forget(nonce)

    async def _ready(self) -> Publisher:
        link = self._publishing.link
        if self._publisher is None or self._publisher[0] is not link:
            self._publisher = (link, await link.publisher())
        return self._publisher[1]

    async def identity(self) -> str:
        """The name of the log."""
        return await find_identity(
            self._consuming.link,
            await self._ready(),
            self._names.identity,
            replicas=self._rabbitmq.replicas,
            timeout_s=self._rabbitmq.timeout_s,
        )

    async def write_marker(self, partition: int, nonce: str) -> None:
        """Write a marker into a partition."""
        await write(await self._ready(), self._names.partition(partition), marker(nonce), "reading")

    async def publish(self) -> None:
        """Make durable what the ledger holds."""
        await write(await self._ready(), self._names.ledger, self.ledger.page(""), "writing the ledger")

    async def mark_of(self, partition: int) -> Mark | None:
        """The newest mark of a partition."""
        await self.catch_up()
        return self.ledger.marks.get(partition)

    async def publish_mark(self, partition: int, mark: Mark) -> None:
        """Tell everybody about a partition."""
        self.ledger.mark(partition, mark)
        await self.publish()

    async def commit(self, group: str, positions: Positions) -> None:
        """A group is further."""
        self.ledger.move(group, positions)
        await self.publish()

    async def note(self, damage: Damage) -> None:
        """A damaged range was met."""
        self.ledger.note(damage)
        try:
            await self.publish()
        except WeftError:
            return  # the next page carries it

    async def look_at_starts(self) -> int:
        """Learn what RabbitMQ has removed by itself; returns how many events that we did not know to be gone."""
        removed = 0
        link = self._consuming.link
        for partition in sorted(self.ledger.marks):
            stream = self._names.partition(partition)
            starts = await find_starts(link, stream, timeout_s=self._rabbitmq.timeout_s)
            for topic, start in starts.items():
                removed += self._began_later(TopicPartition(topic, partition), start)
        if removed:
            await self.publish()
        return removed

    def _began_later(self, at: TopicPartition, start: Start) -> int:
        before = self.ledger.starts.get(at, (0, 0))
        if start <= before:
            return 0
        self.ledger.start(at, start)
        for group, positions in self.ledger.positions.items():
            position = positions.get(at)
            if position is not None and position < start.offset:
                reason = f"RabbitMQ removed them by age or size before the group '{group}' had read them"
                self.ledger.note(Damage(at.topic, at.partition, position, start.offset, reason))
                logger.error("rabbitmq_removed_unread", group=group, topic=at.topic, partition=at.partition)
        return start.events_before - before[1]

    def ends(self) -> Mapping[TopicPartition, TopicEnd]:
        """Where every topic of every partition stands, as far as is known here."""
        own = self._own()
        found: dict[TopicPartition, TopicEnd] = {}
        for partition, mark in self.ledger.marks.items():
            ends: Mapping[str, TopicEnd] | None
            if own is not None and own.partition == partition:
                ends = own.ends
            elif mark.ends is not None:
                ends = as_topic_ends(mark.ends)
            else:
                tail = self._tails.get(partition)
                ends = tail.cursor.ends if tail is not None else None
            found.update({TopicPartition(topic, partition): end for topic, end in (ends or {}).items()})
        return found

    def tail_position(self, partition: int) -> int:
        """A position of a partition's stream that lies behind everything known here, or at least not far before it."""
        own = self._own()
        if own is not None and own.partition == partition:
            return own.position
        tail = self._tails.get(partition)
        mark = self.ledger.marks.get(partition)
        return max(tail.cursor.position if tail is not None else 0, mark.checkpoint + 1 if mark is not None else 0)

    @property
    def size_bytes(self) -> int:
        """About what was written to all partitions."""
        own = self._own()
        sizes = {partition: mark.size_bytes for partition, mark in self.ledger.marks.items()}
        sizes |= {partition: tail.cursor.size_bytes for partition, tail in self._tails.items()}
        if own is not None:
            sizes[own.partition] = own.size_bytes
        return sum(sizes.values())
