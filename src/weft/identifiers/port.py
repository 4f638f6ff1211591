"""The port of registration agencies. Each promise here has a test in `tests/conformance/identifiers`, run on every adapter.

An agency makes a name known to the world that we have minted already. Every method says how things are to be, never what to
change, so doing it again changes nothing: after a crash the registrar simply does it again, under the same name.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from weft.identifiers.name import Scheme
from weft.identifiers.record import Record, State


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What an agency knows about a name. `url` is where it leads the world, where it leads anywhere."""

    state: State
    url: str | None


class Agency(ABC):
    """Where names of one scheme are registered.

    Every method raises Refused where asking again cannot help (the message is the agency's), Unavailable where it can, and
    that within the time of the settings. Nothing that is said, raised or logged holds a secret.
    """

    scheme: ClassVar[Scheme]
    is_local: ClassVar[bool] = False
    """Whether minting has registered it already, so that nothing is ever waiting to be told."""

    @abstractmethod
    async def reserve(self, record: Record) -> str:
        """Keep the name for us, unseen by the world where the scheme can. Returns what the agency said."""

    @abstractmethod
    async def publish(self, record: Record) -> str:
        """Have the name lead to its page, with its description, reserved before or not. Returns what the agency said."""

    @abstractmethod
    async def withdraw(self, record: Record) -> str:
        """Have the name say that its target was withdrawn, and why; one nobody was told of may vanish. Returns as above."""

    @abstractmethod
    async def find(self, record: Record) -> Registered | None:
        """What the agency knows; None where it never heard of the name."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections. Nothing is asked afterwards."""
