"""Routes of storage locations."""

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Response
from pydantic import AfterValidator, BaseModel, Field, JsonValue

from weft.api.paging import Skip, SkippedRows
from weft.auth.signature import InventoryManager, InventoryReader
from weft.core.errors import Conflict, Unavailable
from weft.inventory.connection import LocationType
from weft.inventory.name import Name, read_inside
from weft.inventory.probe import probe
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

router = APIRouter(tags=["storage locations"])

BasePath = Annotated[
    str, Field(min_length=1, max_length=1024), AfterValidator(read_inside), Field(description="Where its paths begin.")
]
Connection = Annotated[
    Config | None,
    Field(
        description="s3: bucket, region, access_key_id, secret_access_key, endpoint_url; cifs: host, port, share, username, "
        "password, domain; nfs: host, export_path, mount_options. '****' stands for the secret that is stored; null removes "
        "what can be left out."
    ),
]


class LocationCreate(Sent):
    """A new storage location."""

    name: Name
    type: LocationType
    base_path: BasePath
    connection_config: Connection = None
    enabled: bool = True


class LocationChange(Sent):
    """What is to change about a storage location; what is left out stays, also inside `connection_config`."""

    name: Name = AS_IT_IS
    type: LocationType = AS_IT_IS
    base_path: BasePath = AS_IT_IS
    connection_config: Connection = None
    enabled: bool = AS_IT_IS


class LocationRead(KeptRead):
    """A storage location; its secrets are masked."""

    name: str
    type: str
    base_path: str
    connection_config: dict[str, JsonValue]
    enabled: bool


class Tested(BaseModel):
    """A location that can be used."""

    status: Literal["ok"]
    type: str
    name: str


@router.get("/api/storage-locations", summary="Storage locations, the oldest first")
async def list_storage_locations(
    principal: InventoryReader, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS, include_deleted: Deleted = False
) -> SkippedRows[LocationRead]:
    """For everybody who is signed in. Secrets are masked."""
    check_deleted(principal, include_deleted)
    rows, total = await parts.locations.shelf.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return page([LocationRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


@router.post("/api/storage-locations", status_code=201, summary="Add a storage location")
async def create_storage_location(body: LocationCreate, _: InventoryManager, parts: Parts) -> LocationRead:
    """Secrets are encrypted at rest and never shown again."""
    return LocationRead.of(await parts.locations.shelf.create(body.values()))


@router.get("/api/storage-locations/{location_id}", summary="One storage location")
async def read_storage_location(location_id: Id, _: InventoryManager, parts: Parts) -> LocationRead:
    """Secrets are masked."""
    return LocationRead.of(await parts.locations.shelf.get(str(location_id)))


@router.get("/api/storage-locations/{location_id}/test", summary="Try a storage location")
async def try_storage_location(location_id: Id, _: InventoryManager, parts: Parts) -> Tested:
    """Writes a file there, reads it back and removes it: as this process, on this machine. 502 says why it cannot; 501 for
    s3 and cifs, over which this Weft moves no files yet."""
    row = await parts.locations.shelf.get(str(location_id))
    if not row.enabled:
        raise Conflict(f"'{row.name}' is switched off", code="Storage location is disabled")
    try:
        await probe(row)
    except Unavailable as failed:
        raise HTTPException(502, detail=failed.message) from None  # a cause would decide about the status
    return Tested(status="ok", type=row.type, name=row.name)


@router.patch("/api/storage-locations/{location_id}", summary="Change a storage location")
async def change_storage_location(
    location_id: Id,
    body: LocationChange,
    _: InventoryManager,
    parts: Parts,
) -> LocationRead:
    """What is left out stays as it is, and a secret that is '****' too. A new type needs its whole connection."""
    return LocationRead.of(await parts.locations.shelf.change(str(location_id), body.changes()))


@router.delete("/api/storage-locations/{location_id}", status_code=204, summary="Delete a storage location")
async def delete_storage_location(location_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """It is switched off too. `restore` brings it back; the files in it stay."""
    await parts.locations.shelf.delete(str(location_id))
    return Response(status_code=204)


@router.post("/api/storage-locations/{location_id}/restore", summary="Bring a deleted storage location back")
async def restore_storage_location(location_id: Id, _: InventoryManager, parts: Parts) -> LocationRead:
    """Switched off, until somebody switches it on."""
    return LocationRead.of(await parts.locations.shelf.restore(str(location_id)))
