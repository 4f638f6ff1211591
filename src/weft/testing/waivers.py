"""What each adapter declares that it cannot do, and why. Its conformance test takes `lacks` from here alone."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from weft.testing.cache_suite import Lack as CacheLack
from weft.testing.log_ground import Lack as LogLack

WAIVERS: Final[Mapping[str, Mapping[StrEnum, str]]] = {
    "log/kafka": {
        LogLack.ERASE: "Kafka removes whole segments by age, never single events; they leave with the topic's retention",
        LogLack.REPEATS: "several processes append to a topic and none knows all its events; the store recognises the repeats",
        LogLack.TRIM_SIZE: "Kafka's clients are not told how many bytes a topic takes; set retention.bytes on the topic",
    },
    "log/rabbitmq": {
        LogLack.TRIM: "RabbitMQ retires whole segments of a stream by age and size, whether or not every group has read them",
        LogLack.ERASE: "the streams of RabbitMQ only grow at their end; single events leave them with their segment",
    },
    "cache/memory": {
        CacheLack.SHARING: "it lives inside one process; processes that shall share limits and revocations need Redis",
    },
}
"""Reasons by promise, for each adapter: its room and its scheme."""
