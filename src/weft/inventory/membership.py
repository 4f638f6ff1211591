"""Who belongs to what: accounts in groups, accounts and groups in projects."""

from collections.abc import Sequence
from typing import Final, Literal

from sqlalchemy import Select, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.tables import User
from weft.auth.witness import Action, Change
from weft.core.errors import Conflict, NotFound
from weft.core.ids import new_id
from weft.db.database import Database
from weft.inventory.change import Unit, Units
from weft.inventory.shelf import find
from weft.inventory.tables import GROUP, USER, GroupMemberRow, GroupRow, ProjectMemberRow, ProjectRow

MemberType = Literal["user", "group"]

_NO_MEMBERSHIP: Final = "Membership not found"


class Memberships:
    """Every membership. Who is deleted is in nothing, and what is deleted has nobody in it, until it comes back."""

    def __init__(self, units: Units) -> None:
        self._units = units

    @property
    def database(self) -> Database:
        """Where they are kept."""
        return self._units.database

    async def of_group(self, group_id: str, *, skip: int, limit: int) -> Sequence[tuple[GroupMemberRow, str]]:
        """A group's members with their addresses, in the order in which they came. Raises NotFound."""
        asked = (
            select(GroupMemberRow, User.email)
            .join(User, User.id == GroupMemberRow.user_id)
            .where(GroupMemberRow.group_id == group_id, User.deleted_at_us.is_(None))
            .order_by(GroupMemberRow.created_at_us, GroupMemberRow.user_id)
        )
        async with self.database.reading() as session:
            await find(session, GroupRow, group_id)
            return (await session.execute(asked.offset(skip).limit(limit))).tuples().all()

    async def add_to_group(self, group_id: str, user_id: str) -> tuple[GroupMemberRow, str]:
        """Put an account into a group. Raises NotFound, and Conflict where it is in it."""
        async with self._units.begin() as unit:
            await find(unit.session, GroupRow, group_id, to_change=True)
            email = await _email(unit.session, user_id)
            if await unit.session.get(GroupMemberRow, (group_id, user_id)) is not None:
                raise Conflict(f"'{email}' is in this group already", code="User already in group")
            row = GroupMemberRow(group_id=group_id, user_id=user_id, created_at_us=unit.now_us)
            unit.session.add(row)
            await _tell(unit, GroupRow.entity, group_id, None, email)
        return row, email

    async def take_from_group(self, group_id: str, user_id: str) -> None:
        """Take an account out of a group. Raises NotFound."""
        async with self._units.begin() as unit:
            await find(unit.session, GroupRow, group_id, to_change=True)
            row = await unit.session.get(GroupMemberRow, (group_id, user_id))
            if row is None:
                raise NotFound(f"the account '{user_id}' is not in this group", code=_NO_MEMBERSHIP)
            await unit.session.delete(row)
            await _tell(unit, GroupRow.entity, group_id, await _name(unit.session, USER, user_id), None)

    async def of_project(self, project_id: str, *, skip: int, limit: int) -> Sequence[tuple[ProjectMemberRow, str | None]]:
        """A project's members, accounts with their addresses, in the order in which they came. Raises NotFound."""
        is_user = and_(ProjectMemberRow.member_type == USER, User.id == ProjectMemberRow.member_id)
        is_group = and_(ProjectMemberRow.member_type == GROUP, GroupRow.id == ProjectMemberRow.member_id)
        is_there = or_(
            and_(User.id.is_not(None), User.deleted_at_us.is_(None)),
            and_(GroupRow.id.is_not(None), GroupRow.deleted_at_us.is_(None)),
        )
        asked = (
            select(ProjectMemberRow, User.email)
            .outerjoin(User, is_user)
            .outerjoin(GroupRow, is_group)
            .where(ProjectMemberRow.project_id == project_id, is_there)
            .order_by(ProjectMemberRow.created_at_us, ProjectMemberRow.id)
        )
        async with self.database.reading() as session:
            await find(session, ProjectRow, project_id)
            return (await session.execute(asked.offset(skip).limit(limit))).tuples().all()

    async def add_to_project(
        self, project_id: str, member_type: MemberType, member_id: str
    ) -> tuple[ProjectMemberRow, str | None]:
        """Put an account or a group into a project. Raises NotFound, and Conflict where it is in it."""
        async with self._units.begin() as unit:
            await find(unit.session, ProjectRow, project_id, to_change=True)
            email = await _email(unit.session, member_id) if member_type == USER else None
            name = email if email is not None else (await find(unit.session, GroupRow, member_id)).name
            same = (
                ProjectMemberRow.project_id == project_id,
                ProjectMemberRow.member_type == member_type,
                ProjectMemberRow.member_id == member_id,
            )
            if await unit.session.scalar(select(ProjectMemberRow.id).where(*same)) is not None:
                raise Conflict(f"'{name}' is in this project already", code="Member already in project")
            row = ProjectMemberRow(
                id=new_id(unit.now_us),
                project_id=project_id,
                member_type=member_type,
                member_id=member_id,
                created_at_us=unit.now_us,
            )
            unit.session.add(row)
            await _tell(unit, ProjectRow.entity, project_id, None, name)
        return row, email

    async def take_from_project(self, project_id: str, member_id: str) -> None:
        """Take a member out of a project: named by its own id or by that of its membership. Raises NotFound."""
        async with self._units.begin() as unit:
            await find(unit.session, ProjectRow, project_id, to_change=True)
            named = or_(ProjectMemberRow.member_id == member_id, ProjectMemberRow.id == member_id)
            asked = select(ProjectMemberRow).where(ProjectMemberRow.project_id == project_id, named)
            row = await unit.session.scalar(asked)
            if row is None:
                raise NotFound(f"there is no member '{member_id}' in this project", code=_NO_MEMBERSHIP)
            name = await _name(unit.session, row.member_type, row.member_id)
            await unit.session.execute(delete(ProjectMemberRow).where(ProjectMemberRow.id == row.id))
            await _tell(unit, ProjectRow.entity, project_id, name, None)

    async def groups_of(self, user_id: str, *, skip: int = 0, limit: int | None = None) -> Sequence[GroupRow]:
        """The groups an account is in."""
        ordered = _groups_of(user_id).order_by(GroupRow.created_at_us, GroupRow.id)
        async with self.database.reading() as session:
            return (await session.scalars(ordered.offset(skip).limit(limit))).all()

    async def projects_of(
        self, user_id: str, *, through_groups: bool, skip: int = 0, limit: int | None = None
    ) -> Sequence[ProjectRow]:
        """The projects an account is in, itself or also through its groups; each once."""
        is_member = and_(ProjectMemberRow.member_type == USER, ProjectMemberRow.member_id == user_id)
        if through_groups:
            own = _groups_of(user_id).with_only_columns(GroupRow.id)
            is_member = or_(is_member, and_(ProjectMemberRow.member_type == GROUP, ProjectMemberRow.member_id.in_(own)))
        mine = select(ProjectMemberRow.project_id).where(is_member)
        asked = select(ProjectRow).where(ProjectRow.id.in_(mine), ProjectRow.deleted_at_us.is_(None))
        ordered = asked.order_by(ProjectRow.created_at_us, ProjectRow.id)
        async with self.database.reading() as session:
            return (await session.scalars(ordered.offset(skip).limit(limit))).all()


def _groups_of(user_id: str) -> Select[tuple[GroupRow]]:
    mine = select(GroupMemberRow.group_id).where(GroupMemberRow.user_id == user_id)
    return select(GroupRow).where(GroupRow.id.in_(mine), GroupRow.deleted_at_us.is_(None))


async def _email(session: AsyncSession, user_id: str) -> str:
    user = await session.get(User, user_id)
    if user is None or user.deleted_at_us is not None:
        raise NotFound(f"there is no account '{user_id}'", code="User not found")
    return user.email


async def _name(session: AsyncSession, member_type: str, member_id: str) -> str:
    """What a member is called, also where it is deleted."""
    if member_type == USER:
        user = await session.get(User, member_id)
        return user.email if user is not None else member_id
    group = await session.get(GroupRow, member_id)
    return group.name if group is not None else member_id


async def _tell(unit: Unit, entity: str, entity_id: str, before: str | None, after: str | None) -> None:
    await unit.tell(Action.UPDATE, entity, entity_id, {"members": Change(before, after)})
