"""Routes of groups and of who is in them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from weft.api.paging import Skip, SkippedRows
from weft.auth.signature import InventoryManager
from weft.inventory.name import Name, Prose
from weft.inventory.routes.answer import AS_IT_IS, DEFAULT_ROWS, MOST_ROWS, Deleted, Id, Parts, Rows, Sent, page, shown
from weft.inventory.tables import GroupMemberRow, GroupRow

router = APIRouter(tags=["groups"])

UserId = Annotated[UUID, Path(description="The account.")]


class GroupCreate(Sent):
    """A new group."""

    name: Name
    description: Prose | None = None


class GroupChange(Sent):
    """What is to change about a group; what is left out stays."""

    name: Name = AS_IT_IS
    description: Prose | None = None


class GroupRead(BaseModel):
    """A group."""

    id: str
    name: str
    description: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: GroupRow) -> "GroupRead":
        """The group as it is shown."""
        return cls(**{name: shown(row, name) for name in cls.model_fields})


class GroupAddition(BaseModel):
    """Who is to be in a group."""

    user_id: UUID


class GroupMember(BaseModel):
    """Who is in a group."""

    group_id: str
    user_id: str
    email: str

    @classmethod
    def of(cls, row: GroupMemberRow, email: str) -> "GroupMember":
        """The membership as it is shown."""
        return cls(group_id=row.group_id, user_id=row.user_id, email=email)


@router.get("/api/groups", summary="Groups, the oldest first")
async def list_groups(
    _: InventoryManager, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS, include_deleted: Deleted = False
) -> SkippedRows[GroupRead]:
    """All of them."""
    rows, total = await parts.groups.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return page([GroupRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


@router.post("/api/groups", status_code=201, summary="Make a group")
async def create_group(body: GroupCreate, _: InventoryManager, parts: Parts) -> GroupRead:
    """With nobody in it."""
    return GroupRead.of(await parts.groups.create(body.values()))


@router.get("/api/groups/{group_id}", summary="One group")
async def read_group(group_id: Id, _: InventoryManager, parts: Parts) -> GroupRead:
    """Deleted ones are not found."""
    return GroupRead.of(await parts.groups.get(str(group_id)))


@router.patch("/api/groups/{group_id}", summary="Change a group")
async def change_group(group_id: Id, body: GroupChange, _: InventoryManager, parts: Parts) -> GroupRead:
    """What is left out stays as it is."""
    return GroupRead.of(await parts.groups.change(str(group_id), body.changes()))


@router.delete("/api/groups/{group_id}", status_code=204, summary="Delete a group")
async def delete_group(group_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """Nobody is in it then; `restore` brings it back with whom it had."""
    await parts.groups.delete(str(group_id))
    return Response(status_code=204)


@router.post("/api/groups/{group_id}/restore", summary="Bring a deleted group back")
async def restore_group(group_id: Id, _: InventoryManager, parts: Parts) -> GroupRead:
    """With whom it had."""
    return GroupRead.of(await parts.groups.restore(str(group_id)))


@router.get("/api/groups/{group_id}/members", summary="Who is in a group")
async def list_group_members(
    group_id: Id,
    _: InventoryManager,
    parts: Parts,
    skip: Skip = 0,
    limit: Rows = MOST_ROWS,
) -> list[GroupMember]:
    """In the order in which they came. A bare list; where there are more than 500, `skip` goes on."""
    members = await parts.memberships.of_group(str(group_id), skip=skip, limit=limit)
    return [GroupMember.of(row, email) for row, email in members]


@router.post("/api/groups/{group_id}/members", status_code=201, summary="Put an account into a group")
async def add_group_member(group_id: Id, body: GroupAddition, _: InventoryManager, parts: Parts) -> GroupMember:
    """409 where it is in it already."""
    return GroupMember.of(*await parts.memberships.add_to_group(str(group_id), str(body.user_id)))


@router.delete("/api/groups/{group_id}/members/{user_id}", status_code=204, summary="Take an account out of a group")
async def remove_group_member(group_id: Id, user_id: UserId, _: InventoryManager, parts: Parts) -> Response:
    """404 where it is not in it."""
    await parts.memberships.take_from_group(str(group_id), str(user_id))
    return Response(status_code=204)
