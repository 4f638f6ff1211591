"""What the auth room needs at run time, put together once."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pwdlib.hashers.argon2 import Argon2Hasher

from weft.auth.access_token import AccessTokens
from weft.auth.account import Accounts
from weft.auth.api_key import ApiKeys
from weft.auth.attempt import Attempts
from weft.auth.authenticate import CookieRule, DatabaseAuthenticator
from weft.auth.letter import Letters, Purpose
from weft.auth.login import Login
from weft.auth.password import Passwords
from weft.auth.remembered import Remembered
from weft.auth.revocation import Revocations
from weft.auth.secrets import Cipher, Secrets, load_secrets
from weft.auth.session import Sessions
from weft.auth.settings import AuthSettings
from weft.auth.witness import Witness, nobody
from weft.cache.memory import MemoryCache
from weft.cache.port import Cache
from weft.cache.settings import CacheSettings
from weft.core.clock import Clock
from weft.db.database import Database

Deliver = Callable[[Purpose, str, str], Awaitable[None]]
"""Hands a letter's token to its owner: purpose (`verify`, `reset`), e-mail address, token."""


@dataclass(frozen=True, kw_only=True)
class AuthParts:
    """Collaborators of the routes, at `app.state.auth`. `deliver` is None where no mail is configured."""

    settings: AuthSettings
    environment: str
    clock: Clock
    database: Database
    secrets: Secrets
    cipher: Cipher
    authenticator: DatabaseAuthenticator
    accounts: Accounts
    requests: Attempts
    login: Login
    sessions: Sessions
    tokens: AccessTokens
    api_keys: ApiKeys
    letters: Letters
    revocations: Revocations
    cookie: CookieRule
    deliver: Deliver | None = None

    @property
    def registration_is_open(self) -> bool:
        """Whether strangers may make themselves an account."""
        chosen = self.settings.allow_registration
        return self.environment == "development" if chosen is None else chosen


def open_auth(  # noqa: PLR0913 - collaborators by name
    database: Database,
    *,
    settings: AuthSettings,
    environment: str,
    secrets_folder: Path,
    clock: Clock,
    cache: Cache | None = None,
    trusted_origins: Collection[str] = (),
    deliver: Deliver | None = None,
    hasher: Argon2Hasher | None = None,
    witness: Witness = nobody,
) -> AuthParts:
    """Everything of this room on one database. Processes that share the `cache` hear of each other's revocations.

    `trusted_origins` are those whose pages may use the session cookie; `witness` is told of every change and sign-in.

    Raises Invalid where a secret is missing, short or a sample.
    """
    secrets = load_secrets(settings, secrets_folder, environment=environment)
    remembered = Remembered(entries=settings.cache_entries, keep_s=settings.cache_s, clock=clock)
    cache = cache or MemoryCache("memory://", settings=CacheSettings(), clock=clock)
    revocations = Revocations(cache, remembered=remembered, clock=clock)
    passwords = Passwords(min_chars=settings.min_password_chars, hasher=hasher)
    tokens = AccessTokens(secrets.signing, settings=settings, clock=clock)
    attempts = Attempts(
        database,
        kind="login",
        per_account=settings.lock_after_account,
        per_address=settings.lock_after_address,
        longest_minutes=settings.lock_longest_minutes,
        clock=clock,
    )
    sessions = Sessions(database, settings=settings, clock=clock, csrf_key=secrets.key_for("csrf"), revocations=revocations)
    api_keys = ApiKeys(database, clock=clock, revocations=revocations, witness=witness)
    secure = environment != "development" if settings.cookie_secure is None else settings.cookie_secure
    cookie = CookieRule(
        name="__Host-weft_session" if secure else "weft_session",
        secure=secure,
        origins=frozenset(origin.lower() for origin in trusted_origins),
    )
    return AuthParts(
        settings=settings,
        environment=environment,
        clock=clock,
        database=database,
        secrets=secrets,
        cipher=Cipher(secrets.encryption),
        authenticator=DatabaseAuthenticator(
            database,
            clock=clock,
            tokens=tokens,
            sessions=sessions,
            api_keys=api_keys,
            remembered=remembered,
            local_writes=environment == "development" and settings.allow_anonymous_writes,
            cookie=cookie,
        ),
        accounts=Accounts(
            database,
            passwords=passwords,
            sessions=sessions,
            attempts=attempts,
            revocations=revocations,
            clock=clock,
            witness=witness,
        ),
        requests=Attempts(
            database, kind="request", per_account=5, per_address=20, longest_minutes=settings.lock_longest_minutes, clock=clock
        ),
        login=Login(database, passwords=passwords, attempts=attempts, clock=clock, witness=witness),
        sessions=sessions,
        tokens=tokens,
        api_keys=api_keys,
        letters=Letters(secrets, clock=clock),
        revocations=revocations,
        cookie=cookie,
        deliver=deliver,
    )
