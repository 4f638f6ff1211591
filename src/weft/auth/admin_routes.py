"""Routes of all accounts, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from weft.auth.account_routes import Address, UserRead, bad_password, change_email
from weft.auth.error_code import ErrorCode
from weft.auth.parts import AuthParts
from weft.auth.signature import AuthPartsOf, ProofOf, UserManager
from weft.auth.tables import User
from weft.core.errors import Conflict, Invalid, Refused
from weft.core.principal import Role

router = APIRouter(tags=["accounts"])

Skip = Annotated[int, Query(ge=0, le=2**31, description="How many to leave out at the front.")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many to show.")]


class UserPage(BaseModel):
    """A page of accounts."""

    items: list[UserRead]
    total: int
    skip: int
    limit: int


class UserCreate(BaseModel):
    """A new account."""

    model_config = ConfigDict(extra="forbid")

    email: Address
    password: str = Field(max_length=4096)
    role: Role = Role.USER
    is_verified: bool = True


class UserUpdate(BaseModel):
    """What an administrator may change; only what is sent is changed."""

    model_config = ConfigDict(extra="forbid")

    email: Address | None = None
    password: str | None = Field(default=None, max_length=4096)
    role: Role | None = None
    is_active: bool | None = None
    is_verified: bool | None = None


@router.get("/api/auth/check-admin", summary="Whether you are an administrator, for a reverse proxy to ask")
async def check_admin(_: UserManager, proof: ProofOf) -> dict[str, str]:
    """200 for an administrator, 401 for nobody, 403 for anybody else."""
    return {"email": proof.principal.name}


@router.get("/api/admin/users", summary="All accounts")
async def list_users(
    _: UserManager, parts: AuthPartsOf, skip: Skip = 0, limit: Limit = 25, include_deleted: bool = False
) -> UserPage:
    """Oldest first."""
    users, total = await parts.accounts.list_accounts(skip=skip, limit=limit, include_deleted=include_deleted)
    return UserPage(items=[UserRead.of(user) for user in users], total=total, skip=skip, limit=limit)


@router.post("/api/admin/users", status_code=201, summary="Make an account")
async def create_user(body: UserCreate, _: UserManager, parts: AuthPartsOf) -> UserRead:
    """With any role."""
    try:
        return UserRead.of(await parts.accounts.create(body.email, body.password, role=body.role, is_verified=body.is_verified))
    except Conflict as taken:
        raise Refused(taken.message, code=ErrorCode.REGISTER_USER_ALREADY_EXISTS) from taken
    except Invalid as unfit:
        raise bad_password(ErrorCode.REGISTER_INVALID_PASSWORD, unfit) from None


@router.get("/api/admin/users/{user_id}", summary="One account")
@router.get("/users/{user_id}", summary="One account")
async def read_user(user_id: str, _: UserManager, parts: AuthPartsOf) -> UserRead:
    """Deleted ones included."""
    return UserRead.of(await parts.accounts.get(user_id))


@router.patch("/api/admin/users/{user_id}", summary="Change an account")
@router.patch("/users/{user_id}", summary="Change an account")
async def update_user(user_id: str, body: UserUpdate, _: UserManager, proof: ProofOf, parts: AuthPartsOf) -> UserRead:
    """Deactivating takes effect at once and ends every session; a new password does too."""
    if body.is_active is False:
        _refuse_self(user_id, proof.subject_id, "deactivate")
    user = await parts.accounts.get(user_id)
    if body.password is not None:
        user = await _set_password(user.id, body.password, parts)
    if body.email is not None:
        user = await change_email(user.id, body.email, parts)
    if body.role is not None or body.is_active is not None or body.is_verified is not None:
        user = await parts.accounts.change(user.id, role=body.role, is_active=body.is_active, is_verified=body.is_verified)
    return UserRead.of(user)


@router.delete("/api/admin/users/{user_id}", status_code=204, summary="Delete an account")
@router.delete("/users/{user_id}", status_code=204, summary="Delete an account")
async def delete_user(user_id: str, _: UserManager, proof: ProofOf, parts: AuthPartsOf) -> Response:
    """Its name stays with what it did; `restore` brings it back."""
    _refuse_self(user_id, proof.subject_id, "delete")
    await parts.accounts.delete(user_id)
    return Response(status_code=204)


@router.post("/api/admin/users/{user_id}/restore", summary="Bring a deleted account back")
async def restore_user(user_id: str, _: UserManager, parts: AuthPartsOf) -> UserRead:
    """With the role it had."""
    return UserRead.of(await parts.accounts.restore(user_id))


async def _set_password(user_id: str, password: str, parts: AuthParts) -> User:
    try:
        return await parts.accounts.set_password(user_id, password)
    except Invalid as unfit:
        raise bad_password(ErrorCode.UPDATE_USER_INVALID_PASSWORD, unfit) from None


def _refuse_self(user_id: str, own_id: str | None, verb: str) -> None:
    if user_id == own_id:
        raise Refused(f"you cannot {verb} your own account; ask another administrator")
