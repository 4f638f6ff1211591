"""What the routes of this room, and WebSocket routes of other rooms, work with."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection

from weft.api.health import HealthRegister
from weft.api.metrics import Metrics
from weft.api.openapi import OpenApi
from weft.api.settings import ApiSettings
from weft.api.websocket import Sockets


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """`app.state.api` of an application."""

    settings: ApiSettings
    metrics: Metrics
    health: HealthRegister
    sockets: Sockets
    openapi: OpenApi


def api_parts(connection: HTTPConnection) -> ApiParts:
    """The parts of the application that serves this request or WebSocket."""
    return cast("ApiParts", connection.app.state.api)
