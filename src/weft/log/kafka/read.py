"""Read: batches of one partition from an offset on."""

import time
from collections.abc import Sequence
from typing import Final

from weft.core.batch import LogBatch
from weft.core.errors import Unavailable
from weft.core.position import TopicPartition
from weft.log.kafka.admin import Admin
from weft.log.kafka.assemble import Assembler, weft_headers
from weft.log.kafka.client import (
    END_REACHED,
    NO_SUCH_PLACE,
    Client,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    error_of,
)
from weft.log.kafka.client import TopicPartition as KafkaPartition
from weft.log.kafka.message import index_of
from weft.log.kafka.topics import Topics

_POLL_S: Final = 0.1
_AT_ONCE: Final = 1000


class PartitionReader:
    """Reads partitions one after the other. Blocks: for one thread, not for the loop."""

    def __init__(self, client: Client, admin: Admin, topics: Topics) -> None:
        self._client = client
        self._admin = admin
        self._topics = topics
        self._timeout_s = client.address.settings.request_timeout_s
        self._consumer: Consumer | None = None

    def close(self) -> None:
        """Let go of the brokers."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def read(self, at: TopicPartition, offset: int, max_bytes: int) -> Sequence[LogBatch]:
        """At least one batch where there is any, then up to about `max_bytes`. An offset inside a batch gives all of it."""
        place = KafkaPartition(self._topics.kafka_name(at.topic), at.partition)
        try:
            bounds = self._client.patiently(lambda: self._admin.range(place)) if self._is_there(at) else None
            if bounds is None or offset >= bounds[1]:
                return []
            consumer = self._consumer = self._consumer or self._client.consumer(_ignore)
            found = self._read(consumer, at, max(offset, bounds[0]), bounds[0], max_bytes)
            consumer.unassign()
        except KafkaException as failure:
            self.close()  # a new consumer finds the brokers again
            error = error_of(failure)
            if error is not None and error.code() in NO_SUCH_PLACE:
                return []
            raise self._client.unavailable(failure) from failure
        except Unavailable:
            self.close()
            raise
        return found

    def _is_there(self, at: TopicPartition) -> bool:
        if self._topics.in_sync(at) is None:
            self._topics.look(at.topic)
        return self._topics.in_sync(at) is not None

    def _read(self, consumer: Consumer, at: TopicPartition, offset: int, start: int, max_bytes: int) -> Sequence[LogBatch]:
        self._assign(consumer, at, offset)
        assembler = Assembler(at.topic, at.partition)
        found: list[LogBatch] = []
        size, is_first, is_end = 0, True, False
        while not is_end and (size < max_bytes or not found):
            messages, is_end = self._some(consumer, at)
            if is_first and messages:
                is_first = False
                begin = max(_begin(messages[0]), start)
                if begin < offset:
                    self._assign(consumer, at, begin)
                    continue
            found += assembler.add(messages)
            size = sum(batch.size_bytes for batch in found)
        if is_end:
            found += assembler.rest()
        return _cut(found, max_bytes)

    def _assign(self, consumer: Consumer, at: TopicPartition, offset: int) -> None:
        consumer.assign([KafkaPartition(self._topics.kafka_name(at.topic), at.partition, offset)])

    def _some(self, consumer: Consumer, at: TopicPartition) -> tuple[list[Message], bool]:
        """The next messages, and whether the end was reached."""
        give_up_s = time.monotonic() + self._timeout_s
        while (message := consumer.poll(_POLL_S)) is None:
            if time.monotonic() > give_up_s:
                raise Unavailable(f"{self._client.address} does not give what stands in {at.topic}/{at.partition}")
        messages: list[Message] = []
        for found in (message, *consumer.consume(_AT_ONCE, 0)):
            error = found.error()
            if error is None:
                messages.append(found)
            elif error.code() == END_REACHED:
                return messages, True
            else:
                raise KafkaException(error)
        return messages, False


def _begin(message: Message) -> int:
    """The offset at which the append of a message begins."""
    offset = message.offset() or 0
    ours = weft_headers(message)
    return offset if ours is None else offset - index_of(ours[1])


def _cut(batches: list[LogBatch], max_bytes: int) -> list[LogBatch]:
    """The first ones up to about `max_bytes`."""
    size = 0
    for number, batch in enumerate(batches):
        size += batch.size_bytes
        if size >= max_bytes:
            return batches[: number + 1]
    return batches


def _ignore(_: KafkaError) -> None:
    """What goes wrong shows in the answers."""
