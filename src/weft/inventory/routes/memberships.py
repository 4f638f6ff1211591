"""Routes of what an account belongs to."""

from fastapi import APIRouter

from weft.api.paging import Skip
from weft.auth.account_routes import UserRead, person
from weft.auth.signature import AuthPartsOf, InventoryManager, KnownReader, ProofOf
from weft.inventory.routes.answer import MOST_ROWS, Id, Parts, Rows
from weft.inventory.routes.groups import GroupRead
from weft.inventory.routes.projects import ProjectRead

router = APIRouter(tags=["accounts"])


class Me(UserRead):
    """An account with what it belongs to."""

    groups: list[GroupRead]
    projects: list[ProjectRead]


@router.get("/api/me", summary="Your account, and what it belongs to")
async def read_me_with_groups(_: KnownReader, proof: ProofOf, auth: AuthPartsOf, parts: Parts) -> Me:
    """Its groups, and the projects it is in by itself or through one of them, each once."""
    user = await auth.accounts.get(person(proof))
    groups = await parts.memberships.groups_of(user.id)
    projects = await parts.memberships.projects_of(user.id, through_groups=True)
    return Me(
        **UserRead.of(user).model_dump(),
        groups=[GroupRead.of(row) for row in groups],
        projects=[ProjectRead.of(row) for row in projects],
    )


@router.get("/api/admin/users/{user_id}/groups", summary="The groups an account is in")
async def list_groups_of_user(
    user_id: Id,
    _: InventoryManager,
    auth: AuthPartsOf,
    parts: Parts,
    skip: Skip = 0,
    limit: Rows = MOST_ROWS,
) -> list[GroupRead]:
    """A bare list, the oldest first."""
    user = await auth.accounts.get(str(user_id))
    return [GroupRead.of(row) for row in await parts.memberships.groups_of(user.id, skip=skip, limit=limit)]


@router.get("/api/admin/users/{user_id}/projects", summary="The projects an account is in itself")
async def list_projects_of_user(
    user_id: Id,
    _: InventoryManager,
    auth: AuthPartsOf,
    parts: Parts,
    skip: Skip = 0,
    limit: Rows = MOST_ROWS,
) -> list[ProjectRead]:
    """A bare list, the oldest first; those it is in through a group are not in it."""
    user = await auth.accounts.get(str(user_id))
    rows = await parts.memberships.projects_of(user.id, through_groups=False, skip=skip, limit=limit)
    return [ProjectRead.of(row) for row in rows]
