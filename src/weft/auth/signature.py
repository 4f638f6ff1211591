"""What a route needs, written in its signature: `principal: EventsReader` says who may call and with which scope.

Nothing is open by accident: a route without one of these, or without an explicit `Public`, is found by `find_requirement`
and fails the repository's test.
"""

from typing import Annotated, Any, Final, cast

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer

from weft.api.exchange import caller_of, exchange_of
from weft.auth.parts import AuthParts
from weft.auth.proof import Proof
from weft.core.errors import NotAllowed, Unauthenticated
from weft.core.principal import Principal, Scope

_bearer: Final = OAuth2PasswordBearer(tokenUrl="/auth/jwt/login", scheme_name="password", auto_error=False)
_key: Final = APIKeyHeader(name="X-API-Key", scheme_name="api_key", auto_error=False)


def auth_parts(request: Request) -> AuthParts:
    """The auth room's collaborators in this application."""
    return cast("AuthParts", request.app.state.auth)


async def prove(request: Request, parts: Annotated[AuthParts, Depends(auth_parts)]) -> Proof:
    """Who asks. Raises Unauthenticated, or NotAllowed for a cookie without its CSRF token."""
    proof = await parts.authenticator.prove(caller_of(request))
    exchange_of(request).principal = proof.principal
    return proof


AuthPartsOf = Annotated[AuthParts, Depends(auth_parts)]
ProofOf = Annotated[Proof, Depends(prove)]


class Requirement:
    """The need for one scope, or (with none) only for being known."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    async def __call__(
        self,
        proof: ProofOf,
        _token: Annotated[str | None, Depends(_bearer)] = None,
        _header: Annotated[str | None, Depends(_key)] = None,
    ) -> Principal:
        """The principal, if it has the scope. Raises Unauthenticated or NotAllowed."""
        return require(proof.principal, self.scope)


def require(principal: Principal, scope: Scope | None) -> Principal:
    """The principal itself, if it has the scope. Raises Unauthenticated for nobody, NotAllowed for somebody without it."""
    if scope is None:
        if principal.kind == "anonymous":
            raise Unauthenticated("sign in first, or send an API key")
        return principal
    if principal.may(scope):
        return principal
    if principal.kind == "anonymous":
        raise Unauthenticated(f"sign in first, or send an API key with the scope '{scope}'", scope=scope.value)
    raise NotAllowed(f"{principal.name} does not have the scope '{scope}'", scope=scope.value)


def _everybody() -> None:
    """The marker of a route that is open on purpose."""


EventsReader = Annotated[Principal, Depends(Requirement(Scope.EVENTS_READ))]
EventsWriter = Annotated[Principal, Depends(Requirement(Scope.EVENTS_WRITE))]
EventsEraser = Annotated[Principal, Depends(Requirement(Scope.EVENTS_ERASE))]
DeadLetterReplayer = Annotated[Principal, Depends(Requirement(Scope.DEAD_LETTERS_REPLAY))]
VerdictReader = Annotated[Principal, Depends(Requirement(Scope.VERDICT_READ))]
QueryReader = Annotated[Principal, Depends(Requirement(Scope.QUERIES_READ))]
QueryWriter = Annotated[Principal, Depends(Requirement(Scope.QUERIES_WRITE))]
AlertReader = Annotated[Principal, Depends(Requirement(Scope.ALERTS_READ))]
AlertHandler = Annotated[Principal, Depends(Requirement(Scope.ALERTS_HANDLE))]
RuleWriter = Annotated[Principal, Depends(Requirement(Scope.RULES_WRITE))]
ChannelManager = Annotated[Principal, Depends(Requirement(Scope.CHANNELS_MANAGE))]
DashboardWriter = Annotated[Principal, Depends(Requirement(Scope.DASHBOARDS_WRITE))]
KeyManager = Annotated[Principal, Depends(Requirement(Scope.KEYS_MANAGE))]
UserManager = Annotated[Principal, Depends(Requirement(Scope.USERS_MANAGE))]
SignedIn = Annotated[Principal, Depends(Requirement(None))]
Public = Depends(_everybody)
"""For `dependencies=[Public]`: anybody may call this route, and that was decided."""


def find_requirement(route: Any) -> str | None:
    """What a route asks for: a scope, `signed-in`, `public`, or None where nobody decided."""
    dependant = getattr(route, "dependant", None)
    return _requirement_in(dependant) if isinstance(dependant, Dependant) else None


def _requirement_in(dependant: Dependant) -> str | None:
    for needed in dependant.dependencies:
        if isinstance(needed.call, Requirement):
            return needed.call.scope.value if needed.call.scope else "signed-in"
        if needed.call is _everybody:
            return "public"
        if (found := _requirement_in(needed)) is not None:
            return found
    return None
