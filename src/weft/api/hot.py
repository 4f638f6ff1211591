"""Hot routes: the few paths where the framework would cost more than the work.

A hot route is a plain async function from `HotRequest` to `HotResponse`. The edge serves it by exact (method, path) before
the framework sees the request, and does once what every route needs: who asks, the scope, the rate limit, the body limit,
errors, headers, counters. Its OpenAPI operation is written beside it and merged into the document.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from weft.core.principal import Principal, Scope


class HotRequest(msgspec.Struct, kw_only=True):
    """One request, its body read whole (never more than the route's `max_body_bytes`, decompressed)."""

    headers: Mapping[bytes, bytes]  # lower-case names; of a repeated header the last one
    query: bytes
    body: bytes
    principal: Principal
    client_ip: str
    correlation_id: str


class HotResponse(msgspec.Struct):
    """Status, body, and headers beyond those the edge adds."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


HotHandler = Callable[[HotRequest], Awaitable[HotResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRoute:
    """A route served at the edge.

    `limit` names the rate limit it counts against; `operation` is its OpenAPI operation object.
    """

    method: str
    path: str
    scope: Scope
    limit: str
    max_body_bytes: int
    handler: HotHandler
    operation: dict[str, Any] = field(default_factory=dict[str, Any])
