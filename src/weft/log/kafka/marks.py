"""The last and first messages of partitions: what their stamps say about everything before them."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from weft.core.position import TopicPartition
from weft.log.kafka.admin import Admin
from weft.log.kafka.assemble import Assembler, weft_headers
from weft.log.kafka.client import END_REACHED, LATE, Client, Consumer, KafkaError, KafkaException, Message, headers_of
from weft.log.kafka.client import TopicPartition as KafkaPartition
from weft.log.kafka.message import unpack_stamp
from weft.log.kafka.topics import Topics

_POLL_S: Final = 0.1
_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known at one message: ticks before it and with it, the largest time with it, when it was received."""

    ticks_before: int
    ticks_after: int
    max_time_us: int | None
    received_at_us: int
    size_bytes: int


class Marks:
    """Looks single messages up. Blocks: for threads, not for the loop. Messages never change, so what was seen is kept."""

    def __init__(self, client: Client, admin: Admin, topics: Topics) -> None:
        self._client = client
        self._admin = admin
        self._topics = topics
        self._timeout_s = client.address.settings.request_timeout_s
        self._consumer: Consumer | None = None
        self._lock = Lock()
        self._known: dict[tuple[TopicPartition, int], Mark] = {}

    def close(self) -> None:
        """Let go of the brokers."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def range(self, at: TopicPartition) -> tuple[int, int]:
        """First readable and next offset of a partition that is there. Raises KafkaException."""
        return self._client.patiently(lambda: self._range(at))

    def _range(self, at: TopicPartition) -> tuple[int, int]:
        found = self._admin.range(KafkaPartition(self._topics.kafka_name(at.topic), at.partition))
        if found is None:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return found

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._client.consumer(_ignore)
        return self._consumer

    def remember(self, at: TopicPartition, offset: int, mark: Mark) -> None:
        """Keep what this process knows because it wrote it."""
        if len(self._known) > _KEPT:
            self._known.clear()
        self._known[at, offset] = mark

    def known(self, at: TopicPartition, offset: int) -> Mark | None:
        """What this process knows of a message that may be gone."""
        return self._known.get((at, offset))

    def find(self, places: Iterable[tuple[TopicPartition, int]]) -> Mapping[tuple[TopicPartition, int], Mark]:
        """The marks at some offsets; what is not there (any more) is missing. Raises KafkaException where no broker answers."""
        wanted = set(places)
        found = {place: mark for place in wanted if (mark := self._known.get(place)) is not None}
        with self._lock:
            # One message of a partition at a time: an assignment holds each partition once.
            while missing := dict(wanted - found.keys()):
                looked = self._look(missing)
                for place in missing.items():
                    wanted.discard(place)
                found.update(looked)
                for place, mark in looked.items():
                    self.remember(*place, mark)
        return found

    def _look(self, places: Mapping[TopicPartition, int]) -> dict[tuple[TopicPartition, int], Mark]:
        consumer = self._open()
        names = {(self._topics.kafka_name(at.topic), at.partition): (at, offset) for at, offset in places.items()}
        consumer.assign([KafkaPartition(name, number, offset) for (name, number), (_, offset) in names.items()])
        try:
            return self._collect(consumer, names)
        except KafkaException:
            self._drop()  # a new one finds the brokers again
            raise
        finally:
            if self._consumer is not None:
                self._consumer.unassign()

    def _collect(
        self, consumer: Consumer, waiting: dict[tuple[str, int], tuple[TopicPartition, int]]
    ) -> dict[tuple[TopicPartition, int], Mark]:
        found: dict[tuple[TopicPartition, int], Mark] = {}
        give_up_s = time.monotonic() + self._timeout_s
        while waiting:
            message = consumer.poll(_POLL_S)
            if message is None:
                if time.monotonic() > give_up_s:
                    raise KafkaException(KafkaError(LATE))
                continue
            error = message.error()
            if error is not None and error.code() != END_REACHED:
                continue  # it goes on trying
            place = waiting.pop((message.topic() or "", message.partition() or 0), None)
            if place is not None and error is None and message.offset() == place[1]:
                found[place] = mark_of(place[0], message)
        return found


def mark_of(at: TopicPartition, message: Message) -> Mark:
    """What one message says."""
    size = len(message.value() or b"") + sum(len(name) + len(value or b"") for name, value in headers_of(message))
    ours = weft_headers(message)
    stamp = None if ours is None else unpack_stamp(ours[0])
    if stamp is not None:
        return Mark(stamp.ticks, stamp.ticks + stamp.is_tick, stamp.max_after_us, stamp.received_at_us, size)
    (batch,) = Assembler(at.topic, at.partition).add([message])
    return Mark(0, 0, int(batch.times_us[0]), int(batch.received_at_us[0]), size)


def _ignore(_: KafkaError) -> None:
    """What goes wrong shows in the answers."""
