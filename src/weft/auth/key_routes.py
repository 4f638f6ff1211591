"""Routes of API keys, for those who may give them to devices and programs."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from weft.auth.admin_routes import Limit, Skip
from weft.auth.api_key import MARK
from weft.auth.proof import Proof
from weft.auth.signature import AuthPartsOf, KeyManager, ProofOf
from weft.auth.tables import ApiKey
from weft.core.errors import NotAllowed
from weft.core.principal import Principal, Scope
from weft.core.times import from_datetime, to_text

router = APIRouter(tags=["api-keys"])


class KeyCreate(BaseModel):
    """A new key."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=128, description="What it is for, such as the device's name.")]
    scopes: Annotated[list[Scope], Field(min_length=1, description="What it may do; at most what you may do.")]
    requests_per_minute: Annotated[
        int | None,
        Field(default=None, ge=0, le=10_000_000, description="Its own rate limit; 0 is none, null is the usual one."),
    ]
    expires_at: Annotated[AwareDatetime | None, Field(default=None, description="When it stops working; null is never.")]


class KeyRead(BaseModel):
    """A key as it is shown: never its secret."""

    id: str
    prefix: str
    name: str
    scopes: list[str]
    requests_per_minute: int | None
    owner_id: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyRead":
        """The key, without anything secret."""
        return cls(
            id=key.id,
            prefix=f"{MARK}{key.prefix}",
            name=key.name,
            scopes=key.scopes.split(),
            requests_per_minute=key.requests_per_minute,
            owner_id=key.user_id,
            created_at=to_text(key.created_at_us),
            last_used_at=_text(key.last_used_us),
            expires_at=_text(key.expires_at_us),
            revoked_at=_text(key.revoked_at_us),
        )


class KeyMade(KeyRead):
    """A key just made, with its text, which is shown this once."""

    key: str


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[KeyRead]
    total: int
    skip: int
    limit: int


@router.get("/api/v1/api-keys", summary="Your API keys; for administrators, everybody's")
async def list_keys(principal: KeyManager, proof: ProofOf, parts: AuthPartsOf, skip: Skip = 0, limit: Limit = 25) -> KeyPage:
    """Newest first, revoked ones included."""
    keys, total = await parts.api_keys.list_keys(owner_id=_only(principal, proof), skip=skip, limit=limit)
    return KeyPage(items=[KeyRead.of(key) for key in keys], total=total, skip=skip, limit=limit)


@router.post("/api/v1/api-keys", status_code=201, summary="Make an API key; its text is shown this once")
async def create_key(body: KeyCreate, principal: KeyManager, proof: ProofOf, parts: AuthPartsOf, response: Response) -> KeyMade:
    """A key can do at most what you can do, and loses what you lose."""
    if proof.subject_id is None:
        raise NotAllowed("a key needs an account that answers for it")
    key, text = await parts.api_keys.create(
        owner_id=proof.subject_id,
        name=body.name,
        scopes=body.scopes,
        may_give=principal.scopes,
        requests_per_minute=body.requests_per_minute,
        expires_at_us=None if body.expires_at is None else from_datetime(body.expires_at),
    )
    response.headers["Cache-Control"] = "no-store"
    return KeyMade(**KeyRead.of(key).model_dump(), key=text)


@router.delete("/api/v1/api-keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(key_id: str, principal: KeyManager, proof: ProofOf, parts: AuthPartsOf) -> Response:
    """At once, in every process that shares the cache; without one others follow within `auth.cache_s` seconds."""
    await parts.api_keys.revoke(key_id, owner_id=_only(principal, proof))
    return Response(status_code=204)


def _only(principal: Principal, proof: Proof) -> str | None:
    """Whose keys: one's own, or everybody's for those who manage people."""
    return None if principal.may(Scope.USERS_MANAGE) else proof.subject_id or ""


def _text(time_us: int | None) -> str | None:
    return None if time_us is None else to_text(time_us)
