"""What every answer has in common: its headers, the body of an error, the counters and the line in the access log."""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from starlette.exceptions import HTTPException

from weft.api.access import AccessLog
from weft.api.correlation import CorrelationIds, enter_correlation
from weft.api.errors import JSON, error_body, problem_of
from weft.api.exchange import ROUTE_KEY, Exchange, client_ip_of, is_trusted, plain_address
from weft.api.hot import HotResponse
from weft.api.metrics import RouteMeter
from weft.api.origins import Origins, RawHeaders
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.api.uvicorn_protocol import CONNECTION, Connection
from weft.core.clock import Clock
from weft.core.errors import WeftError

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

GONE: Final = 499
"""Counted for a client that went away before its request was complete; never sent."""
NO_CONTENT: Final = 204

_CONTENT_SECURITY: Final = (
    b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
    b"base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


def security_headers(settings: ApiSettings) -> RawHeaders:
    """The headers on every answer, errors included."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", _CONTENT_SECURITY),
    ]
    if settings.hsts_max_age_s:
        headers.append((b"strict-transport-security", b"max-age=%d" % settings.hsts_max_age_s))
    return headers


class Answering:
    """Opens an exchange for each request of a process and closes it with what was answered."""

    def __init__(self, *, settings: ApiSettings, clock: Clock, rate_limits: RateLimits) -> None:
        self.origins = Origins(settings)
        self.steady_s = clock.steady_s
        self._clock = clock
        self._rate_limits = rate_limits
        self._trusted = settings.trusted_networks()
        self._security = security_headers(settings)
        self._security_lines = b"".join(b"%b: %b\r\n" % pair for pair in self._security)
        self._accept_id = CorrelationIds().accept
        self._access = AccessLog(settings.access_log, clock)

    def open(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Exchange:
        """The exchange of a request, its correlation id in force for this task."""
        correlation = self._accept_id(headers.get(b"x-correlation-id") or headers.get(b"x-request-id"))
        enter_correlation(correlation)
        client = scope.get("client")
        address: str = client[0] if client else ""
        if ":" in address:
            address = plain_address(address)
        if self._trusted:
            address = self._believe(address, scope, headers)
        return Exchange(correlation_id=correlation, client_ip=address, rate_limits=self._rate_limits)

    def _believe(self, peer: str, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The client's address, and whether it came by HTTPS, from what a trusted proxy says."""
        told = headers.get(b"x-forwarded-proto", b"").lower()
        if told in {b"http", b"https"} and is_trusted(peer, self._trusted):
            is_socket = scope["type"] == "websocket"
            scope["scheme"] = ("wss" if told == b"https" else "ws") if is_socket else told.decode()
        return client_ip_of(peer, headers.get(b"x-forwarded-for"), self._trusted)

    def common_headers(self, exchange: Exchange, headers: Mapping[bytes, bytes]) -> RawHeaders:
        """The headers of an answer that do not depend on what is answered."""
        common = [(b"x-correlation-id", exchange.correlation_id.encode("ascii")), *exchange.headers, *self._security]
        origin = headers.get(b"origin")
        return common if origin is None else common + self.origins.answer_headers(origin)

    def of_error(self, error: Exception, exchange: Exchange, scope: Scope) -> HotResponse:
        """The answer to an error; one that is not ours is logged with its trace."""
        problem = problem_of(error)
        if not isinstance(error, WeftError | HTTPException):
            logger.error("request_failed", exc_info=error, extra={"path": scope["path"], "method": scope["method"]})
        body = error_body(problem, now_us=self._clock.now_us(), correlation=exchange.correlation_id)
        extra = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers)
        return HotResponse(problem.status, body, JSON.encode(), extra)

    async def send(
        self, response: HotResponse, scope: Scope, exchange: Exchange, headers: Mapping[bytes, bytes], send: Send
    ) -> None:
        """Send an answer, by the server's short way where it has one and the answer is plain."""
        body = response.body
        connection: Connection | None = scope["state"].get(CONNECTION) if "state" in scope else None
        if (
            connection is not None
            and not response.headers
            and b"origin" not in headers
            and connection.answer(scope, response.status, self._head(response, exchange), body)
        ):
            return
        head = [*response.headers, *self.common_headers(exchange, headers)]
        if response.status != NO_CONTENT:
            head += ((b"content-type", response.content_type), (b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": response.status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _head(self, response: HotResponse, exchange: Exchange) -> bytes:
        more = b"".join([b"%b: %b\r\n" % pair for pair in exchange.headers]) if exchange.headers else b""
        return b"content-type: %b\r\ncontent-length: %d\r\nx-correlation-id: %b\r\n%b%b\r\n" % (
            response.content_type,
            len(response.body),
            exchange.correlation_id.encode("ascii"),
            more,
            self._security_lines,
        )

    def close(self, meter: RouteMeter, route: str, scope: Scope, exchange: Exchange, status: int, started_s: float) -> None:
        """Count an answer and write its line."""
        duration_s = self.steady_s() - started_s
        meter.observe(status, duration_s)
        self.note(route, scope, exchange, status, duration_s)

    def note(self, route: str, scope: Scope, exchange: Exchange, status: int, duration_s: float) -> None:
        """Write the line of the access log, and leave the route for who stands outside."""
        scope[ROUTE_KEY] = route
        if status >= self._access.lowest_status:
            principal = exchange.principal
            self._access.write(
                (
                    exchange.correlation_id,
                    None if principal is None else principal.id,
                    duration_s,
                    scope.get("method", "WEBSOCKET"),
                    scope["path"],
                    route,
                    status,
                    exchange.client_ip,
                )
            )
