"""Requests on their way to Kafka: what is asked, and what Kafka said so far."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from weft.core.batch import Batch
from weft.core.errors import WeftError
from weft.core.position import TopicPartition
from weft.log.kafka.client import KafkaError, Message
from weft.log.kafka.marks import Mark
from weft.log.port import Appended

_NOWHERE: Final = TopicPartition("", 0)


@dataclass(slots=True, eq=False)
class AppendRequest:
    """One append: of its `expected` messages `heard` were told of, and `stored` are in Kafka, around `foreign` offsets."""

    batch: Batch
    answer: "asyncio.Future[Appended]"
    size_bytes: int
    traceparent: str | None = None
    at: TopicPartition = _NOWHERE
    mark: Mark | None = None
    expected: int = 0
    heard: int = 0
    stored: int = 0
    first_offset: int = -1
    last_offset: int = -1
    foreign: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    error: KafkaError | None = None
    sent_s: float = 0.0
    outcome: "Appended | WeftError | None" = None

    def hear(self, error: KafkaError | None, message: Message) -> bool:
        """Kafka told what became of one message; whether that was the last one. For the listening thread."""
        if error is None:
            offset = message.offset() or 0
            if not self.stored:
                self.first_offset = offset
            elif offset != self.last_offset + 1:
                self.foreign.append((self.last_offset + 1, offset))
            self.last_offset = offset
            self.stored += 1
        else:
            self.error = error
        self.heard += 1
        return self.heard == self.expected

    def settle(self) -> None:
        """Give the answer. For the loop's thread."""
        if self.answer.done():
            return
        if isinstance(self.outcome, Appended):
            self.answer.set_result(self.outcome)
        elif self.outcome is not None:
            self.answer.set_exception(self.outcome)


@dataclass(slots=True, eq=False)
class TickRequest:
    """One tick for those partitions of a topic that time is behind in: the `seen` ones, with their ends, and this process's."""

    topic: str
    time_us: int
    answer: "asyncio.Future[None]"
    seen: Sequence[tuple[TopicPartition, int, Mark]] = ()
    expected: int = 0
    heard: int = 0
    size_bytes: int = 0
    outcome: "Appended | WeftError | None" = None

    def settle(self) -> None:
        """Give the answer. For the loop's thread."""
        if self.answer.done():
            return
        if isinstance(self.outcome, WeftError):
            self.answer.set_exception(self.outcome)
        else:
            self.answer.set_result(None)


Request = AppendRequest | TickRequest
