"""Sessions: one sign-in, and everything that came from it.

Every access token names its session, so ending a session ends all its tokens at once; there is no list of single tokens to
keep. A refresh token is used once. Used a second time, it was copied, and nobody can tell by whom: the session ends.
"""

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.revocation import Revocations
from weft.auth.settings import AuthSettings
from weft.auth.tables import RefreshToken, Session, User
from weft.core.clock import Clock
from weft.core.errors import Unauthenticated
from weft.core.ids import new_id
from weft.core.times import DAY_US, HOUR_US
from weft.db.database import Database

logger = logging.getLogger(__name__)

_SIGN_IN_AGAIN: Final = "the refresh token is not valid; sign in again"
_KEPT_AFTER_END_US: Final = 30 * DAY_US
_SWEPT_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session just opened or continued, with the one secret that is shown once."""

    user: User
    session_id: str
    secret: str
    expires_at_us: int


class Sessions:
    """Opens, continues and ends sessions."""

    def __init__(
        self, database: Database, *, settings: AuthSettings, clock: Clock, csrf_key: bytes, revocations: Revocations
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._csrf_key = csrf_key
        self._revocations = revocations

    async def open_for_tokens(self, user: User, client_ip: str) -> Opened:
        """A session that lives by refresh tokens."""
        now_us = self._clock.now_us()
        async with self._database.writing() as session:
            row = self._add(session, user, "token", client_ip, now_us + self._settings.session_days * DAY_US)
            await session.flush()
            secret, expires_at_us = self._add_refresh_token(session, row)
            await self._sweep(session)
        return Opened(user=user, session_id=row.id, secret=secret, expires_at_us=expires_at_us)

    async def open_for_cookie(self, user: User, client_ip: str) -> Opened:
        """A session that lives by a browser's cookie."""
        expires_at_us = self._clock.now_us() + self._settings.cookie_hours * HOUR_US
        secret = secrets.token_urlsafe(32)
        async with self._database.writing() as session:
            row = self._add(session, user, "cookie", client_ip, expires_at_us)
            row.cookie_hash = hash_secret(secret)
            await self._sweep(session)
        return Opened(user=user, session_id=row.id, secret=secret, expires_at_us=expires_at_us)

    async def refresh(self, token: str) -> Opened:
        """A new refresh token for an old one. Raises Unauthenticated; a token used twice ends its session first."""
        now_us = self._clock.now_us()
        opened: Opened | None = None
        reused: str | None = None
        async with self._database.writing() as session:
            # One statement decides who was first, on every database.
            claimed = await session.execute(
                update(RefreshToken)
                .where(RefreshToken.hash == hash_secret(token), RefreshToken.used_at_us.is_(None))
                .values(used_at_us=now_us)
            )
            row = await session.get(RefreshToken, hash_secret(token))
            if row is not None and not _changed(claimed):
                reused = row.session_id
                await _end(session, Session.id == reused, now_us, "refresh token used twice")
            elif row is not None:
                opened = await self._continue(session, row, now_us)
        if reused is not None:
            await self._revocations.of_session(reused)
            logger.warning("refresh_token_reused", extra={"session_id": reused})
            raise Unauthenticated("this refresh token was used before; its session was ended, sign in again")
        if opened is None:
            raise Unauthenticated(_SIGN_IN_AGAIN)
        return opened

    async def end(self, session_id: str, why: str = "signed out") -> None:
        """End a session with all its tokens."""
        async with self._database.writing() as session:
            await _end(session, Session.id == session_id, self._clock.now_us(), why)
        await self._revocations.of_session(session_id)
        logger.info("session_ended", extra={"session_id": session_id, "why": why})

    async def end_others(self, user_id: str, keep: str | None, why: str) -> None:
        """End every session of an account but one."""
        condition = Session.user_id == user_id
        async with self._database.writing() as session:
            await _end(session, condition if keep is None else condition & (Session.id != keep), self._clock.now_us(), why)
        await self._revocations.of_user(user_id)

    def csrf_of(self, session_id: str) -> str:
        """The CSRF token of a cookie session: derived, so that nothing has to be kept."""
        return hmac.new(self._csrf_key, session_id.encode(), hashlib.sha256).hexdigest()

    def _add(self, session: AsyncSession, user: User, method: str, client_ip: str, expires_at_us: int) -> Session:
        now_us = self._clock.now_us()
        row = Session(
            id=new_id(now_us),
            user_id=user.id,
            method=method,
            client_ip=client_ip[:64],
            created_at_us=now_us,
            expires_at_us=expires_at_us,
        )
        session.add(row)
        return row

    def _add_refresh_token(self, session: AsyncSession, row: Session) -> tuple[str, int]:
        secret = secrets.token_urlsafe(32)
        expires_at_us = min(self._clock.now_us() + self._settings.refresh_days * DAY_US, row.expires_at_us)
        session.add(RefreshToken(hash=hash_secret(secret), session_id=row.id, expires_at_us=expires_at_us))
        return secret, expires_at_us

    async def _continue(self, session: AsyncSession, token: RefreshToken, now_us: int) -> Opened | None:
        row = await session.get(Session, token.session_id)
        user = await session.get(User, row.user_id) if row else None
        if row is None or user is None or not user.may_sign_in or token.expires_at_us <= now_us:
            return None
        if row.revoked_at_us is not None or row.expires_at_us <= now_us:
            return None
        secret, expires_at_us = self._add_refresh_token(session, row)
        return Opened(user=user, session_id=row.id, secret=secret, expires_at_us=expires_at_us)

    async def _sweep(self, session: AsyncSession) -> None:
        long_ago_us = self._clock.now_us() - _KEPT_AFTER_END_US
        # What another sign-in sweeps at this moment is left to it: waiting for each other would end in a deadlock.
        old = select(Session.id).where(Session.expires_at_us < long_ago_us).with_for_update(skip_locked=True)
        ended = (await session.scalars(old.limit(_SWEPT_AT_ONCE))).all()
        if ended:
            await session.execute(delete(RefreshToken).where(RefreshToken.session_id.in_(ended)))
            await session.execute(delete(Session).where(Session.id.in_(ended)))


def hash_secret(secret: str) -> str:
    """SHA-256 of a random secret; nothing slower is needed where there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def _end(session: AsyncSession, condition: ColumnElement[bool], now_us: int, why: str) -> None:
    await session.execute(
        update(Session).where(condition, Session.revoked_at_us.is_(None)).values(revoked_at_us=now_us, revoked_why=why)
    )


def _changed(result: object) -> bool:
    return isinstance(result, CursorResult) and result.rowcount == 1
