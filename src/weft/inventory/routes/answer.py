"""What the routes of the inventory share: their collaborators, the parts of a request, times and pages as they are shown."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar, cast
from uuid import UUID

import msgspec
from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, model_validator

from weft.api.paging import SkippedRows
from weft.auth.signature import ADMINISTRATORS_ONLY
from weft.core.errors import NotAllowed
from weft.core.principal import Principal, Scope
from weft.core.times import to_text
from weft.inventory.parts import InventoryParts
from weft.inventory.tables import Kept

DEFAULT_ROWS: Final = 25
MOST_ROWS: Final = 500
MOST_CONFIG_BYTES: Final = 16 * 1024
AS_IT_IS: Final[Any] = None
"""The default of what a change may leave out and may not empty: a null that was sent is refused."""

Item = TypeVar("Item", bound=BaseModel)


def inventory_parts(request: Request) -> InventoryParts:
    """The inventory of this application."""
    return cast("InventoryParts", request.app.state.inventory)


def _bounded(config: dict[str, Any]) -> dict[str, Any]:
    try:
        written = msgspec.json.encode(config)
    except (TypeError, ValueError, OverflowError, RecursionError) as unreadable:
        raise ValueError("there is something in it that cannot be kept as JSON") from unreadable
    if len(written) > MOST_CONFIG_BYTES:
        raise ValueError(f"it has {len(written)} bytes; at most {MOST_CONFIG_BYTES} are kept")
    if msgspec.json.decode(written) != config:
        raise ValueError("there is a number in it that JSON cannot carry exactly")
    return config


Parts = Annotated[InventoryParts, Depends(inventory_parts)]
Id = Annotated[UUID, Path(description="Its id.")]
Rows = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows on a page.")]
Deleted = Annotated[bool, Query(description="Whether deleted ones are listed too; for administrators.")]
Config = Annotated[dict[str, JsonValue], AfterValidator(_bounded)]


class Sent(BaseModel):
    """A body. What only the server writes may be sent back as it was read, and has no effect."""

    model_config = ConfigDict(extra="forbid")
    only_read: ClassVar[frozenset[str]] = frozenset({"id", "created_at", "updated_at", "deleted_at"})

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in cast("dict[str, Any]", sent).items() if name not in cls.only_read}

    def values(self) -> dict[str, Any]:
        """Everything, with what was left out as it is then; ids as text."""
        return _plain(self.model_dump())

    def changes(self) -> dict[str, Any]:
        """What was sent, and nothing else; ids as text."""
        return _plain(self.model_dump(exclude_unset=True))


class KeptRead(BaseModel):
    """What is shown of everything: its id, and when it was made, changed and deleted."""

    id: str
    created_at: str
    updated_at: str
    deleted_at: str | None

    @classmethod
    def of(cls, row: Kept) -> Self:
        """The row as it is shown: the fields of this class, of the columns of the same names."""
        names = cls.model_fields.keys() - KeptRead.model_fields.keys()
        return cls(**{name: shown(row, name) for name in names}, **times_of(row))


def times_of(row: Kept) -> dict[str, Any]:
    """Its id, and when it was made, changed and deleted."""
    return {name: shown(row, name) for name in ("id", "created_at", "updated_at", "deleted_at")}


def shown(row: object, name: str) -> Any:
    """A value as it is shown: a moment that is kept in `<name>_us` is a text."""
    if not name.endswith("_at"):
        return getattr(row, name)
    time_us: int | None = getattr(row, f"{name}_us")
    return None if time_us is None else to_text(time_us)


def page(items: Sequence[Item], *, total: int, skip: int, limit: int) -> SkippedRows[Item]:
    """A page of a list."""
    return SkippedRows[Item](items=items, total=total, skip=skip, limit=limit)


def check_deleted(principal: Principal, include_deleted: bool) -> None:
    """Raise NotAllowed where somebody who may not manage the inventory asks for what was deleted."""
    if include_deleted and not principal.may(Scope.INVENTORY_MANAGE):
        scope = Scope.INVENTORY_MANAGE
        raise NotAllowed("what was deleted is for administrators", scope=scope.value, code=ADMINISTRATORS_ONLY)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, UUID) else value for name, value in values.items()}
