"""Login: from a name and a password to an account, telling an attacker nothing."""

import logging

from sqlalchemy import select

from weft.auth.account import canonical_email
from weft.auth.attempt import Attempts
from weft.auth.password import Passwords
from weft.auth.tables import User
from weft.core.clock import Clock
from weft.core.errors import Unauthenticated
from weft.db.database import Database

logger = logging.getLogger(__name__)


class Login:
    """Checks names and passwords."""

    def __init__(self, database: Database, *, passwords: Passwords, attempts: Attempts, clock: Clock) -> None:
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
        await self._attempts.charge(email, client_ip)
        async with self._database.reading() as session:
            user = await session.scalar(select(User).where(User.email == email))
        fits, better = await self._passwords.verify(password, user.hashed_password if user else None)
        if user is None or not fits or not user.may_sign_in:
            logger.warning("login_failed", extra={"client_ip": client_ip, "account_id": user.id if user else None})
            raise Unauthenticated("the name or the password is wrong", code="LOGIN_BAD_CREDENTIALS")
        await self._attempts.give_back(email, client_ip)
        async with self._database.writing() as session:
            fresh = await session.get_one(User, user.id)
            fresh.last_login_us = self._clock.now_us()
            if better is not None and fresh.hashed_password == user.hashed_password:
                fresh.hashed_password = better
        logger.info("login_succeeded", extra={"client_ip": client_ip, "account_id": user.id})
        return fresh
