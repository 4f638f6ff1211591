"""The edge: the outermost application. Everything that is true of every request is done here, once.

Correlation id, client address, origin rule, security headers, counters, access log, and the hot routes. What is no hot route
goes on to the framework.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException

from weft.api.access import Access, AccessLog
from weft.api.body import BodyReader, ClientGone
from weft.api.caller import Authenticator, Caller
from weft.api.correlation import CorrelationIds, enter_correlation
from weft.api.errors import JSON, error_body, problem_of
from weft.api.exchange import SCOPE_KEY, Exchange, HeaderView, client_ip_of
from weft.api.framework import FrameworkCall, RouteTable
from weft.api.hot import HotRequest, HotResponse, HotRoute
from weft.api.metrics import Metrics, RouteMeter
from weft.api.origins import Origins, RawHeaders
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.core.clock import Clock
from weft.core.errors import NotAllowed, WeftError
from weft.core.principal import Principal

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

GONE: Final = 499
"""Counted for a client that went away before its request was complete; never sent."""
_NO_CONTENT: Final = 204
_SMALL_BYTES: Final = 64 * 1024
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


class Edge:
    """The ASGI application a server runs: hot routes by exact method and path, `app` for everything else."""

    def __init__(
        self,
        app: App,
        *,
        settings: ApiSettings,
        clock: Clock,
        authenticator: Authenticator,
        rate_limits: RateLimits,
        metrics: Metrics,
        hot_routes: Sequence[HotRoute] = (),
    ) -> None:
        self._app = app
        self._routes = RouteTable(app)
        self._clock = clock
        self._steady_s = clock.steady_s
        self._authenticator = authenticator
        self._rate_limits = rate_limits
        self._limited = rate_limits.enabled
        self._metrics = metrics
        self._hot: dict[tuple[str, str], tuple[HotRoute, RouteMeter]] = {
            (route.method, route.path): (route, metrics.meter(route.method, route.path)) for route in hot_routes
        }
        self._hot_methods: dict[str, list[str]] = {}
        for route in hot_routes:
            self._hot_methods.setdefault(route.path, []).append(route.method)
        self._origins = Origins(settings)
        self._trusted = settings.trusted_networks()
        self._bodies = BodyReader(settings)
        self._max_body_bytes = settings.max_body_bytes
        self._security = security_headers(settings)
        self._accept_id = CorrelationIds().accept
        self._access = AccessLog(settings.access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            hot = self._hot.get((scope["method"], scope["path"]))
            if hot is not None:
                await self._serve_hot(hot[0], hot[1], scope, receive, send)
            else:
                await self._serve(scope, receive, send)
        elif kind == "websocket":
            await self._serve_socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve_hot(self, route: HotRoute, meter: RouteMeter, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = self._steady_s()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = self._exchange(scope, headers)
        is_read = False
        try:
            principal = exchange.principal = await self._admit(route, headers, exchange.client_ip)
            if self._limited:
                exchange.headers.extend(await self._rate_limits.charge(route.limit, exchange.client_ip, principal))
            body = await self._bodies.read(receive, headers, route.max_body_bytes)
            is_read = True
            response = await route.handler(
                HotRequest(
                    headers=headers,
                    query=scope["query_string"],
                    body=body,
                    principal=principal,
                    client_ip=exchange.client_ip,
                    correlation_id=exchange.correlation_id,
                )
            )
            status = response.status
            await self._send(response, exchange, headers, send)
        except ClientGone:
            status = GONE
        except Exception as error:
            response = self._answer_error(error, exchange, scope)
            status = response.status
            if not is_read and not _is_small(headers):
                exchange.headers.append((b"connection", b"close"))  # nobody will read the rest of that body
            await self._send(response, exchange, headers, send)
        self._finish(meter, route.path, scope, exchange, status, started_s)

    async def _admit(self, route: HotRoute, headers: dict[bytes, bytes], client_ip: str) -> Principal:
        caller = Caller(headers=HeaderView(headers), client_ip=client_ip, method=route.method)
        principal = await self._authenticator.authenticate(caller)
        if route.scope not in principal.scopes:
            raise NotAllowed(f"this needs the scope {route.scope.value}", scope=route.scope.value)
        if principal.kind == "anonymous" and not self._origins.is_at_home(headers.get(b"origin"), headers.get(b"host", b"")):
            raise NotAllowed("a web page of another origin may not act without signing in", field="origin")
        return principal

    async def _send(self, response: HotResponse, exchange: Exchange, headers: Mapping[bytes, bytes], send: Send) -> None:
        body = response.body
        head = [*response.headers, *self._common_headers(exchange, headers)]
        if response.status != _NO_CONTENT:
            head += ((b"content-type", response.content_type), (b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": response.status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _common_headers(self, exchange: Exchange, headers: Mapping[bytes, bytes]) -> RawHeaders:
        common = [(b"x-correlation-id", exchange.correlation_id.encode("ascii")), *exchange.headers, *self._security]
        origin = headers.get(b"origin")
        return common if origin is None else common + self._origins.answer_headers(origin)

    def _answer_error(self, error: Exception, exchange: Exchange, scope: Scope) -> HotResponse:
        problem = problem_of(error)
        if not isinstance(error, WeftError | HTTPException):
            logger.error("request_failed", exc_info=error, extra={"path": scope["path"], "method": scope["method"]})
        body = error_body(problem, now_us=self._clock.now_us(), correlation=exchange.correlation_id)
        extra = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers)
        return HotResponse(problem.status, body, JSON.encode(), extra)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = self._steady_s()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = self._exchange(scope, headers)
        # A copy: the framework writes the matched route into it, and HEAD is asked as GET.
        inner = {**scope, SCOPE_KEY: exchange}
        call = FrameworkCall(receive, send, lambda: self._common_headers(exchange, headers), self._max_body_bytes)
        answer: HotResponse | None = None
        try:
            answer = self._answer_options(scope, headers)
            if answer is None:
                answer = self._refuse_method(scope)
            if answer is None:
                await call.prepare(inner, headers, self._bodies)
                await self._app(inner, call.receive, call.send)
        except ClientGone:
            call.status = GONE
        except Exception as error:
            if call.status == 0:
                answer = self._answer_error(error, exchange, scope)
            elif not call.is_done:
                raise  # half an answer is out; only closing the connection tells the client
        if answer is not None:
            call.status = answer.status
            await self._send(answer, exchange, headers, send)
        template = self._routes.template(inner) or (scope["path"] if scope["path"] in self._hot_methods else UNMATCHED)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._finish(self._metrics.meter(method, template), template, scope, exchange, call.status or GONE, started_s)

    def _answer_options(self, scope: Scope, headers: Mapping[bytes, bytes]) -> HotResponse | None:
        if scope["method"] != "OPTIONS":
            return None
        if b"origin" in headers and b"access-control-request-method" in headers:
            return HotResponse(_NO_CONTENT, b"", headers=tuple(self._origins.preflight_headers(headers)))
        allowed = self._allowed(scope)
        if not allowed:
            raise HTTPException(404)
        return HotResponse(_NO_CONTENT, b"", headers=((b"allow", ", ".join(allowed).encode()),))

    def _refuse_method(self, scope: Scope) -> HotResponse | None:
        """A path with hot routes may have others in the framework; only the edge knows both."""
        if scope["path"] not in self._hot_methods:
            return None
        allowed = self._allowed(scope)
        if scope["method"] in allowed:
            return None
        raise HTTPException(405, headers={"Allow": ", ".join(allowed)})

    def _allowed(self, scope: Scope) -> list[str]:
        found = {*self._hot_methods.get(scope["path"], ()), *self._routes.methods(scope)}
        if "GET" in found:
            found.add("HEAD")
        return sorted(found | {"OPTIONS"}) if found else []

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = self._exchange(scope, headers)
        exchange.send = send
        await self._app({**scope, SCOPE_KEY: exchange}, receive, send)

    def _exchange(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Exchange:
        correlation = self._accept_id(headers.get(b"x-correlation-id") or headers.get(b"x-request-id"))
        enter_correlation(correlation)
        client = scope.get("client")
        peer: str = client[0] if client else ""
        if self._trusted:
            peer = client_ip_of(peer, headers.get(b"x-forwarded-for"), self._trusted)
        return Exchange(correlation_id=correlation, client_ip=peer, rate_limits=self._rate_limits)

    def _finish(self, meter: RouteMeter, route: str, scope: Scope, exchange: Exchange, status: int, started_s: float) -> None:
        duration_s = self._steady_s() - started_s
        meter.observe(status, duration_s)
        if self._access.wants(status):
            principal = exchange.principal
            self._access.write(
                Access(
                    method=scope["method"],
                    path=scope["path"],
                    route=route,
                    status=status,
                    duration_s=duration_s,
                    client_ip=exchange.client_ip,
                    correlation_id=exchange.correlation_id,
                    user_id=principal.id if principal is not None else None,
                )
            )


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED: Final = "unmatched"
"""The route label of every path nobody serves, so that strangers cannot grow the metrics."""


def _is_small(headers: Mapping[bytes, bytes]) -> bool:
    declared = headers.get(b"content-length", b"")
    if not declared:
        return b"transfer-encoding" not in headers
    return declared.isdigit() and int(declared) <= _SMALL_BYTES
