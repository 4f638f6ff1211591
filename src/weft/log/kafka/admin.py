"""Admin: questions to the cluster and changes of it, in plain types. Blocks: for threads, not for the loop."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final, cast

from weft.log.kafka.client import (
    NO_SUCH_PLACE,
    Client,
    KafkaError,
    KafkaException,
    NewTopic,  # pyright: ignore[reportPrivateImportUsage] - documented by the client
    OffsetSpec,  # pyright: ignore[reportPrivateImportUsage] - documented by the client
    error_of,
)
from weft.log.kafka.client import TopicPartition as KafkaPartition

START: Final = "start"
END: Final = "end"

_CREATE_TIMEOUT_S: Final = 10.0

Offsets = Sequence[KafkaPartition]


class Admin:
    """Every method raises KafkaException where the cluster refuses, Unavailable where it does not answer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._timeout_s = client.address.settings.request_timeout_s
        self._made: Any = None  # what the client says of its answers' types is half unknown
        self._lock = Lock()

    @property
    def _admin(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._client.admin()
            return self._made

    def _wait(self, answer: object) -> Any:
        return self._client.wait_for(cast("Future[Any]", answer))

    def cluster(self) -> str:
        """The id the cluster was given when it was made."""
        return self._admin.list_topics(timeout=self._timeout_s).cluster_id or "unknown"

    def topics(self, name: str | None = None) -> Mapping[str, Sequence[int]]:
        """By the name of each topic, or of one: how many replicas of each partition are in sync."""
        if name is None:
            answer = self._admin.list_topics(timeout=self._timeout_s)
        else:
            answer = self._admin.list_topics(name, timeout=self._timeout_s)
        return {
            found: [len(topic.partitions[number].isrs) for number in sorted(topic.partitions)]
            for found, topic in answer.topics.items()
            if topic.error is None and topic.partitions
        }

    def create_topic(self, name: str, *, partitions: int, replication: int | None, config: Mapping[str, str]) -> None:
        """Make a topic, where nobody else was quicker."""
        new = NewTopic(name, num_partitions=partitions, replication_factor=replication or -1, config=dict(config))
        try:
            self._wait(self._admin.create_topics([new], operation_timeout=_CREATE_TIMEOUT_S)[name])
        except KafkaException as failure:
            error = error_of(failure)
            if error is None or error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def offsets(self, places: Offsets, which: str | int) -> dict[KafkaPartition, int]:
        """The first or next offset of partitions, or the first one not older than some milliseconds (-1: all are)."""
        if not places:
            return {}
        spec = {START: OffsetSpec.earliest, END: OffsetSpec.latest}.get(which) if isinstance(which, str) else None
        wanted = spec() if spec is not None else OffsetSpec.for_timestamp(int(which))
        found: dict[KafkaPartition, int] = {}
        for place, answer in self._admin.list_offsets(dict.fromkeys(places, wanted)).items():
            try:
                found[place] = self._wait(answer).offset
            except KafkaException as failure:
                if not _is_gone(failure):
                    raise
        return found

    def range(self, place: KafkaPartition) -> tuple[int, int] | None:
        """First readable and next offset of a partition; None where there is no such partition.

        A consumer could tell too, but one that lost its connections may go on saying that it knows no such partition.
        """
        starts, ends = self.offsets([place], START), self.offsets([place], END)
        return (starts[place], ends[place]) if place in starts and place in ends else None

    def groups(self) -> list[str]:
        """The groups there are."""
        listed = self._wait(self._admin.list_consumer_groups())
        return [str(group.group_id) for group in listed.valid or ()]

    def delete_before(self, offsets: Offsets) -> None:
        """Delete what stands below some offsets."""
        for answer in self._admin.delete_records(list(offsets)).values():
            self._wait(answer)


def _is_gone(failure: KafkaException) -> bool:
    error = error_of(failure)
    return error is not None and error.code() in NO_SUCH_PLACE
