"""Routes of projects and of who is in them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from weft.api.paging import Skip, SkippedRows
from weft.auth.signature import InventoryManager
from weft.inventory.membership import MemberType
from weft.inventory.name import Name, Prose
from weft.inventory.routes.answer import AS_IT_IS, DEFAULT_ROWS, MOST_ROWS, Deleted, Id, Parts, Rows, Sent, page, shown
from weft.inventory.tables import ProjectMemberRow, ProjectRow

router = APIRouter(tags=["projects"])

MemberId = Annotated[UUID, Path(description="The account or group, or its membership.")]


class ProjectCreate(Sent):
    """A new project."""

    name: Name
    description: Prose | None = None


class ProjectChange(Sent):
    """What is to change about a project; what is left out stays."""

    name: Name = AS_IT_IS
    description: Prose | None = None


class ProjectRead(BaseModel):
    """A project."""

    id: str
    name: str
    description: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: ProjectRow) -> "ProjectRead":
        """The project as it is shown."""
        return cls(**{name: shown(row, name) for name in cls.model_fields})


class ProjectAddition(BaseModel):
    """Who is to be in a project."""

    member_type: MemberType
    member_id: UUID


class ProjectMember(BaseModel):
    """Who is in a project; a group has no address."""

    id: str
    project_id: str
    member_type: MemberType
    member_id: str
    email: str | None

    @classmethod
    def of(cls, row: ProjectMemberRow, email: str | None) -> "ProjectMember":
        """The membership as it is shown."""
        return cls(email=email, **{name: getattr(row, name) for name in ("id", "project_id", "member_type", "member_id")})


@router.get("/api/projects", summary="Projects, the oldest first")
async def list_projects(
    _: InventoryManager, parts: Parts, skip: Skip = 0, limit: Rows = DEFAULT_ROWS, include_deleted: Deleted = False
) -> SkippedRows[ProjectRead]:
    """All of them."""
    rows, total = await parts.projects.list_page(skip=skip, limit=limit, include_deleted=include_deleted)
    return page([ProjectRead.of(row) for row in rows], total=total, skip=skip, limit=limit)


@router.post("/api/projects", status_code=201, summary="Make a project")
async def create_project(body: ProjectCreate, _: InventoryManager, parts: Parts) -> ProjectRead:
    """With nobody in it."""
    return ProjectRead.of(await parts.projects.create(body.values()))


@router.get("/api/projects/{project_id}", summary="One project")
async def read_project(project_id: Id, _: InventoryManager, parts: Parts) -> ProjectRead:
    """Deleted ones are not found."""
    return ProjectRead.of(await parts.projects.get(str(project_id)))


@router.patch("/api/projects/{project_id}", summary="Change a project")
async def change_project(project_id: Id, body: ProjectChange, _: InventoryManager, parts: Parts) -> ProjectRead:
    """What is left out stays as it is."""
    return ProjectRead.of(await parts.projects.change(str(project_id), body.changes()))


@router.delete("/api/projects/{project_id}", status_code=204, summary="Delete a project")
async def delete_project(project_id: Id, _: InventoryManager, parts: Parts) -> Response:
    """Nobody is in it then; `restore` brings it back with whom it had."""
    await parts.projects.delete(str(project_id))
    return Response(status_code=204)


@router.post("/api/projects/{project_id}/restore", summary="Bring a deleted project back")
async def restore_project(project_id: Id, _: InventoryManager, parts: Parts) -> ProjectRead:
    """With whom it had."""
    return ProjectRead.of(await parts.projects.restore(str(project_id)))


@router.get("/api/projects/{project_id}/members", summary="Who is in a project")
async def list_project_members(
    project_id: Id,
    _: InventoryManager,
    parts: Parts,
    skip: Skip = 0,
    limit: Rows = MOST_ROWS,
) -> list[ProjectMember]:
    """In the order in which they came. A bare list; where there are more than 500, `skip` goes on."""
    members = await parts.memberships.of_project(str(project_id), skip=skip, limit=limit)
    return [ProjectMember.of(row, email) for row, email in members]


@router.post("/api/projects/{project_id}/members", status_code=201, summary="Put an account or a group into a project")
async def add_project_member(project_id: Id, body: ProjectAddition, _: InventoryManager, parts: Parts) -> ProjectMember:
    """404 where there is no such member, 409 where it is in it already."""
    member_id = str(body.member_id)
    return ProjectMember.of(*await parts.memberships.add_to_project(str(project_id), body.member_type, member_id))


@router.delete(
    "/api/projects/{project_id}/members/{member_id}", status_code=204, summary="Take an account or a group out of a project"
)
async def remove_project_member(project_id: Id, member_id: MemberId, _: InventoryManager, parts: Parts) -> Response:
    """404 where it is not in it."""
    await parts.memberships.take_from_project(str(project_id), str(member_id))
    return Response(status_code=204)
