"""The route a page or a program asks first: who am I here, and what may I do?"""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from weft.auth.signature import AuthPartsOf, ProofOf, SignedIn
from weft.core.times import to_text

router = APIRouter(tags=["auth"])


class SessionRead(BaseModel):
    """Who is signed in, what they may do, and until when."""

    kind: str = Field(description="user or api_key.")
    id: str
    name: str
    role: str | None = Field(description="The role of a person; null for an API key.")
    scopes: list[str] = Field(description="The allowed actions.")
    auth_method: str = Field(description="token, cookie or api_key.")
    expires_at: str | None
    csrf_token: str | None = Field(description="To be sent as X-CSRF-Token with every change; only for a cookie.")
    requests_per_minute: int | None
    server_time: str
    version: str


@router.get("/api/v1/session", summary="Who you are here and what you may do")
async def read_session(
    principal: SignedIn, proof: ProofOf, parts: AuthPartsOf, request: Request, response: Response
) -> SessionRead:
    """For a page to know what to show, and for a program to check its credential."""
    response.headers["Cache-Control"] = "no-store"
    return SessionRead(
        kind=principal.kind,
        id=principal.id,
        name=principal.name,
        role=principal.role,
        scopes=sorted(principal.scopes),
        auth_method=proof.method,
        expires_at=None if proof.expires_at_us is None else to_text(proof.expires_at_us),
        csrf_token=proof.csrf,
        requests_per_minute=principal.requests_per_minute,
        server_time=to_text(parts.clock.now_us()),
        version=request.app.version,
    )
