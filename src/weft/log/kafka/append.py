"""Append: two threads between the log and Kafka. One sends, the other hears what became of it."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from weft.core.batch import Batch
from weft.core.clock import Clock
from weft.core.errors import Malformed, TimedOut, TooLarge, Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.core.watermark import max_time_us
from weft.log.kafka.client import Client, KafkaError, KafkaException, Message, Producer
from weft.log.kafka.marks import Mark, Marks
from weft.log.kafka.message import Messages, Stamp, stamp_ids, tick_headers, to_messages
from weft.log.kafka.slot import Slot
from weft.log.kafka.topics import Topics
from weft.log.port import Appended

logger = structlog.get_logger(__name__)

_POLL_S: Final = 0.1
_PROBE_TIMEOUT_S: Final = 1.0
_RETRY_AFTER_S: Final = 2
_RELOAD_EVERY_S: Final = 1.0
_MESSAGE_BYTES: Final = 400
"""About what key and headers of a message take on their way."""

_NOWHERE: Final = TopicPartition("", 0)
_NOTHING_STORED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the client's own name for it
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - the client's own name for it
    }
)
"""Refusals after which certainly nothing is in Kafka."""

_ALL_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the client's own name for it
_FATAL: Final = KafkaError._FATAL  # noqa: SLF001 - the client's own name for it


@dataclass(slots=True, eq=False)
class AppendRequest:
    """One append on its way: what is asked, and what Kafka said so far."""

    batch: Batch
    answer: "asyncio.Future[Appended]"
    size_bytes: int
    traceparent: str | None = None
    at: TopicPartition = _NOWHERE
    mark: Mark | None = None
    expected: int = 0
    heard: int = 0
    stored: int = 0
    first_offset: int | None = None
    last_offset: int = -1
    error: KafkaError | None = None
    sent_s: float = 0.0
    outcome: "Appended | WeftError | None" = None


@dataclass(slots=True, eq=False)
class TickRequest:
    """One tick on its way to those of some partitions whose time is not that far."""

    topic: str
    time_us: int
    answer: "asyncio.Future[None]"
    others: Sequence[tuple[TopicPartition, Mark]] = ()
    expected: int = 0
    heard: int = 0
    outcome: WeftError | None = None


@dataclass(slots=True)
class End:
    """Where a partition stands as far as this process knows."""

    max_time_us: int | None
    ticks: int
    next_offset: int | None = None
    is_stale: bool = False
    loaded_s: float = 0.0


class Appender:
    """Sends appends in the order they came, to one partition of each topic."""

    def __init__(
        self,
        client: Client,
        topics: Topics,
        marks: Marks,
        *,
        clock: Clock,
        deliver: Callable[[Sequence[AppendRequest | TickRequest]], None],
    ) -> None:
        self._client = client
        self._settings = client.address.settings
        self._topics = topics
        self._marks = marks
        self._clock = clock
        self._deliver = deliver
        self._waiting: deque[AppendRequest | TickRequest] = deque()
        self._changed = threading.Condition()
        self._finishing: list[AppendRequest | TickRequest] = []
        self._is_closing = False
        self._is_drained = False
        self._slot = Slot(f"{client.address.bootstrap}/{self._settings.prefix}")
        self._ends: dict[TopicPartition, End] = {}
        self._away: str | None = None
        self._doubt: str | None = None
        self._probe_at_s = 0.0
        self._is_broken = False
        self._last_offsets: dict[TopicPartition, int] = {}
        self.flushes_s: deque[float] = deque(maxlen=1000)
        self._producer = self._new_producer()
        self._sender = threading.Thread(target=self._send_all, name="kafka-send", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="kafka-listen", daemon=True)

    def _new_producer(self) -> Producer:
        return self._client.producer(self._on_error)

    @property
    def refusal(self) -> str | None:
        """Why appends are refused at the moment, or None."""
        return self._away

    def start(self) -> None:
        """Begin to work."""
        self._sender.start()
        self._listener.start()

    def close(self) -> None:
        """Send what was accepted, wait for its answers, end. Blocks."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._sender.join()
        self._producer.flush(self._settings.delivery_timeout_s + 1)
        self._is_drained = True
        self._listener.join()
        self._hand_over()
        self._slot.release()

    def put(self, request: AppendRequest | TickRequest) -> None:
        """Have something sent."""
        with self._changed:
            self._waiting.append(request)
            self._changed.notify_all()

    # The sending thread

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    return
                request = self._waiting.popleft()
            self._mend()
            try:
                self._send(request)
            except KafkaException as failure:
                self._finish(request, self._no_question(failure))
            except WeftError as failure:
                self._finish(request, failure)
            except Exception as failure:  # whatever it was, nobody may wait for ever
                logger.exception("log_append_failed")
                self._finish(request, Unavailable(f"the append failed: {failure}"))

    def _no_question(self, failure: KafkaException) -> Unavailable:
        """Nothing was sent, because what has to be known first could not be asked."""
        unavailable = self._client.unavailable(failure)
        self._doubt, self._probe_at_s = unavailable.message, 0.0
        return unavailable

    def _mend(self) -> None:
        """A producer that said it cannot go on is replaced, once everything it had was answered."""
        if self._is_broken:
            old, self._is_broken = self._producer, False
            old.flush(self._settings.delivery_timeout_s + 1)
            self._producer = self._new_producer()
            self._ends.clear()
            self._last_offsets.clear()

    def _send(self, request: AppendRequest | TickRequest) -> None:
        if self._away is not None:
            raise Unavailable(self._away, retry_after_s=_RETRY_AFTER_S)
        if isinstance(request, TickRequest):
            self._send_ticks(request)
            return
        batch = request.batch
        at = request.at = self._place(batch.topic)
        end = self._end(at)
        newest = max_time_us(batch.times_us, batch.received_at_us)
        stamp = Stamp(
            count=batch.count,
            max_before_us=end.max_time_us,
            max_after_us=_largest(end.max_time_us, newest),
            ticks=end.ticks,
            received_at_us=batch.received_at_us,
            ids=stamp_ids(batch),
        )
        try:
            messages = to_messages(batch, stamp, request.traceparent)
        except (msgspec.MsgspecError, UnicodeError) as unreadable:
            raise Malformed(f"the events cannot be read: {unreadable}") from unreadable
        self._check_sizes(messages)
        size = len(messages.values[-1]) + _MESSAGE_BYTES
        request.mark = Mark(end.ticks, end.ticks, stamp.max_after_us, batch.received_at_us, size)
        self._produce(request, messages)
        end.max_time_us = stamp.max_after_us
        end.next_offset = None if end.next_offset is None else end.next_offset + batch.count

    def _check_sizes(self, messages: Messages) -> None:
        limit = self._settings.max_message_bytes
        largest = max(map(len, messages.values))
        if largest > limit:
            raise TooLarge(
                f"an event of {largest} bytes is larger than log.kafka.max_message_bytes ({limit} bytes)",
                limit=limit,
                unit="bytes",
            )

    def _produce(self, request: AppendRequest, messages: Messages) -> None:
        produce, heard = self._producer.produce, self._hearer(request)
        name, number = self._topics.kafka_name(request.at.topic), request.at.partition
        timestamp_ms = request.batch.received_at_us // 1000
        request.expected = len(messages.values)
        request.sent_s = self._clock.steady_s()
        sent = 0
        try:
            for key, value, headers in zip(messages.keys, messages.values, messages.headers, strict=True):
                produce(name, value, key, number, on_delivery=heard, timestamp=timestamp_ms, headers=headers)
                sent += 1
        except (KafkaException, BufferError):
            if not sent:
                raise
            self._cut(request, sent)

    def _cut(self, request: AppendRequest, sent: int) -> None:
        """Only a part could be handed to Kafka's client: what becomes of it decides nothing any more."""
        with self._changed:
            request.error = KafkaError(KafkaError._FAIL)  # noqa: SLF001 - the client's own name for it
            request.expected = sent
            is_done = request.heard >= sent
        if is_done:
            self._conclude(request)

    def _hearer(self, request: AppendRequest) -> Callable[[KafkaError | None, Message], None]:
        def heard(error: KafkaError | None, message: Message) -> None:
            if error is None:
                offset = message.offset() or 0
                if request.first_offset is None:
                    request.first_offset = offset
                request.last_offset = offset
                request.stored += 1
            else:
                request.error = error
            request.heard += 1
            if request.heard == request.expected:
                self._conclude(request)

        return heard

    def _place(self, topic: str) -> TopicPartition:
        """The partition of a topic this process appends to; the topic is made where it is not there."""
        count = self._topics.count_partitions(topic)
        chosen = self._settings.append_partition
        return TopicPartition(topic, self._slot.partition(topic, count) if chosen is None else chosen % count)

    def _end(self, at: TopicPartition) -> End:
        end = self._ends.get(at)
        now_s = time.monotonic()
        if end is None or (end.is_stale and now_s - end.loaded_s >= _RELOAD_EVERY_S):
            end = self._ends[at] = self._load(at)
            end.loaded_s = now_s
        return end

    def _load(self, at: TopicPartition) -> End:
        """What the last message of a partition says of it."""
        start, next_offset = self._marks.range(at)
        if next_offset == start:
            return End(None, 0, next_offset)
        mark = self._marks.find([(at, next_offset - 1)]).get((at, next_offset - 1))
        return End(None, 0, next_offset) if mark is None else End(mark.max_time_us, mark.ticks_after, next_offset)

    def _send_ticks(self, request: TickRequest) -> None:
        behind: list[tuple[TopicPartition, End]] = []
        if self._topics.look(request.topic) is not None:
            own = self._place(request.topic)
            ends = {at: End(mark.max_time_us, mark.ticks_after) for at, mark in request.others} | {own: self._end(own)}
            behind = [
                (at, end) for at, end in ends.items() if end.max_time_us is not None and end.max_time_us < request.time_us
            ]
        request.expected = len(behind)
        if not behind:
            self._finish(request, None)
        for at, end in behind:
            self._tick(request, at, end)

    def _tick(self, request: TickRequest, at: TopicPartition, end: End) -> None:
        time_us, now_us = request.time_us, self._clock.now_us()
        stamp = Stamp(count=0, max_before_us=end.max_time_us, max_after_us=time_us, ticks=end.ticks, received_at_us=now_us)

        def heard(error: KafkaError | None, message: Message) -> None:
            offset = message.offset() or 0
            self._last_offsets[at] = offset
            if error is None:
                self._marks.remember(at, offset, Mark(stamp.ticks, stamp.ticks + 1, time_us, now_us, _MESSAGE_BYTES))
            else:
                self._forget(at)
                request.outcome = Unavailable(f"{self._client.address} did not take a tick: {error.str()}")
            request.heard += 1
            if request.heard == request.expected:
                self._finish(request, request.outcome)

        name, headers = self._topics.kafka_name(at.topic), tick_headers(stamp, time_us)
        self._producer.produce(
            name, None, None, at.partition, on_delivery=heard, timestamp=now_us // 1000, headers=list(headers)
        )
        end.max_time_us = time_us
        end.ticks += 1
        end.next_offset = None if end.next_offset is None else end.next_offset + 1

    # What became of it

    def _conclude(self, request: AppendRequest) -> None:
        """Every message of an append was heard of."""
        count = request.expected
        if request.error is not None:
            self._finish(request, self._failure(request, request.error))
            return
        first = request.first_offset or 0
        if request.last_offset - first != count - 1 or self._skipped(request):
            self._forget(request.at)
        if request.mark is not None:
            self._marks.remember(request.at, request.last_offset, request.mark)
        self.flushes_s.append(self._clock.steady_s() - request.sent_s)
        self._finish(
            request, Appended(request.at.partition, first, "replicated", in_sync_replicas=self._topics.in_sync(request.at))
        )

    def _skipped(self, request: AppendRequest) -> bool:
        """Whether somebody else appended to the partition since the last time."""
        known, self._last_offsets[request.at] = self._last_offsets.get(request.at), request.last_offset
        return known is not None and request.first_offset != known + 1

    def _failure(self, request: AppendRequest, error: KafkaError) -> WeftError:
        self._forget(request.at)
        address = self._client.address
        if request.stored == 0 and error.code() in _NOTHING_STORED:
            self._topics.forget(request.at.topic)
            return Unavailable(f"{address} refused the events: {error.str()}", retry_after_s=_RETRY_AFTER_S)
        self._mark_away(f"{address} does not acknowledge events: {error.str()}")
        return TimedOut(
            f"{address} did not acknowledge the events in {self._settings.delivery_timeout_s:g} s; whether they are stored is "
            "unknown, sending them again with their ids is safe",
            retry_after_s=_RETRY_AFTER_S,
        )

    def _forget(self, at: TopicPartition) -> None:
        end = self._ends.get(at)
        if end is not None:
            end.is_stale = True

    def _finish(self, request: AppendRequest | TickRequest, outcome: "Appended | WeftError | None") -> None:
        if isinstance(request, AppendRequest) or not isinstance(outcome, Appended):
            request.outcome = outcome
        with self._changed:
            self._finishing.append(request)
        if threading.current_thread() is not self._listener:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._changed:
            finished, self._finishing = self._finishing, []
        if finished:
            self._deliver(finished)

    # The listening thread

    def _listen(self) -> None:
        while not self._is_drained:
            self._producer.poll(_POLL_S)
            self._hand_over()
            if (self._away or self._doubt) is not None and time.monotonic() >= self._probe_at_s:
                self._probe()

    def _probe(self) -> None:
        """Whether the brokers answer (again)."""
        doubt, self._doubt = self._doubt, None
        try:
            self._producer.list_topics(timeout=min(self._settings.request_timeout_s, _PROBE_TIMEOUT_S))
        except KafkaException:
            if doubt is not None:
                self._mark_away(doubt)
            self._probe_at_s = time.monotonic() + self._settings.probe_interval_s
        else:
            if self._away is not None:
                logger.info("log_broker_back", broker=self._client.address.bootstrap)
            self._away = None

    def _mark_away(self, reason: str) -> None:
        if self._away is None:
            logger.warning("log_broker_away", reason=reason)
            self._probe_at_s = 0.0
        self._away = reason

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == _ALL_DOWN:
            # Said after a lost connection too that is made anew at once: looked at before anybody is refused.
            self._doubt = f"{self._client.address} is away: {error.str()}"
            self._probe_at_s = 0.0
        elif error.code() == _FATAL or error.fatal():
            logger.error("log_producer_failed", reason=error.str())
            self._is_broken = True


def _largest(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
