"""Kafka's own client, and the only place that imports it: how its parts are set up, and what its errors mean to us."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Any, Final, TypeVar, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # pyright: ignore[reportPrivateImportUsage] - documented by it

from weft.core.errors import Unavailable
from weft.log.kafka.address import Address

__all__ = [
    "ALL_DOWN",
    "CUT_SHORT",
    "END_REACHED",
    "FATAL",
    "LATE",
    "NOTHING_STORED",
    "NO_SUCH_PLACE",
    "OFFSET_BEGINNING",
    "AdminClient",
    "Client",
    "Consumer",
    "KafkaError",
    "KafkaException",
    "Message",
    "NewTopic",
    "OffsetSpec",
    "Producer",
    "TopicPartition",
    "error_of",
    "headers_of",
]

T = TypeVar("T")
_RETRY_AFTER_S: Final = 2
_PATIENCE_S: Final = 0.05
_PASSING: Final = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)

ALL_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the client's own name for it
CUT_SHORT: Final = KafkaError._FAIL  # noqa: SLF001 - the client's own name for it
END_REACHED: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 - the client's own name for it
FATAL: Final = KafkaError._FATAL  # noqa: SLF001 - the client's own name for it
LATE: Final = KafkaError._TIMED_OUT  # noqa: SLF001 - the client's own name for it
NO_SUCH_PLACE: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the client's own name for it
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - the client's own name for it
    }
)
NOTHING_STORED: Final = NO_SUCH_PLACE | {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}
"""Refusals after which certainly nothing is in Kafka."""

Errors = Callable[[KafkaError], None]
Commits = Callable[[KafkaError | None, list[TopicPartition]], None]


class Client:
    """Makes the parts of Kafka's client, all set up alike for one cluster."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._settings = address.settings
        self._pause = Event()
        timeout_ms = int(self._settings.request_timeout_s * 1000)
        self._common: dict[str, Any] = {
            "bootstrap.servers": address.bootstrap,
            "client.id": "weft",
            "log_level": 0,
            "socket.timeout.ms": timeout_ms,
            "socket.connection.setup.timeout.ms": max(timeout_ms, 1000),
            "socket.keepalive.enable": True,
            "socket.nagle.disable": True,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.refresh.interval.ms": int(self._settings.discover_interval_s * 1000),
            "allow.auto.create.topics": False,
        }
        if address.user is not None:
            self._common |= {
                "sasl.username": address.user,
                "sasl.password": address.password or "",
                "sasl.mechanism": "SCRAM-SHA-512",
                "security.protocol": "SASL_SSL",
            }
        self._common |= self._settings.client
        self._common |= {name: secret.get_secret_value() for name, secret in self._settings.client_secrets.items()}

    def producer(self, on_error: Errors) -> Producer:
        """A producer that keeps order, sends nothing twice and calls nothing delivered that not all in-sync replicas have."""
        settings = self._settings
        return Producer(
            {
                **self._common,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": settings.compression,
                "linger.ms": settings.linger_s * 1000,
                "batch.num.messages": 100_000,
                "batch.size": settings.max_message_bytes,
                "message.max.bytes": settings.max_message_bytes + 65_536,
                "message.timeout.ms": int(settings.delivery_timeout_s * 1000),
                "request.timeout.ms": int(min(settings.request_timeout_s, settings.delivery_timeout_s) * 1000),
                "retry.backoff.ms": 50,
                # The log's own queue is bounded; this one only holds what that one let through.
                "queue.buffering.max.messages": 0,
                "queue.buffering.max.kbytes": 2_097_151,
                "error_cb": on_error,
            }
        )

    def consumer(self, on_error: Errors, *, group: str | None = None, on_commit: "Commits | None" = None) -> Consumer:
        """A consumer; without a group it only reads where it is told to."""
        settings = self._settings
        return Consumer(
            {
                **self._common,
                "group.id": group or "weft",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": group is None,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": int(settings.session_timeout_s * 1000),
                "heartbeat.interval.ms": int(settings.session_timeout_s * 1000 / 4),
                "max.poll.interval.ms": 300_000,
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": max(settings.prefetch_bytes // 1024, 1),
                "fetch.message.max.bytes": max(settings.max_message_bytes + 65_536, 1_048_576),
                "fetch.wait.max.ms": 250,
                "fetch.error.backoff.ms": 50,
                "check.crcs": True,
                "error_cb": on_error,
                **({} if on_commit is None else {"on_commit": on_commit}),
            }
        )

    def admin(self) -> AdminClient:
        """Asks about topics and groups, and makes topics."""
        return AdminClient(self._common)

    def wait_for(self, answer: "Future[T]") -> T:
        """The answer of the admin client. Raises KafkaException, or Unavailable where none came."""
        try:
            return answer.result(self._settings.request_timeout_s + 1)
        except TimeoutError as late:
            raise Unavailable(f"{self.address} does not answer", retry_after_s=_RETRY_AFTER_S) from late

    def patiently(self, work: Callable[[], T]) -> T:
        """What some work gives, tried again where the cluster is only rearranging itself: a new leader, a new topic, a group
        that shares its partitions anew."""
        give_up_s = time.monotonic() + self._settings.request_timeout_s
        while True:
            try:
                return work()
            except KafkaException as failure:
                error = error_of(failure)
                if error is None or error.code() not in _PASSING or time.monotonic() > give_up_s:
                    raise
            self._pause.wait(_PATIENCE_S)  # the cluster has no way to tell us

    def unavailable(self, failure: KafkaException) -> Unavailable:
        """What a failure means to us."""
        error = error_of(failure)
        reason = error.str() if error is not None else str(failure)
        return Unavailable(f"{self.address} cannot be used: {reason}", retry_after_s=_RETRY_AFTER_S)


def error_of(failure: KafkaException) -> KafkaError | None:
    """What Kafka's client says went wrong."""
    error = failure.args[0] if failure.args else None
    return error if isinstance(error, KafkaError) else None


def headers_of(message: Message) -> list[tuple[str, bytes]]:
    """The headers of a message; the client gives a list of pairs for what came from Kafka."""
    return cast("list[tuple[str, bytes]]", message.headers() or [])
