"""The logs of transcripts as topics of Kafka, message for message as Weft writes them."""

from collections.abc import Sequence

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.conformance.stream.transcript import Entry, Transcript
from weft.core.batch import Batch
from weft.core.watermark import max_time_us
from weft.log.kafka.message import Stamp, largest, tick_headers, to_messages


class KafkaTopics:
    """Topics with a prefix of their own."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._member: Consumer | None = None
        self._partitions: dict[str, int] = {}
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})

    def create(self, topic: str, partitions: int) -> None:
        self._partitions[topic] = partitions
        for made in self._admin.create_topics([NewTopic(self._prefix + topic, partitions, 1)]).values():
            made.result(30)

    def write(self, transcript: Transcript) -> None:
        """The log of a transcript."""
        self.create(transcript.topic, len(transcript.partitions))
        for partition, entries in transcript.partitions.items():
            newest: int | None = None
            ticks = 0
            for entry in entries:
                newest = self._send(transcript.topic, partition, entry, newest, ticks)
                ticks += entry.row is None
        self._producer.flush(30)

    def _send(self, topic: str, partition: int, entry: Entry, before: int | None, ticks: int) -> int | None:
        times_us = np.array([entry.time_us], dtype=np.int64)
        moved = entry.time_us if entry.row is None else max_time_us(times_us, entry.received_at_us)
        after = largest(before, moved)
        stamp = Stamp(
            count=0 if entry.row is None else 1,
            max_before_us=before,
            max_after_us=after,
            ticks=ticks,
            received_at_us=entry.received_at_us,
        )
        written_ms = max(entry.received_at_us // 1000, 1)
        name = self._prefix + topic
        if entry.row is None:
            self._producer.produce(
                name, None, None, partition, timestamp=written_ms, headers=tick_headers(stamp, entry.time_us)
            )
            return after
        rows = msgspec.json.encode(entry.row)
        batch = Batch(topic=topic, rows=rows, ids=["e"], times_us=times_us, received_at_us=entry.received_at_us)
        messages = to_messages(batch, stamp, None)
        key, value, headers = messages.keys[0], messages.values[0], messages.headers[0]
        self._producer.produce(name, value, key, partition, timestamp=written_ms, headers=headers)
        return after

    def produce(self, topic: str, partition: int, value: bytes, timestamp_ms: int) -> None:
        """A message as others write it: no headers."""
        self._producer.produce(self._prefix + topic, value, None, partition, timestamp=timestamp_ms)
        self._producer.flush(30)

    def is_read(self, group: str, topics: Sequence[str]) -> bool:
        """Whether a group has committed everything that stands in some topics."""
        places = [
            TopicPartition(self._prefix + topic, partition) for topic in topics for partition in range(self._partitions[topic])
        ]
        looked = self._admin.list_offsets({place: OffsetSpec.latest() for place in places})
        ends = {(place.topic, place.partition): found.result(30).offset for place, found in looked.items()}
        if self._member is None:  # asked as a member: the admin client's own question crashes where the coordinator is new
            self._member = Consumer({"bootstrap.servers": self._bootstrap, "group.id": group, "enable.auto.commit": False})
        try:
            committed = self._member.committed(places, timeout=30)
        except KafkaException:
            return False
        return all(place.offset >= ends[place.topic, place.partition] for place in committed)
