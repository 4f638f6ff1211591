"""Login: from a name and a password to an account, telling an attacker nothing."""

import logging
from typing import Final

from sqlalchemy import exists, select

from weft.auth.account import ENTITY, canonical_email
from weft.auth.attempt import Attempts
from weft.auth.password import Passwords
from weft.auth.tables import Session, User
from weft.auth.witness import Action, Actor, Deed, Witness, nobody, stranger
from weft.core.clock import Clock
from weft.core.errors import Unauthenticated
from weft.core.times import DAY_US
from weft.db.database import Database

_FAMILIAR_FOR_US: Final = 30 * DAY_US

logger = logging.getLogger(__name__)


class Login:
    """Checks names and passwords."""

    def __init__(
        self, database: Database, *, passwords: Passwords, attempts: Attempts, clock: Clock, witness: Witness = nobody
    ) -> None:
        self._witness = witness
        self._database = database
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock

    async def check(self, username: str, password: str, client_ip: str) -> User:
        """The account of a name and its password.

        Raises Unauthenticated with one message for every reason (unknown, wrong, deactivated), after the same work, and Busy
        where the account or the address failed too often.
        """
        email = canonical_email(username)[:320]
        user, is_familiar = await self._find(email, client_ip)
        await self._attempts.charge(email, client_ip, is_familiar=is_familiar)
        fits, better = await self._passwords.verify(password, user.hashed_password if user else None)
        if user is None or not fits or not user.may_sign_in:
            await self._tell_failed(user, client_ip)
            raise Unauthenticated("the name or the password is wrong", code="LOGIN_BAD_CREDENTIALS")
        await self._attempts.give_back(email, client_ip, is_familiar=is_familiar)
        async with self._database.writing() as session:
            fresh = await session.get_one(User, user.id)
            fresh.last_login_us = self._clock.now_us()
            if better is not None and fresh.hashed_password == user.hashed_password:
                fresh.hashed_password = better
            by = Actor(kind="user", id=user.id, name=user.email, address=client_ip)
            await self._witness(session, Deed(action=Action.LOGIN, entity_type=ENTITY, entity_id=user.id, by=by))
        logger.info("login_succeeded", extra={"client_ip": client_ip, "account_id": user.id})
        return fresh

    async def _tell_failed(self, user: User | None, client_ip: str) -> None:
        """The name that was tried is not told: people type passwords there."""
        user_id = user.id if user else None
        deed = Deed(action=Action.LOGIN_FAILED, entity_type=ENTITY, entity_id=user_id, by=stranger(client_ip))
        async with self._database.writing() as session:
            await self._witness(session, deed)
        logger.warning("login_failed", extra={"client_ip": client_ip, "account_id": user_id})

    async def _find(self, email: str, client_ip: str) -> tuple[User | None, bool]:
        """The account, and whether it signed in from this address lately. One question, whether there is one or not."""
        since_us = self._clock.now_us() - _FAMILIAR_FOR_US
        came_before = exists().where(
            Session.user_id == User.id, Session.client_ip == client_ip, Session.created_at_us >= since_us
        )
        async with self._database.reading() as session:
            found = (await session.execute(select(User, came_before).where(User.email == email))).one_or_none()
        return (found[0], found[1]) if found else (None, False)
