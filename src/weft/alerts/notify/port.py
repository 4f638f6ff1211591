"""The port of channels. Each promise here has a test in `tests/conformance/notify`, run on every kind.

A channel sends one message and says what became of it by class: it returns (the other side took it), raises Refused (repeating
it cannot help) or Unavailable (trying again later makes sense, after `retry_after_s`). It keeps nothing between two messages.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel

from weft.alerts.notify.destinations import Destinations
from weft.alerts.notify.message import Message
from weft.alerts.notify.post import Poster
from weft.core.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a channel may use to get out of this installation."""

    destinations: Destinations
    poster: Poster
    timeout_s: float
    clock: Clock


class Channel(ABC):
    """One configured way to reach people or programs."""

    kind: ClassVar[str]
    options: ClassVar[type[BaseModel]]
    """What such a channel is told. Fields of type SecretStr are kept under the installation's cipher and shown masked."""
    template: ClassVar[Mapping[str, str]] = {}
    """The fields of its template, each with the text it has unless the channel says otherwise."""

    @abstractmethod
    def __init__(self, options: Any, outgoing: Outgoing) -> None:
        """A channel with its options, an instance of the class in `options`. Nothing is connected yet."""

    @abstractmethod
    async def send(self, message: Message) -> str:
        """Send it within the time the deliverer gives; returns what the other side said.

        What is said, raised or logged holds no secret. Text that is too long for the other side is cut, never refused.
        """

    @property
    @abstractmethod
    def destination(self) -> str:
        """Where it goes, without anything secret. Secrets that were given for one destination are never sent to another."""

    @abstractmethod
    def check(self) -> None:
        """Raises Invalid, naming the field, where it could never send from this installation."""
