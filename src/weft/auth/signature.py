"""What a route needs, written in its signature: `principal: EventsReader` says who may call and with which scope.

Nothing is open by accident: a route without one of these, or without an explicit `Public`, is found by `find_requirement`
and fails the repository's test.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer

from weft.api.exchange import caller_of, exchange_of
from weft.api.rate_limit import charge
from weft.auth.parts import AuthParts
from weft.auth.proof import Proof
from weft.auth.witness import Actor, enter_actor, stranger
from weft.core.errors import NotAllowed, Unauthenticated
from weft.core.principal import SCOPES_OF, Principal, Role, Scope

_DASHBOARD: Final = "dashboard"
"""The rate limit of everything people and their pages ask."""
ADMINISTRATORS_ONLY: Final = "Admin access required"
"""What StreamWeave's clients read in `detail` where a scope is one that administrators alone have."""
_LESS: Final = SCOPES_OF[Role.OPERATOR]
_bearer: Final = OAuth2PasswordBearer(tokenUrl="/auth/jwt/login", scheme_name="password", auto_error=False)
_key: Final = APIKeyHeader(name="X-API-Key", scheme_name="api_key", auto_error=False)


def auth_parts(request: Request) -> AuthParts:
    """The auth room's collaborators in this application."""
    return cast("AuthParts", request.app.state.auth)


async def prove(request: Request, parts: Annotated[AuthParts, Depends(auth_parts)]) -> Proof:
    """Who asks. Raises Unauthenticated, or NotAllowed for a cookie without its CSRF token."""
    proof = await parts.authenticator.prove(caller_of(request))
    exchange = exchange_of(request)
    exchange.principal = proof.principal
    enter_actor(Actor.of(proof.principal, exchange.client_ip))
    return proof


AuthPartsOf = Annotated[AuthParts, Depends(auth_parts)]
ProofOf = Annotated[Proof, Depends(prove)]


class Requirement:
    """The need for one scope, or (with none) only for being known; what is let through counts against a rate limit."""

    def __init__(self, scope: Scope | None, *, limit: str | None = None) -> None:
        self.scope = scope
        self.limit = limit

    async def __call__(
        self,
        request: Request,
        proof: ProofOf,
        _token: Annotated[str | None, Depends(_bearer)] = None,
        _header: Annotated[str | None, Depends(_key)] = None,
    ) -> Principal:
        """The principal, if it has the scope. Raises Unauthenticated, NotAllowed, or Busy where the limit is used up."""
        principal = require(proof.principal, self.scope)
        if self.limit is not None:
            await charge(request, self.limit, principal)
        return principal


class Everybody:
    """That a route is open on purpose, and counts against a rate limit by the caller's address."""

    def __init__(self, *, limit: str) -> None:
        self.limit = limit

    async def __call__(self, request: Request) -> None:
        """Count the request. Raises Busy where the limit is used up."""
        await charge(request, self.limit, None)


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
    known = {} if scope in _LESS else {"code": ADMINISTRATORS_ONLY}
    raise NotAllowed(f"{principal.name} does not have the scope '{scope}'", scope=scope.value, **known)


async def check_again(request: Request, scope: Scope = Scope.EVENTS_READ) -> None:
    """Look whether who began a long answer may still have it. Raises Unauthenticated or NotAllowed."""
    require(await auth_parts(request).authenticator.authenticate(caller_of(request)), scope)


async def _everybody(request: Request) -> None:
    """The marker of a route that is open on purpose; who calls it is not asked."""
    enter_actor(stranger(exchange_of(request).client_ip))


EventsReader = Annotated[Principal, Depends(Requirement(Scope.EVENTS_READ, limit=_DASHBOARD))]
EventsWriter = Annotated[Principal, Depends(Requirement(Scope.EVENTS_WRITE))]
EventsEraser = Annotated[Principal, Depends(Requirement(Scope.EVENTS_ERASE, limit=_DASHBOARD))]
DeadLetterReplayer = Annotated[Principal, Depends(Requirement(Scope.DEAD_LETTERS_REPLAY, limit=_DASHBOARD))]
VerdictReader = Annotated[Principal, Depends(Requirement(Scope.VERDICT_READ, limit=_DASHBOARD))]
QueryReader = Annotated[Principal, Depends(Requirement(Scope.QUERIES_READ, limit=_DASHBOARD))]
QueryWriter = Annotated[Principal, Depends(Requirement(Scope.QUERIES_WRITE, limit=_DASHBOARD))]
AlertReader = Annotated[Principal, Depends(Requirement(Scope.ALERTS_READ, limit=_DASHBOARD))]
AlertHandler = Annotated[Principal, Depends(Requirement(Scope.ALERTS_HANDLE, limit=_DASHBOARD))]
RuleWriter = Annotated[Principal, Depends(Requirement(Scope.RULES_WRITE, limit=_DASHBOARD))]
ChannelManager = Annotated[Principal, Depends(Requirement(Scope.CHANNELS_MANAGE, limit=_DASHBOARD))]
DashboardWriter = Annotated[Principal, Depends(Requirement(Scope.DASHBOARDS_WRITE, limit=_DASHBOARD))]
InventoryReader = Annotated[Principal, Depends(Requirement(Scope.INVENTORY_READ, limit=_DASHBOARD))]
InventoryManager = Annotated[Principal, Depends(Requirement(Scope.INVENTORY_MANAGE, limit=_DASHBOARD))]
SecretRevealer = Annotated[Principal, Depends(Requirement(Scope.SECRETS_REVEAL, limit=_DASHBOARD))]
IdentifierReader = Annotated[Principal, Depends(Requirement(Scope.IDENTIFIERS_READ, limit=_DASHBOARD))]
IdentifierWriter = Annotated[Principal, Depends(Requirement(Scope.IDENTIFIERS_WRITE, limit=_DASHBOARD))]
KeyManager = Annotated[Principal, Depends(Requirement(Scope.KEYS_MANAGE))]
UserManager = Annotated[Principal, Depends(Requirement(Scope.USERS_MANAGE))]
AuditReader = Annotated[Principal, Depends(Requirement(Scope.AUDIT_READ, limit=_DASHBOARD))]
SignedIn = Annotated[Principal, Depends(Requirement(None))]
KnownReader = Annotated[Principal, Depends(Requirement(None, limit=_DASHBOARD))]
"""For a route about the caller's own things, or whose scope depends on what is asked; that one calls `require` itself."""
Public = Depends(_everybody)
"""For `dependencies=[Public]`: anybody may call this route, and that was decided."""
PublicReading = Depends(Everybody(limit=_DASHBOARD))
"""For `dependencies=[PublicReading]`: the same for pages, counted by address."""


def find_requirement(route: Any) -> str | None:
    """What a route asks for: a scope, `signed-in`, `public`, or None where nobody decided."""
    for call in _calls(route):
        if isinstance(call, Requirement):
            return call.scope.value if call.scope else "signed-in"
        if call is _everybody or isinstance(call, Everybody):
            return "public"
    return None


def find_limit(route: Any) -> str | None:
    """The rate limit a route counts against by its signature, or None."""
    return next((call.limit for call in _calls(route) if isinstance(call, Requirement | Everybody)), None)


def _calls(route: Any) -> Iterator[object]:
    """What the framework calls before a route, in its order."""
    waiting = [route.dependant] if isinstance(getattr(route, "dependant", None), Dependant) else []
    while waiting:
        dependant = waiting.pop(0)
        yield dependant.call
        waiting = [*dependant.dependencies, *waiting]
