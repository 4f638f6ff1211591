"""Routes of instruments."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field, JsonValue

from weft.api.paging import Skip, SkippedRows
from weft.auth.signature import InventoryManager, InventoryReader
from weft.inventory.instrument import SMB_PORT
from weft.inventory.name import Empty, FolderName, Host, Inside, Line, Port, Prose, Share
from weft.inventory.routes.answer import (
    AS_IT_IS,
    DEFAULT_ROWS,
    Config,
    Deleted,
    Id,
    KeptRead,
    Parts,
    Rows,
    Sent,
    check_deleted,
    page,
)

router = APIRouter(tags=["instruments"])

Adapter = Literal["rclone", "globus", "rsync"]


def _with_quiet(config: dict[str, Any]) -> dict[str, Any]:
    quiet = config.get("quiet_s")
    is_number = isinstance(quiet, int | float) and not isinstance(quiet, bool)
    if quiet is not None and not (is_number and 0 <= quiet <= 7 * 86_400):
        raise ValueError("quiet_s is how long a file has to be left alone before it is taken: 0 to 604800 (seconds)")
    return config


TransferConfig = Annotated[
    Config, AfterValidator(_with_quiet), Field(description="`quiet_s`: seconds a file has to be left alone to be complete.")
]
Description = Annotated[Prose | None, Field(description="What it is.")]
Place = Annotated[Line | None, Empty, Field(description="Where it stands.")]
Pid = Annotated[Line | None, Empty, Field(description="Its persistent identifier.")]
BasePath = Annotated[Inside | None, Empty, Field(description="The folder on the share to begin in.")]
AccountId = Annotated[UUID | None, Empty, Field(description="The service account that reads the share.")]


class _Sent(Sent):
    only_read: ClassVar[frozenset[str]] = Sent.only_read | {"last_harvested_at"}


class InstrumentCreate(_Sent):
    """A new instrument."""

    name: FolderName
    cifs_host: Host
    cifs_share: Share
    description: Description = None
    location: Place = None
    pid: Pid = None
    cifs_port: Port = SMB_PORT
    cifs_base_path: BasePath = None
    service_account_id: AccountId = None
    transfer_adapter: Adapter = "rclone"
    transfer_config: TransferConfig | None = None
    enabled: bool = True


class InstrumentChange(_Sent):
    """What is to change about an instrument; what is left out stays."""

    name: FolderName = AS_IT_IS
    cifs_host: Host = AS_IT_IS
    cifs_share: Share = AS_IT_IS
    description: Description = None
    location: Place = None
    pid: Pid = None
    cifs_port: Port = AS_IT_IS
    cifs_base_path: BasePath = None
    service_account_id: AccountId = None
    transfer_adapter: Adapter = AS_IT_IS
    transfer_config: TransferConfig | None = None
    enabled: bool = AS_IT_IS


class InstrumentRead(KeptRead):
    """An instrument."""

    name: str
    description: str | None
    location: str | None
    pid: str | None
    cifs_host: str
    cifs_port: int
    cifs_share: str
    cifs_base_path: str | None
    service_account_id: str | None
    transfer_adapter: str
    transfer_config: dict[str, JsonValue] | None
    enabled: bool
    last_harvested_at: str | None


@router.get("/api/instruments", summary="Instruments, the oldest first")
async def list_instruments(
    principal: InventoryReader, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS, include_deleted: Deleted = False
) -> SkippedRows[InstrumentRead]:
    """For everybody who is signed in."""
    check_deleted(principal, include_deleted)
    rows, total = await parts.instruments.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return page([InstrumentRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


@router.post("/api/instruments", status_code=201, summary="Add an instrument")
async def create_instrument(body: InstrumentCreate, _: InventoryManager, parts: Parts) -> InstrumentRead:
    """Its name becomes the name of a folder, so it is one that no other instrument has or had."""
    return InstrumentRead.of(await parts.instruments.create(body.values()))


@router.get("/api/instruments/{instrument_id}", summary="One instrument")
async def read_instrument(instrument_id: Id, _: InventoryManager, parts: Parts) -> InstrumentRead:
    """Deleted ones are not found."""
    return InstrumentRead.of(await parts.instruments.get(str(instrument_id)))


@router.patch("/api/instruments/{instrument_id}", summary="Change an instrument")
async def change_instrument(instrument_id: Id, body: InstrumentChange, _: InventoryManager, parts: Parts) -> InstrumentRead:
    """What is left out stays as it is."""
    return InstrumentRead.of(await parts.instruments.change(str(instrument_id), body.changes()))


@router.delete("/api/instruments/{instrument_id}", status_code=204, summary="Delete an instrument")
async def delete_instrument(instrument_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """It is switched off too. `restore` brings it back; what came from it stays."""
    await parts.instruments.delete(str(instrument_id))
    return Response(status_code=204)


@router.post("/api/instruments/{instrument_id}/restore", summary="Bring a deleted instrument back")
async def restore_instrument(instrument_id: Id, _: InventoryManager, parts: Parts) -> InstrumentRead:
    """Switched off, until somebody switches it on."""
    return InstrumentRead.of(await parts.instruments.restore(str(instrument_id)))
