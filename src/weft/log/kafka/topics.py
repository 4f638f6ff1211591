"""Topics: which there are, how many replicas are in sync, and new ones with the retention they should have."""

import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final

from weft.core.position import TopicPartition
from weft.log.kafka.client import AdminClient, Client, Consumer, KafkaError, KafkaException, NewTopic, Producer, error_of
from weft.log.kafka.settings import KafkaSettings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_FOR_EVER: Final = "-1"
_NEVER_TOO_FAR: Final = str(2**63 - 1)
_CREATE_TIMEOUT_S: Final = 10.0


class Topics:
    """The topics of one log: the name in Kafka is the prefix and then ours. Blocks: for threads, not for the loop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._settings = client.address.settings
        self._admin: AdminClient | None = None
        self._lock = Lock()
        self._in_sync: dict[str, Sequence[int]] = {}

    @property
    def admin(self) -> AdminClient:
        """The admin client, made when first needed."""
        with self._lock:
            if self._admin is None:
                self._admin = self._client.admin()
            return self._admin

    def cluster(self) -> str:
        """The id the cluster was given when it was made. Raises KafkaException where no broker answers."""
        return self.admin.list_topics(timeout=self._settings.request_timeout_s).cluster_id or "unknown"

    def kafka_name(self, topic: str) -> str:
        """A topic's name in Kafka."""
        return self._settings.prefix + topic

    def our_name(self, name: str) -> str | None:
        """Our name of a topic in Kafka, or None where it is none of ours."""
        ours = name.removeprefix(self._settings.prefix)
        return ours if name.startswith(self._settings.prefix) and _NAME.fullmatch(ours) else None

    @property
    def pattern(self) -> str:
        """What subscribes to all topics, those that come later too."""
        prefix = re.sub(r"([.])", r"[\1]", self._settings.prefix)
        return f"^{prefix}[a-z0-9][a-z0-9._-]*$"

    def partitions(self, through: "AdminClient | Consumer | None" = None) -> list[TopicPartition]:
        """Every partition of every topic. Raises KafkaException where no broker answers."""
        found = self._metadata(through or self.admin, None)
        self._in_sync.update({topic: in_sync for topic, in_sync in found.items() if topic in self._in_sync})
        return [TopicPartition(topic, partition) for topic, in_sync in found.items() for partition in range(len(in_sync))]

    def count_partitions(self, topic: str) -> int:
        """How many partitions a topic has; makes it where it is not there."""
        known = self._in_sync.get(topic) or self.look(topic)
        if known is None:
            self._create(topic)
            known = self._client.patiently(lambda: self._just_made(topic))
        return len(known)

    def _just_made(self, topic: str) -> Sequence[int]:
        known = self.look(topic)
        if known is None:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
        return known

    def forget(self, topic: str) -> None:
        """It may not be there any more."""
        self._in_sync.pop(topic, None)

    def look(self, topic: str) -> Sequence[int] | None:
        """The replicas in sync of each partition of a topic, asked anew; None where there is no such topic."""
        found = self._metadata(self.admin, self.kafka_name(topic)).get(topic)
        if found is not None:
            self._in_sync[topic] = found
        return found

    def in_sync(self, at: TopicPartition) -> int | None:
        """How many replicas of a partition were in sync when last looked."""
        known = self._in_sync.get(at.topic, ())
        return known[at.partition] if at.partition < len(known) else None

    def _metadata(self, through: "AdminClient | Consumer | Producer", name: str | None) -> Mapping[str, Sequence[int]]:
        if name is None:
            answer = through.list_topics(timeout=self._settings.request_timeout_s)
        else:
            answer = through.list_topics(name, timeout=self._settings.request_timeout_s)
        found: dict[str, Sequence[int]] = {}
        for kafka_name, topic in answer.topics.items():
            ours = self.our_name(kafka_name)
            if ours is not None and topic.error is None and topic.partitions:
                found[ours] = [len(topic.partitions[number].isrs) for number in sorted(topic.partitions)]
        return found

    def _create(self, topic: str) -> None:
        settings = self._settings
        name = self.kafka_name(topic)
        new = NewTopic(
            name,
            num_partitions=settings.partitions,
            replication_factor=settings.replication or -1,
            config=topic_config(topic, settings),
        )
        try:
            self._client.wait_for(self.admin.create_topics([new], operation_timeout=_CREATE_TIMEOUT_S)[name])
        except KafkaException as failure:
            error = error_of(failure)
            if error is None or error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def topic_config(topic: str, settings: KafkaSettings) -> dict[str, Any]:
    """How Kafka is to keep a new topic."""
    age_s = retention_s(topic, settings)
    config = {
        "cleanup.policy": "delete",
        "retention.ms": _FOR_EVER if age_s is None else str(int(age_s * 1000)),
        "message.timestamp.type": "CreateTime",
        # A door whose clock is ahead must not have its events refused.
        "message.timestamp.after.max.ms": _NEVER_TOO_FAR,
        "max.message.bytes": str(max(settings.max_message_bytes * 2, 1_048_588)),
    }
    if settings.min_in_sync_replicas is not None:
        config["min.insync.replicas"] = str(settings.min_in_sync_replicas)
    return config


def retention_s(topic: str, settings: KafkaSettings) -> float | None:
    """How long events of a topic are kept: what the longest beginning of its name says."""
    beginnings = [start for start in settings.retention_by_topic_s if topic == start or topic.startswith(f"{start}.")]
    if not beginnings:
        return settings.retention_s
    return settings.retention_by_topic_s[max(beginnings, key=len)]
