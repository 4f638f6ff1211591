"""Topics: which there are, how many replicas are in sync, and new ones with the retention they should have."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from weft.core.position import TopicPartition
from weft.log.kafka.admin import Admin
from weft.log.kafka.client import Client, KafkaError, KafkaException
from weft.log.kafka.settings import KafkaSettings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_FOR_EVER: Final = "-1"
_NEVER_TOO_FAR: Final = str(2**63 - 1)


class Topics:
    """The topics of one log: the name in Kafka is the prefix and then ours. Blocks: for threads, not for the loop."""

    def __init__(self, client: Client, admin: Admin) -> None:
        self._client = client
        self._settings = client.address.settings
        self._admin = admin
        self._in_sync: dict[str, Sequence[int]] = {}
        self.on_made: Callable[[], None] = lambda: None
        """Told, in whatever thread, that this process made a topic."""

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

    def partitions(self) -> list[TopicPartition]:
        """Every partition of every topic. Raises KafkaException where no broker answers."""
        found: list[TopicPartition] = []
        for name, in_sync in self._admin.topics().items():
            topic = self.our_name(name)
            if topic is not None:
                self._in_sync[topic] = in_sync
                found += [TopicPartition(topic, partition) for partition in range(len(in_sync))]
        return found

    def count_partitions(self, topic: str) -> int:
        """How many partitions a topic has; makes it where it is not there."""
        known = self._in_sync.get(topic) or self.look(topic)
        if known is None:
            settings = self._settings
            self._admin.create_topic(
                self.kafka_name(topic),
                partitions=settings.partitions,
                replication=settings.replication,
                config=topic_config(topic, settings),
            )
            known = self._client.patiently(lambda: self._just_made(topic))
            self.on_made()
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
        name = self.kafka_name(topic)
        found = self._admin.topics(name).get(name)
        if found is not None:
            self._in_sync[topic] = found
        return found

    def in_sync(self, at: TopicPartition) -> int | None:
        """How many replicas of a partition were in sync when last looked."""
        known = self._in_sync.get(at.topic, ())
        return known[at.partition] if at.partition < len(known) else None


def topic_config(topic: str, settings: KafkaSettings) -> dict[str, str]:
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
