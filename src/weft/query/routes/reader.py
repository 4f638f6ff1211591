"""Who may use these routes, and what it counts against: the scope in the signature, and the dashboard's rate limit."""

from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from weft.api.rate_limit import charge
from weft.auth.signature import (
    DeadLetterReplayer,
    EventsEraser,
    EventsReader,
    SignedIn,
    VerdictReader,
    auth_parts,
    caller_of,
    require,
)
from weft.core.principal import Principal, Scope
from weft.query.parts import QueryParts, query_parts

LIMIT: Final = "dashboard"


async def _charge_reader(connection: HTTPConnection, principal: EventsReader) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_eraser(connection: HTTPConnection, principal: EventsEraser) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_replayer(connection: HTTPConnection, principal: DeadLetterReplayer) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_verdict_reader(connection: HTTPConnection, principal: VerdictReader) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_known(connection: HTTPConnection, principal: SignedIn) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def check_again(request: Request, scope: Scope = Scope.EVENTS_READ) -> None:
    """Look whether who began a long answer may still have it. Raises Unauthenticated or NotAllowed."""
    principal = await auth_parts(request).authenticator.authenticate(caller_of(request))
    require(principal, scope)


Reader = Annotated[Principal, Depends(_charge_reader)]
KnownReader = Annotated[Principal, Depends(_charge_known)]
"""For a route whose scope depends on what is asked; it calls `require` itself."""
Eraser = Annotated[Principal, Depends(_charge_eraser)]
Replayer = Annotated[Principal, Depends(_charge_replayer)]
VerdictViewer = Annotated[Principal, Depends(_charge_verdict_reader)]
Parts = Annotated[QueryParts, Depends(query_parts)]
