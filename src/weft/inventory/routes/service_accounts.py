"""Routes of service accounts."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from weft.api.paging import Skip
from weft.auth.signature import InventoryManager, SecretRevealer
from weft.inventory.name import Empty, Line, Name
from weft.inventory.routes.answer import AS_IT_IS, MOST_ROWS, Deleted, Id, KeptRead, Parts, Rows, Sent

router = APIRouter(tags=["service accounts"])

Domain = Annotated[Line | None, Empty, Field(description="Its Windows domain.")]
Password = Annotated[Line, Field(description="'****' stands for the password that is stored.")]


class ServiceAccountCreate(Sent):
    """A new service account."""

    name: Name
    username: Line
    password: Password
    domain: Domain = None


class ServiceAccountChange(Sent):
    """What is to change about a service account; what is left out stays."""

    name: Name = AS_IT_IS
    username: Line = AS_IT_IS
    password: Password = AS_IT_IS
    domain: Domain = None


class ServiceAccountRead(KeptRead):
    """A service account, without its password."""

    name: str
    domain: str | None
    username: str


class Revealed(BaseModel):
    """A password."""

    password: str


@router.get("/api/service-accounts", summary="Service accounts, the oldest first")
async def list_service_accounts(
    _: InventoryManager, parts: Parts, skip: Skip = 0, limit: Rows = MOST_ROWS, include_deleted: Deleted = False
) -> list[ServiceAccountRead]:
    """Never with passwords. A bare list; where there are more than 500, `skip` goes on."""
    rows, _total = await parts.service_accounts.shelf.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return [ServiceAccountRead.of(row) for row in rows]


@router.post("/api/service-accounts", status_code=201, summary="Add a service account")
async def create_service_account(body: ServiceAccountCreate, _: InventoryManager, parts: Parts) -> ServiceAccountRead:
    """Its password is encrypted at rest."""
    return ServiceAccountRead.of(await parts.service_accounts.shelf.create(body.values()))


@router.get("/api/service-accounts/{account_id}", summary="One service account")
async def read_service_account(account_id: Id, _: InventoryManager, parts: Parts) -> ServiceAccountRead:
    """Without its password."""
    return ServiceAccountRead.of(await parts.service_accounts.shelf.get(str(account_id)))


@router.get("/api/service-accounts/{account_id}/password", summary="Reveal the password of a service account")
async def reveal_password(account_id: Id, _: SecretRevealer, parts: Parts, response: Response) -> Revealed:
    """It is written down that you asked, before you get it."""
    password = await parts.service_accounts.reveal(str(account_id))
    response.headers["Cache-Control"] = "no-store"
    return Revealed(password=password)


@router.patch("/api/service-accounts/{account_id}", summary="Change a service account")
async def change_service_account(
    account_id: Id,
    body: ServiceAccountChange,
    _: InventoryManager,
    parts: Parts,
) -> ServiceAccountRead:
    """What is left out stays as it is, and a password that is '****' too."""
    return ServiceAccountRead.of(await parts.service_accounts.shelf.change(str(account_id), body.changes()))


@router.delete("/api/service-accounts/{account_id}", status_code=204, summary="Delete a service account")
async def delete_service_account(account_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """`restore` brings it back."""
    await parts.service_accounts.shelf.delete(str(account_id))
    return Response(status_code=204)


@router.post("/api/service-accounts/{account_id}/restore", summary="Bring a deleted service account back")
async def restore_service_account(account_id: Id, _: InventoryManager, parts: Parts) -> ServiceAccountRead:
    """With the password it had."""
    return ServiceAccountRead.of(await parts.service_accounts.shelf.restore(str(account_id)))
