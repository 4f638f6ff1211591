"""Who may use these routes, and what it counts against: the scope in the signature, and the dashboard's rate limit."""

from typing import Annotated, Final, Generic, TypeVar

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from weft.alerts.parts import AlertParts, alert_parts
from weft.api.rate_limit import charge
from weft.auth.signature import AlertHandler, AlertReader, RuleWriter
from weft.core.principal import Principal

LIMIT: Final = "dashboard"

Body = TypeVar("Body")


class Answer(BaseModel, Generic[Body]):
    """One thing in StreamFlow's envelope."""

    success: bool = True
    message: str
    data: Body


async def _charge_reader(connection: HTTPConnection, principal: AlertReader) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_handler(connection: HTTPConnection, principal: AlertHandler) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


async def _charge_writer(connection: HTTPConnection, principal: RuleWriter) -> Principal:
    await charge(connection, LIMIT, principal)
    return principal


Reader = Annotated[Principal, Depends(_charge_reader)]
Handler = Annotated[Principal, Depends(_charge_handler)]
Writer = Annotated[Principal, Depends(_charge_writer)]
Parts = Annotated[AlertParts, Depends(alert_parts)]
