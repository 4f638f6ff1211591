"""Follow: the endless reading of a group, in a thread of its own that hands whole batches over, bounded in bytes."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future
from math import inf
from typing import Final

import structlog

from weft.core.batch import LogBatch
from weft.core.errors import Unavailable
from weft.core.position import Positions, TopicPartition
from weft.log.kafka.assemble import Assembler
from weft.log.kafka.client import (
    END_REACHED,
    NO_SUCH_PLACE,
    OFFSET_BEGINNING,
    Client,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
)
from weft.log.kafka.client import TopicPartition as KafkaPartition
from weft.log.kafka.topics import Topics

logger = structlog.get_logger(__name__)

EVERYTHING: Final = "*"
_POLL_S: Final = 0.1
_AT_ONCE: Final = 1000
_EXPECTED: Final = NO_SUCH_PLACE | {END_REACHED}
"""A topic that is followed may come later."""


class Follower:
    """One reading of some topics: as a member of a group that shares them, or alone from given positions on."""

    def __init__(self, client: Client, topics: Topics, group: str, wanted: Sequence[str], start: Positions | None) -> None:
        self.group = group
        self._client = client
        self._settings = client.address.settings
        self._topics = topics
        self._wanted = frozenset(wanted)
        self._start = start
        self._assemblers: dict[TopicPartition, Assembler] = {}
        self._assigned: set[TopicPartition] = set()
        self._ready: deque[LogBatch] = deque()
        self.ready_bytes = 0
        """What waits to be taken."""
        self.is_paused = False
        """Whether so much waits that nothing more is fetched."""
        self._lock = threading.Lock()
        self._is_member_yet = True
        self._commits: deque[tuple[list[KafkaPartition], Future[list[KafkaPartition]]]] = deque()
        self._committing: deque[Future[list[KafkaPartition]]] = deque()
        self._is_stopping = False
        self._failure: Unavailable | None = None
        # The client itself looks for new topics of a member.
        self._discover_at_s = inf if start is None else 0.0
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"kafka-follow-{group}", daemon=True)

    @property
    def is_member(self) -> bool:
        """Whether it shares the group's partitions with others."""
        return self._start is None

    def commit(self, offsets: list[KafkaPartition]) -> "Future[list[KafkaPartition]] | None":
        """Commit as a member; None where it is none (any more). The answer may raise KafkaException. For any thread."""
        answer: Future[list[KafkaPartition]] = Future()
        with self._lock:
            if not self.is_member or not self._is_member_yet:
                return None
            self._commits.append((offsets, answer))
        return answer

    async def batches(self) -> AsyncGenerator[LogBatch, None]:
        """Batches as they come, until stopped."""
        self._thread.start()
        try:
            while True:
                self._woken.clear()
                while (batch := self._take()) is not None:
                    yield batch
                if self._failure is not None:
                    raise self._failure
                if self._is_stopping:
                    return
                await self._woken.wait()
        finally:
            self._is_stopping = True
            await asyncio.shield(asyncio.to_thread(self._thread.join))

    def stop(self) -> None:
        """End soon; for the loop's thread."""
        self._is_stopping = True
        self._woken.set()

    def discover(self) -> None:
        """There is a new topic: look for it now."""
        self._discover_at_s = 0.0

    def _take(self) -> LogBatch | None:
        with self._lock:
            if self._is_stopping or not self._ready:
                return None
            batch = self._ready.popleft()
            self.ready_bytes -= batch.size_bytes
            return batch

    # The following thread

    def _run(self) -> None:
        try:
            group = self._kafka_group if self.is_member else None
            consumer = self._client.consumer(_ignore, group=group, on_commit=self._committed)
            try:
                self._begin(consumer)
                self._follow(consumer)
            finally:
                self._end_commits()
                consumer.close()
        except KafkaException as failure:
            self._failure = self._client.unavailable(failure)
        except Exception as failure:  # who waits must hear of it, whatever it was
            logger.exception("log_follow_failed", group=self.group)
            self._failure = Unavailable(f"following failed: {failure}")
        finally:
            self._wake()

    @property
    def _kafka_group(self) -> str:
        return self._settings.prefix + self.group

    def _begin(self, consumer: Consumer) -> None:
        if self.is_member:
            names = [self._topics.kafka_name(topic) for topic in self._wanted if topic != EVERYTHING]
            if EVERYTHING in self._wanted:
                names = [self._topics.pattern]
            consumer.subscribe(names, on_revoke=self._revoked, on_lost=self._revoked)

    def _follow(self, consumer: Consumer) -> None:
        while not self._is_stopping:
            if time.monotonic() >= self._discover_at_s:
                self._discover(consumer)
            is_full = self.ready_bytes >= self._settings.follow_bytes
            if is_full != self.is_paused:
                (consumer.pause if is_full else consumer.resume)(consumer.assignment())
                self.is_paused = is_full
            self._commit(consumer)
            message = consumer.poll(_POLL_S)
            messages = [] if message is None else [message, *consumer.consume(_AT_ONCE, 0)]
            self._hand_over(self._assemble(messages) if messages else self._rest())

    def _commit(self, consumer: Consumer) -> None:
        """Hand on what others want committed. Never waited for here: during a rebalance the answer needs polling."""
        while self._commits:
            with self._lock:
                offsets, answer = self._commits.popleft()
            try:
                consumer.commit(offsets=offsets, asynchronous=True)
            except KafkaException as failure:
                answer.set_exception(failure)
            else:
                self._committing.append(answer)

    def _committed(self, error: KafkaError | None, partitions: list[KafkaPartition]) -> None:
        answer = self._committing.popleft()
        if error is not None:
            answer.set_exception(KafkaException(error))
        else:
            answer.set_result(partitions)

    def _end_commits(self) -> None:
        """Whoever still waits tries again without a member."""
        with self._lock:
            self._is_member_yet = False
            waiting = [*self._committing, *(answer for _, answer in self._commits)]
            self._committing.clear()
            self._commits.clear()
        for answer in waiting:
            answer.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID)))

    def _discover(self, consumer: Consumer) -> None:
        """Look for topics and partitions that were not there before."""
        self._discover_at_s = inf if self.is_member else time.monotonic() + self._settings.discover_interval_s
        try:
            if self.is_member:
                consumer.list_topics(timeout=self._settings.request_timeout_s)  # what it finds it subscribes to by itself
            else:
                self._assign(consumer, self._topics.partitions())
        except KafkaException as failure:
            logger.warning("log_discovery_failed", reason=str(failure))

    def _assign(self, consumer: Consumer, there: Sequence[TopicPartition]) -> None:
        """Begin with what is new."""
        new = {at for at in there if at not in self._assigned and (EVERYTHING in self._wanted or at.topic in self._wanted)}
        if new:
            start = self._start or {}
            consumer.incremental_assign(
                [KafkaPartition(self._topics.kafka_name(at.topic), at.partition, start.get(at, OFFSET_BEGINNING)) for at in new]
            )
            self._assigned |= new

    def _assemble(self, messages: Sequence[Message]) -> list[LogBatch]:
        runs: dict[tuple[str | None, int | None], list[Message]] = {}
        for message in messages:
            error = message.error()
            if error is None:
                runs.setdefault((message.topic(), message.partition()), []).append(message)
            elif error.fatal():
                raise KafkaException(error)
            elif error.code() not in _EXPECTED:
                logger.warning("log_follow_delayed", group=self.group, reason=error.str())
        found: list[LogBatch] = []
        for (name, number), run in runs.items():
            topic = self._topics.our_name(name or "")
            if topic is not None:
                found += self._assembler(TopicPartition(topic, number or 0)).add(run)
        return found

    def _assembler(self, at: TopicPartition) -> Assembler:
        assembler = self._assemblers.get(at)
        if assembler is None:
            assembler = self._assemblers[at] = Assembler(at.topic, at.partition)
        return assembler

    def _rest(self) -> list[LogBatch]:
        """Nothing came for a while: what is there is given though it may be a part."""
        return [batch for assembler in self._assemblers.values() for batch in assembler.rest()]

    def _hand_over(self, batches: Sequence[LogBatch]) -> None:
        if batches:
            with self._lock:
                self._ready.extend(batches)
                self.ready_bytes += sum(batch.size_bytes for batch in batches)
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _revoked(self, _: Consumer, partitions: Sequence[KafkaPartition]) -> None:
        """Others go on with these partitions: what waits of them is theirs."""
        gone = {
            TopicPartition(topic, partition.partition)
            for partition in partitions
            if (topic := self._topics.our_name(partition.topic)) is not None
        }
        for at in gone:
            self._assemblers.pop(at, None)
        with self._lock:
            self._ready = deque(batch for batch in self._ready if TopicPartition(batch.topic, batch.partition) not in gone)
            self.ready_bytes = sum(batch.size_bytes for batch in self._ready)


def _ignore(_: KafkaError) -> None:
    """What goes wrong shows in the messages; the client tries again by itself."""
