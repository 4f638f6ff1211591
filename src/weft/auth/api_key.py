"""API keys: what devices and programs show instead of a password.

A key reads `weft_<prefix>_<secret>`; the prefix finds it, the secret proves it. It is shown once, when it is made. A key
can never do more than the account it belongs to can do now: it loses what its owner loses.
"""

import hmac
import logging
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from weft.auth.revocation import Revocations
from weft.auth.session import hash_secret
from weft.auth.tables import ApiKey, User
from weft.auth.witness import Action, Deed, Witness, difference, nobody
from weft.core.clock import Clock
from weft.core.errors import Invalid, NotAllowed, NotFound, Unavailable
from weft.core.ids import new_id
from weft.core.principal import SCOPES_OF, Role, Scope
from weft.core.times import MINUTE_US
from weft.db.database import Database

logger = logging.getLogger(__name__)

MARK: Final = "weft_"
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_PREFIX_CHARS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFound:
    """A key that was proven, with the account behind it."""

    key: ApiKey
    user: User
    scopes: frozenset[Scope]


class ApiKeys:
    """Makes, proves, lists and revokes keys."""

    def __init__(self, database: Database, *, clock: Clock, revocations: Revocations, witness: Witness = nobody) -> None:
        self._witness = witness
        self._database = database
        self._clock = clock
        self._revocations = revocations

    async def create(
        self,
        *,
        owner_id: str,
        name: str,
        scopes: Collection[Scope],
        may_give: Collection[Scope],
        requests_per_minute: int | None = None,
        expires_at_us: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is shown this once. Raises NotAllowed for a scope beyond `may_give`."""
        if not scopes:
            raise Invalid("a key without a scope can do nothing; give it at least one", field="scopes")
        beyond = sorted(set(scopes) - set(may_give))
        if beyond:
            raise NotAllowed(f"you cannot give away what you do not have: {', '.join(beyond)}", scopes=beyond)
        now_us = self._clock.now_us()
        if expires_at_us is not None and expires_at_us <= now_us:
            raise Invalid("the key would expire before it exists", field="expires_at")
        prefix = "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_CHARS))
        secret = secrets.token_urlsafe(32)
        key = ApiKey(
            id=new_id(now_us),
            prefix=prefix,
            secret_hash=hash_secret(secret),
            name=name,
            user_id=owner_id,
            scopes=" ".join(sorted(scopes)),
            requests_per_minute=requests_per_minute,
            created_at_us=now_us,
            expires_at_us=expires_at_us,
        )
        async with self._database.writing() as session:
            session.add(key)
            await self._tell(session, Action.CREATE, key, {})
        logger.info("api_key_made", extra={"key_id": key.id, "account_id": owner_id, "scopes": key.scopes})
        return key, f"{MARK}{prefix}_{secret}"

    async def find(self, text: str) -> KeyFound | None:
        """The key behind a text, if it is one of ours, its secret fits, and it and its owner are in force."""
        parts = text.split("_", 2)
        if len(parts) != 3 or len(text) > 128:
            return None
        async with self._database.reading() as session:
            row = (
                await session.execute(
                    select(ApiKey, User).join(User, User.id == ApiKey.user_id).where(ApiKey.prefix == parts[1])
                )
            ).one_or_none()
        secret_hash = row[0].secret_hash if row else ""
        if not hmac.compare_digest(hash_secret(parts[2]), secret_hash) or row is None:
            return None
        key, user = row[0], row[1]
        now_us = self._clock.now_us()
        expired = key.expires_at_us is not None and key.expires_at_us <= now_us
        if key.revoked_at_us is not None or expired or not user.may_sign_in:
            return None
        await self._touch(key, now_us)
        return KeyFound(key=key, user=user, scopes=read_scopes(key) & SCOPES_OF[Role(user.role)])

    async def _touch(self, key: ApiKey, now_us: int) -> None:
        if key.last_used_us is not None and now_us - key.last_used_us < MINUTE_US:  # "when last" to the minute is enough
            return
        try:
            async with self._database.writing() as session:
                await session.execute(update(ApiKey).where(ApiKey.id == key.id).values(last_used_us=now_us))
        except Unavailable as away:  # a full disk must not turn a good key away
            logger.warning("last_use_not_kept", extra={"key_id": key.id, "why": away.message})

    async def list_keys(self, *, owner_id: str | None = None, skip: int = 0, limit: int = 25) -> tuple[Sequence[ApiKey], int]:
        """A page of keys, newest first, and how many there are; of one owner or of everybody."""
        chosen = select(ApiKey) if owner_id is None else select(ApiKey).where(ApiKey.user_id == owner_id)
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
            rows = await session.scalars(chosen.order_by(ApiKey.id.desc()).offset(skip).limit(limit))
            return rows.all(), total or 0

    async def revoke(self, key_id: str, *, owner_id: str | None = None) -> ApiKey:
        """End a key, by its id or prefix, here at once, in other processes as soon as they hear of it.

        Raises NotFound, also for somebody else's key.
        """
        async with self._database.writing() as session:
            key = await session.scalar(select(ApiKey).where((ApiKey.id == key_id) | (ApiKey.prefix == key_id)))
            if key is None or (owner_id is not None and key.user_id != owner_id):
                raise NotFound(f"there is no API key '{key_id[:64]}'")
            before = _shown(key)
            key.revoked_at_us = key.revoked_at_us or self._clock.now_us()
            await self._tell(session, Action.REVOKE, key, before)
        await self._revocations.of_key(key.id)
        logger.info("api_key_revoked", extra={"key_id": key.id, "account_id": key.user_id})
        return key

    async def _tell(self, session: AsyncSession, action: Action, key: ApiKey, before: Mapping[str, Any]) -> None:
        changes = difference(before, _shown(key))
        if changes:
            await self._witness(session, Deed(action=action, entity_type="api_key", entity_id=key.id, changes=changes))


def _shown(key: ApiKey) -> dict[str, Any]:
    """What is told of a key: never its secret."""
    return {
        "name": key.name,
        "prefix": f"{MARK}{key.prefix}",
        "owner_id": key.user_id,
        "scopes": key.scopes,
        "requests_per_minute": key.requests_per_minute,
        "expires_at_us": key.expires_at_us,
        "is_revoked": key.revoked_at_us is not None,
    }


def read_scopes(key: ApiKey) -> frozenset[Scope]:
    """The scopes a key was given; a scope this program no longer knows gives nothing."""
    known = {scope.value for scope in Scope}
    return frozenset(Scope(text) for text in key.scopes.split() if text in known)
