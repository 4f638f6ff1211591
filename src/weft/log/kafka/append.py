"""Append: two threads between the log and Kafka. One sends, the other hears what became of it."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from weft.core.clock import Clock
from weft.core.errors import Malformed, TimedOut, TooLarge, Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.core.watermark import max_time_us
from weft.log.kafka.client import ALL_DOWN, CUT_SHORT, FATAL, NOTHING_STORED, Client, KafkaError, KafkaException, Message
from weft.log.kafka.ends import End, Ends
from weft.log.kafka.line import Line
from weft.log.kafka.marks import Mark, Marks
from weft.log.kafka.message import MESSAGE_BYTES, Messages, Stamp, largest, stamp_ids, tick_headers, to_messages
from weft.log.kafka.request import AppendRequest, Request, TickRequest
from weft.log.kafka.slot import Slot
from weft.log.kafka.topics import Topics
from weft.log.port import Appended

logger = structlog.get_logger(__name__)

RETRY_AFTER_S: Final = 2
_POLL_S: Final = 0.1


class Appender:
    """Sends appends in the order they came, to one partition of each topic."""

    def __init__(
        self, client: Client, topics: Topics, marks: Marks, *, clock: Clock, deliver: Callable[[Sequence[Request]], None]
    ) -> None:
        self._client = client
        self._settings = client.address.settings
        self._topics = topics
        self._marks = marks
        self._clock = clock
        self._deliver = deliver
        self._slot = Slot(f"{client.address.bootstrap}/{self._settings.prefix}")
        self._ends = Ends(topics, marks, self._slot, self._settings.append_partition)
        self._line = Line(client)
        self._waiting: deque[Request] = deque()
        self._finished: list[Request] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_drained = False
        self._is_broken = False
        self.flushes_s: deque[float] = deque(maxlen=1000)
        self._producer = client.producer(self._on_error)
        self._sender = threading.Thread(target=self._send_all, name="kafka-send", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="kafka-listen", daemon=True)

    @property
    def refusal(self) -> str | None:
        """Why appends are refused at the moment, or None."""
        return self._line.refusal

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

    def put(self, request: Request) -> None:
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
            try:
                self._mend()
                self._send(request)
            except KafkaException as failure:
                unavailable = self._client.unavailable(failure)
                self._line.doubt(unavailable.message)
                self._finish(request, unavailable)
            except WeftError as failure:
                self._finish(request, failure)
            except Exception as failure:  # whatever it was, nobody may wait for ever
                logger.exception("log_append_failed")
                self._finish(request, Unavailable(f"the append failed: {failure}"))

    def _mend(self) -> None:
        """A producer that said it cannot go on is replaced, once everything it had was answered."""
        if self._is_broken:
            old, self._is_broken = self._producer, False
            old.flush(self._settings.delivery_timeout_s + 1)
            self._producer = self._client.producer(self._on_error)
            self._ends.clear()

    def _send(self, request: Request) -> None:
        if self._line.refusal is not None:
            raise Unavailable(self._line.refusal, retry_after_s=RETRY_AFTER_S)
        if isinstance(request, TickRequest):
            self._send_ticks(request)
        else:
            self._send_events(request)

    def _send_events(self, request: AppendRequest) -> None:
        batch = request.batch
        at = request.at = self._ends.place(batch.topic)
        end = self._ends.get(at)
        stamp = Stamp(
            count=batch.count,
            max_before_us=end.max_time_us,
            max_after_us=largest(end.max_time_us, max_time_us(batch.times_us, batch.received_at_us)),
            ticks=end.ticks,
            received_at_us=batch.received_at_us,
            ids=stamp_ids(batch),
        )
        try:
            messages = to_messages(batch, stamp, request.traceparent)
        except (msgspec.MsgspecError, UnicodeError) as unreadable:
            raise Malformed(f"the events cannot be read: {unreadable}") from unreadable
        self._check_sizes(messages)
        size = len(messages.values[-1]) + MESSAGE_BYTES
        request.mark = Mark(end.ticks, end.ticks, stamp.max_after_us, batch.received_at_us, size)
        self._produce(request, messages)
        end.take(stamp.max_after_us)

    def _check_sizes(self, messages: Messages) -> None:
        limit, size = self._settings.max_message_bytes, max(map(len, messages.values))
        if size > limit:
            text = f"an event of {size} bytes is larger than log.kafka.max_message_bytes ({limit} bytes)"
            raise TooLarge(text, limit=limit, unit="bytes")

    def _produce(self, request: AppendRequest, messages: Messages) -> None:
        def heard(error: KafkaError | None, message: Message) -> None:
            if request.hear(error, message):
                self._conclude(request)

        produce, name, number = self._producer.produce, self._topics.kafka_name(request.at.topic), request.at.partition
        received_ms = request.batch.received_at_us // 1000
        request.expected = len(messages.values)
        request.sent_s = self._clock.steady_s()
        sent = 0
        try:
            for key, value, headers in zip(messages.keys, messages.values, messages.headers, strict=True):
                produce(name, value, key, number, on_delivery=heard, timestamp=received_ms, headers=headers)
                sent += 1
        except (KafkaException, BufferError):
            if not sent:
                raise
            self._cut_short(request, sent)

    def _cut_short(self, request: AppendRequest, sent: int) -> None:
        """Only a part could be handed to Kafka's client: what becomes of it decides nothing any more."""
        request.error = KafkaError(CUT_SHORT)
        self._producer.flush(self._settings.delivery_timeout_s + 1)
        request.expected = sent
        self._conclude(request)

    def _send_ticks(self, request: TickRequest) -> None:
        behind: list[tuple[TopicPartition, End]] = []
        if self._topics.look(request.topic) is not None:
            own = self._ends.place(request.topic)
            ends = {at: self._ends.reach(at, next_offset, last) for at, next_offset, last in request.seen}
            ends.setdefault(own, self._ends.get(own))
            behind = [
                (at, end) for at, end in ends.items() if end.max_time_us is not None and end.max_time_us < request.time_us
            ]
        request.expected = len(behind)
        if not behind:
            self._finish(request, None)
        for at, end in behind:
            self._tick(request, at, end)

    def _tick(self, request: TickRequest, at: TopicPartition, end: End) -> None:
        time_us, now_us, ticks = request.time_us, self._clock.now_us(), end.ticks

        def heard(error: KafkaError | None, message: Message) -> None:
            offset = message.offset() or 0
            if error is None:
                self._ends.note(at, offset, offset)
                self._marks.remember(at, offset, Mark(ticks, ticks + 1, time_us, now_us, MESSAGE_BYTES))
            else:
                self._ends.forget(at)
                request.outcome = Unavailable(f"{self._client.address} did not take a tick: {error.str()}")
            request.heard += 1
            if request.heard == request.expected:
                self._finish(request, request.outcome)

        stamp = Stamp(count=0, max_before_us=end.max_time_us, max_after_us=time_us, ticks=ticks, received_at_us=now_us)
        name, headers = self._topics.kafka_name(at.topic), tick_headers(stamp, time_us)
        self._producer.produce(name, None, None, at.partition, on_delivery=heard, timestamp=now_us // 1000, headers=headers)
        end.take(time_us)
        end.ticks += 1

    # What became of it

    def _conclude(self, request: AppendRequest) -> None:
        """Every message of an append was heard of."""
        if request.error is not None:
            self._finish(request, self._failure(request, request.error))
            return
        self._ends.note(request.at, request.first_offset, request.last_offset, foreign=request.foreign)
        if request.mark is not None:
            self._marks.remember(request.at, request.last_offset, request.mark)
        self.flushes_s.append(self._clock.steady_s() - request.sent_s)
        in_sync = self._topics.in_sync(request.at)
        self._finish(request, Appended(request.at.partition, request.first_offset, "replicated", in_sync_replicas=in_sync))

    def _failure(self, request: AppendRequest, error: KafkaError) -> WeftError:
        self._ends.forget(request.at)
        address = self._client.address
        if request.stored == 0 and error.code() in NOTHING_STORED:
            self._topics.forget(request.at.topic)
            return Unavailable(f"{address} refused the events: {error.str()}", retry_after_s=RETRY_AFTER_S)
        self._line.cut(f"{address} does not acknowledge events: {error.str()}")
        return TimedOut(
            f"{address} did not acknowledge the events in {self._settings.delivery_timeout_s:g} s; whether they are stored is "
            "unknown, sending them again with their ids is safe",
            retry_after_s=RETRY_AFTER_S,
        )

    def _finish(self, request: Request, outcome: "Appended | WeftError | None") -> None:
        if isinstance(request, AppendRequest) or not isinstance(outcome, Appended):
            request.outcome = outcome
        with self._changed:
            self._finished.append(request)
        if threading.current_thread() is not self._listener:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._changed:
            finished, self._finished = self._finished, []
        if finished:
            self._deliver(finished)

    # The listening thread

    def _listen(self) -> None:
        while not self._is_drained:
            self._producer.poll(_POLL_S)
            self._hand_over()
            self._line.look(self._producer)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == ALL_DOWN:
            # Said after a lost connection too that is made anew at once.
            self._line.doubt(f"{self._client.address} is away: {error.str()}")
        elif error.code() == FATAL or error.fatal():
            logger.error("log_producer_failed", reason=error.str())
            self._is_broken = True
