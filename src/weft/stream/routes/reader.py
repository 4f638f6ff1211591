"""Who may use these routes, and what it counts against: the scope in the signature, and the dashboard's rate limit."""

from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from weft.api.rate_limit import charge
from weft.auth.signature import QueryReader, QueryWriter
from weft.core.principal import Principal
from weft.stream.parts import StreamParts, stream_parts

LIMIT: Final = "dashboard"


async def _charge_reader(connection: HTTPConnection, principal: QueryReader) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_writer(connection: HTTPConnection, principal: QueryWriter) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


Reader = Annotated[Principal, Depends(_charge_reader)]
Writer = Annotated[Principal, Depends(_charge_writer)]
Parts = Annotated[StreamParts, Depends(stream_parts)]
