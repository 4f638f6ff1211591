"""Witness: is told what was done, inside the unit of work that does it, so that deed and record are both there or neither.

Rooms that change something on behalf of somebody tell a witness; the composition root gives them the ledger. Who acts is known
to the task that works for them, like the correlation id: whoever forgets to say so acts as Weft itself, never as somebody else.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from weft.core.principal import Principal

ActorKind = Literal["user", "api_key", "anonymous", "command_line", "weft"]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something. `name` is the e-mail address of a person and the name of a key; `address` is where they came from."""

    kind: ActorKind
    id: str | None = None
    name: str
    address: str | None = None

    @classmethod
    def of(cls, principal: Principal, address: str | None = None) -> "Actor":
        """A principal that was proven."""
        return cls(kind=principal.kind, id=principal.id, name=principal.name, address=address)


WEFT: Final = Actor(kind="weft", name="weft")
"""Nobody asked for it: a first start, a worker."""
COMMAND_LINE: Final = Actor(kind="command_line", name="command line")
"""Who may write to the data folder, whoever that is."""

_current: ContextVar[Actor] = ContextVar("actor", default=WEFT)


def actor() -> Actor:
    """On whose behalf the code of this task works."""
    return _current.get()


enter_actor: Final = _current.set
"""Say on whose behalf the code of this task works from here on."""


def stranger(address: str | None) -> Actor:
    """Somebody who has not shown who they are."""
    return Actor(kind="anonymous", name="", address=address)


class Action(StrEnum):
    """What was done to something."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
    REVOKE = "revoke"
    REVEAL = "reveal"
    LOGIN = "login"
    LOGIN_FAILED = "login_failed"


class Change(msgspec.Struct, frozen=True):
    """One field before and after. Of a secret both are the mask: that it changed is told, never what it is."""

    before: Any
    after: Any


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `by` is only given where it is somebody else than the task works for."""

    action: Action
    entity_type: str
    entity_id: str | None
    changes: Mapping[str, Change] | None = None
    by: Actor | None = None


class Witness(Protocol):
    """Who is told of deeds."""

    async def __call__(self, session: AsyncSession, deed: Deed) -> None:
        """Write the deed down in this unit of work, which must not be a reading one; the last thing it does before its end.

        What the database raises ends the unit of work: nothing happens that cannot be written down.
        """
        ...


async def nobody(session: AsyncSession, deed: Deed) -> None:
    """The witness of a room that stands alone, without a ledger above it."""


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    """The fields that differ; a field that is missing on one side counts as null there."""
    return {
        name: Change(before.get(name), after.get(name)) for name in {**before, **after} if before.get(name) != after.get(name)
    }
