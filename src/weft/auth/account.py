"""Accounts: made, found, changed, put out of force. The routes and the CLI call the same functions."""

import logging
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.attempt import Attempts
from weft.auth.password import Passwords
from weft.auth.revocation import Revocations
from weft.auth.secrets import MASK
from weft.auth.session import Sessions
from weft.auth.tables import User
from weft.auth.witness import Action, Change, Deed, Witness, difference, nobody
from weft.core.clock import Clock
from weft.core.errors import Conflict, Invalid, NotFound
from weft.core.ids import new_id
from weft.core.principal import Role
from weft.db.database import Database

logger = logging.getLogger(__name__)

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,255}")
ENTITY: Final = "user"
"""What the ledger calls an account, as its earlier readers know it."""
_TAKEN: Final = "REGISTER_USER_ALREADY_EXISTS"


class Accounts:
    """The accounts of this installation."""

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        sessions: Sessions,
        attempts: Attempts,
        revocations: Revocations,
        clock: Clock,
        witness: Witness = nobody,
    ) -> None:
        self._witness = witness
        self._database = database
        self._attempts = attempts
        self._passwords = passwords
        self._sessions = sessions
        self._revocations = revocations
        self._clock = clock

    async def create(
        self,
        email: str,
        password: str,
        *,
        role: Role = Role.USER,
        is_verified: bool = False,
        password_is_initial: bool = False,
        only_first: bool = False,
    ) -> User:
        """A new account. Raises Conflict where the address is taken (or, with `only_first`, where any account exists)."""
        email = read_email(email)
        self._passwords.check(password, email=email)
        hashed = await self._passwords.hash(password)
        now_us = self._clock.now_us()
        user = User(
            id=new_id(now_us),
            email=email,
            hashed_password=hashed,
            role=role.value,
            is_active=True,
            is_verified=is_verified,
            password_is_initial=password_is_initial,
            token_version=0,
            created_at_us=now_us,
            updated_at_us=now_us,
        )
        try:
            async with self._database.writing() as session:
                if only_first:
                    await _refuse_second(session)
                session.add(user)
                await self._tell(session, Action.CREATE, user, {})
        except Conflict as taken:
            raise Conflict(f"an account for '{email}' exists already", code=_TAKEN) from taken
        logger.info("account_created", extra={"account_id": user.id, "role": user.role})
        return user

    async def find_by_email(self, email: str) -> User | None:
        """The account of an address, in force or not."""
        async with self._database.reading() as session:
            return await session.scalar(select(User).where(User.email == canonical_email(email)))

    async def get(self, user_id: str) -> User:
        """The account of an id, in force or not. Raises NotFound."""
        async with self._database.reading() as session:
            return await _get(session, user_id)

    async def count(self) -> int:
        """How many accounts there are, deleted ones included."""
        async with self._database.reading() as session:
            return await session.scalar(select(func.count()).select_from(User)) or 0

    async def list_accounts(
        self, *, skip: int = 0, limit: int = 25, include_deleted: bool = False
    ) -> tuple[Sequence[User], int]:
        """A page of accounts, oldest first, and how many there are."""
        chosen = select(User) if include_deleted else select(User).where(User.deleted_at_us.is_(None))
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
            rows = await session.scalars(chosen.order_by(User.id).offset(skip).limit(limit))
            return rows.all(), total or 0

    async def has_initial_password(self) -> bool:
        """Whether an administrator in force still has the password that was printed at the first start."""
        async with self._database.reading() as session:
            found = await session.scalar(
                select(User.id).where(User.password_is_initial, User.is_active, User.deleted_at_us.is_(None)).limit(1)
            )
            return found is not None

    async def change(
        self,
        user_id: str,
        *,
        email: str | None = None,
        role: Role | None = None,
        is_active: bool | None = None,
        is_verified: bool | None = None,
    ) -> User:
        """Change what is given. A new address is an unverified one. Raises Conflict for the last administrator."""
        try:
            async with self._database.writing() as session:
                user = await _get(session, user_id)
                before = _shown(user)
                if email is not None and read_email(email) != user.email:
                    user.email = read_email(email)
                    user.is_verified = False
                if is_verified is not None:
                    user.is_verified = is_verified
                if (role is not None and role is not Role.ADMIN) or is_active is False:
                    await _keep_an_administrator(session, user)
                if role is not None:
                    user.role = role.value
                if is_active is not None:
                    user.is_active = is_active
                    user.token_version += 0 if is_active else 1
                user.updated_at_us = self._clock.now_us()
                await self._tell(session, Action.UPDATE, user, before)
        except Conflict as taken:
            if "code" in taken.details:
                raise
            raise Conflict(f"an account for '{email}' exists already", code="UPDATE_USER_EMAIL_ALREADY_EXISTS") from taken
        await self._revocations.of_user(user_id)
        logger.info("account_changed", extra={"account_id": user_id, "role": user.role, "is_active": user.is_active})
        if is_active is False:
            await self._sessions.end_others(user_id, None, "account deactivated")
        return user

    async def set_password(self, user_id: str, password: str, *, keep_session: str | None = None) -> User:
        """A new password; every other session of the account ends, and failed sign-ins are forgiven."""
        async with self._database.reading() as session:
            user = await _get(session, user_id)
        self._passwords.check(password, email=user.email)
        hashed = await self._passwords.hash(password)
        async with self._database.writing() as session:
            user = await _get(session, user_id)
            user.hashed_password = hashed
            user.password_is_initial = False
            user.token_version += 0 if keep_session else 1
            user.updated_at_us = self._clock.now_us()
            changes = {"password": Change(MASK, MASK)}
            await self._witness(session, Deed(action=Action.UPDATE, entity_type=ENTITY, entity_id=user.id, changes=changes))
        await self._sessions.end_others(user_id, keep_session, "password changed")
        await self._attempts.forgive(user.email)
        logger.info("password_changed", extra={"account_id": user_id})
        return user

    async def check_password(self, user: User, password: str) -> bool:
        """Whether the password is the account's."""
        return (await self._passwords.verify(password, user.hashed_password))[0]

    async def delete(self, user_id: str) -> None:
        """Put an account out of force for good; what it did keeps its name. Raises Conflict for the last administrator."""
        async with self._database.writing() as session:
            user = await _get(session, user_id)
            if user.deleted_at_us is not None:
                raise NotFound(f"there is no account '{user_id}'")
            await _keep_an_administrator(session, user)
            before = _shown(user)
            user.deleted_at_us = self._clock.now_us()
            user.token_version += 1
            await self._tell(session, Action.DELETE, user, before)
        await self._sessions.end_others(user_id, None, "account deleted")
        logger.info("account_deleted", extra={"account_id": user_id})

    async def restore(self, user_id: str) -> User:
        """Bring a deleted account back. Raises NotFound where it is not deleted."""
        async with self._database.writing() as session:
            user = await _get(session, user_id)
            if user.deleted_at_us is None:
                raise NotFound(f"there is no deleted account '{user_id}'")
            before = _shown(user)
            user.deleted_at_us = None
            user.updated_at_us = self._clock.now_us()
            await self._tell(session, Action.RESTORE, user, before)
        return user

    async def _tell(self, session: AsyncSession, action: Action, user: User, before: Mapping[str, Any]) -> None:
        changes = difference(before, _shown(user))
        if changes:
            await self._witness(session, Deed(action=action, entity_type=ENTITY, entity_id=user.id, changes=changes))


def canonical_email(text: str) -> str:
    """The one form an address is kept and looked for in."""
    return unicodedata.normalize("NFC", text.strip()).lower()


def read_email(text: str) -> str:
    """An e-mail address in the one form it is kept in. Raises Invalid."""
    email = canonical_email(text)
    if len(email) > 320 or not _EMAIL.fullmatch(email):
        raise Invalid(f"'{text[:64]}' is not an e-mail address", field="email")
    return email


def make_password() -> str:
    """A random password that can be read aloud: 20 characters, more than 95 bits."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def _shown(user: User) -> dict[str, Any]:
    """What is told of an account: never anything of its password."""
    return {
        "email": user.email,
        "role": user.role,
        "is_active": user.is_active,
        "is_verified": user.is_verified,
        "is_deleted": user.deleted_at_us is not None,
    }


async def _get(session: AsyncSession, user_id: str) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound(f"there is no account '{user_id[:64]}'", code="User not found")
    return user


async def _refuse_second(session: AsyncSession) -> None:
    if await session.scalar(select(func.count()).select_from(User)):
        raise Conflict("there is an account already")


async def _keep_an_administrator(session: AsyncSession, user: User) -> None:
    if user.role != Role.ADMIN or not user.may_sign_in:
        return
    # Locked, so that of two administrators who dismiss each other at once one stays.
    administrators = await session.scalars(
        select(User.id)
        .where(User.role == Role.ADMIN.value, User.is_active, User.deleted_at_us.is_(None))
        .order_by(User.id)
        .with_for_update()
    )
    if set(administrators) <= {user.id}:
        raise Conflict(f"'{user.email}' is the last administrator; make another one first", code="LAST_ADMINISTRATOR")
