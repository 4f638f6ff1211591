"""The authenticator every door uses: from what a caller showed to who it is.

What is shown on purpose (a header) comes before what a browser sends by itself (a cookie), and a wrong header is never
saved by a good cookie. Nothing is read from the URL.
"""

import asyncio
import hmac
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import select

from weft.api.caller import Caller
from weft.api.origins import is_own
from weft.auth.access_token import AccessTokens
from weft.auth.api_key import MARK, ApiKeys
from weft.auth.proof import Method, Proof
from weft.auth.remembered import Remembered
from weft.auth.session import Sessions, hash_secret
from weft.auth.tables import Session, User
from weft.core.clock import Clock
from weft.core.errors import NotAllowed, Unauthenticated
from weft.core.principal import SCOPES_OF, Principal, Role, Scope
from weft.core.times import SECOND_US
from weft.db.database import Database

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
CSRF_HEADER: Final = "x-csrf-token"

_BEARER: Final = "bearer "
_KEY: Final = "key "
_COOKIE: Final = "cookie "
_NOBODY: Final = "sign in first (Authorization: Bearer …), or send an API key (X-API-Key)"
_ENDED: Final = "this session was ended; sign in again"
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LOCAL: Final = Principal(kind="anonymous", id="local", name="this machine", scopes=frozenset({Scope.EVENTS_WRITE}))


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieRule:
    """How the session cookie is called, whether it needs TLS, and which other origins' pages may use it."""

    name: str
    secure: bool
    origins: frozenset[str] = frozenset()


class DatabaseAuthenticator:
    """Implements `weft.api.caller.Authenticator` on accounts, sessions and keys in the database."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        tokens: AccessTokens,
        sessions: Sessions,
        api_keys: ApiKeys,
        remembered: Remembered,
        local_writes: bool,
        cookie: CookieRule,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._sessions = sessions
        self._api_keys = api_keys
        self._remembered = remembered
        self._trusted = cookie.origins
        self._local = Proof(principal=_LOCAL, method="anonymous") if local_writes else None
        self._cookie_start = f"{cookie.name}="
        self._asking: dict[tuple[str, int], asyncio.Task[Proof]] = {}

    async def authenticate(self, caller: Caller) -> Principal:
        """See `weft.api.caller.Authenticator`."""
        return (await self.prove(caller)).principal

    async def authenticate_token(self, token: str) -> Principal:
        """See `weft.api.caller.Authenticator`."""
        return (await self._prove(_BEARER + token)).principal

    async def prove(self, caller: Caller) -> Proof:
        """Like `authenticate`, and how it was shown and until when it holds."""
        headers = caller.headers
        if "authorization" in headers:
            authorization = headers["authorization"]
            if authorization[:7].lower() != _BEARER:
                raise Unauthenticated("the Authorization header has to read 'Bearer' and a token or an API key")
            return await self._prove(_BEARER + authorization[7:].strip())
        if "x-api-key" in headers:
            return await self._prove(_KEY + headers["x-api-key"])
        if "cookie" in headers and (cookie := self._find_cookie(headers["cookie"])) is not None:
            return self._guard_cookie(await self._prove(_COOKIE + cookie), caller)
        if self._local is not None and _is_local(caller):
            return self._local
        raise Unauthenticated(_NOBODY)

    async def _prove(self, credential: str) -> Proof:
        remembered = self._remembered.find(credential)
        if remembered is None:
            return await asyncio.shield(self._asking_for(credential))
        proof, is_ageing = remembered
        if is_ageing:
            self._asking_for(credential)
        return proof

    def _asking_for(self, credential: str) -> "asyncio.Task[Proof]":
        """The one question that is on its way to the database, however many requests wait for it or none does."""
        question = credential, self._remembered.era  # what was asked before a revocation is no answer after it
        asking = self._asking.get(question)
        if asking is None:
            asking = self._asking[question] = asyncio.create_task(self._ask(credential))
            asking.add_done_callback(lambda done: self._asked(question, done))
        return asking

    def _asked(self, question: tuple[str, int], done: "asyncio.Task[Proof]") -> None:
        del self._asking[question]
        credential, _ = question
        if not done.cancelled() and isinstance(done.exception(), Unauthenticated):
            self._remembered.forget(credential)

    async def _ask(self, credential: str) -> Proof:
        era = self._remembered.era
        kind, _, secret = credential.partition(" ")
        if kind == "cookie":
            proof = await self._prove_cookie(secret)
        elif kind == "key" or secret.startswith(MARK):
            proof = await self._prove_key(secret)
        else:
            proof = await self._prove_token(secret)
        self._remembered.remember(credential, proof, era)
        return proof

    async def _prove_token(self, token: str) -> Proof:
        claims = self._tokens.read(token)
        async with self._database.reading() as session:
            found = (
                await session.execute(
                    select(User, Session).join(Session, Session.user_id == User.id).where(Session.id == claims.sid)
                )
            ).one_or_none()
        if found is None or found[0].id != claims.sub or found[0].token_version != claims.ver:
            raise Unauthenticated(_ENDED)
        return self._proof_of(found[0], found[1], "token", claims.exp * SECOND_US)

    async def _prove_cookie(self, secret: str) -> Proof:
        async with self._database.reading() as session:
            found = (
                await session.execute(
                    select(User, Session)
                    .join(Session, Session.user_id == User.id)
                    .where(Session.cookie_hash == hash_secret(secret))
                )
            ).one_or_none()
        if found is None:
            raise Unauthenticated(_ENDED)
        return self._proof_of(found[0], found[1], "cookie", found[1].expires_at_us)

    async def _prove_key(self, text: str) -> Proof:
        found = await self._api_keys.find(text)
        if found is None:
            raise Unauthenticated("the API key is not valid; it may have been revoked or have expired")
        principal = Principal(
            kind="api_key",
            id=found.key.id,
            name=found.key.name,
            scopes=found.scopes,
            requests_per_minute=found.key.requests_per_minute,
        )
        return Proof(principal=principal, method="api_key", subject_id=found.user.id, expires_at_us=found.key.expires_at_us)

    def _proof_of(self, user: User, session: Session, method: Method, expires_at_us: int) -> Proof:
        now_us = self._clock.now_us()
        if session.revoked_at_us is not None or session.expires_at_us <= now_us or not user.may_sign_in:
            raise Unauthenticated(_ENDED)
        role = Role(user.role)
        principal = Principal(kind="user", id=user.id, name=user.email, role=role, scopes=SCOPES_OF[role])
        return Proof(
            principal=principal,
            method=method,
            subject_id=user.id,
            session_id=session.id,
            expires_at_us=min(expires_at_us, session.expires_at_us),
            csrf=self._sessions.csrf_of(session.id) if method == "cookie" else None,
        )

    def _guard_cookie(self, proof: Proof, caller: Caller) -> Proof:
        """A cookie comes by itself, so whatever changes something, or stays open, has to show that our own page asked."""
        if not caller.is_websocket and caller.method in SAFE_METHODS:
            return proof
        self.check_origin(caller, must_be_told=caller.is_websocket)
        if not caller.is_websocket:
            shown = caller.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(shown.encode(), (proof.csrf or "").encode()):
                raise NotAllowed(
                    "a session cookie needs the CSRF token beside it: send 'csrf_token' of GET /api/v1/session as X-CSRF-Token",
                    header="X-CSRF-Token",
                )
        return proof

    def check_origin(self, caller: Caller, *, must_be_told: bool = False) -> None:
        """Whether a browser says the request comes from our own page or a trusted one. Raises NotAllowed."""
        origin = caller.headers.get("origin")
        if origin is None:
            if must_be_told or caller.headers.get("sec-fetch-site", "none") == "cross-site":
                raise NotAllowed("a session cookie is only taken from a page of this server; the Origin header is missing")
            return
        if origin.lower() not in self._trusted and not _is_own(origin, caller.headers.get("host", "")):
            raise NotAllowed(
                f"pages of '{origin[:200]}' may not use the session cookie; list the origin in api.cors_origins",
                origin=origin[:200],
            )

    def _find_cookie(self, cookies: str) -> str | None:
        for part in cookies.split(";"):
            pair = part.strip()
            if pair.startswith(self._cookie_start):
                return pair[len(self._cookie_start) :]
        return None


def _is_own(origin: str, host: str) -> bool:
    return bool(host) and is_own(origin.encode(), host.encode())


def _is_local(caller: Caller) -> bool:
    """A program on this machine: not through a proxy that runs here, and not a page in a browser that runs here."""
    if not _is_loopback(caller.client_ip):
        return False
    headers = caller.headers
    for name in _FORWARDED:
        if name in headers:
            return False
    host = headers.get("host", "")
    if host and not _is_loopback_name(host):
        return False
    return "origin" not in headers or _is_own(headers["origin"], host)


@lru_cache(maxsize=256)
def _is_loopback(client_ip: str) -> bool:
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    return address.is_loopback or bool(address.version == 6 and address.ipv4_mapped and address.ipv4_mapped.is_loopback)


@lru_cache(maxsize=256)
def _is_loopback_name(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK_NAMES
    except ValueError:
        return False
