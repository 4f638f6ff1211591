"""The edge: the outermost application. Everything that is true of every request is done here, once.

Correlation id, client address, origin rule, security headers, counters, access log, and the hot routes. What is no hot route
goes on to the framework.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException

from weft.api.answering import GONE, NO_CONTENT, Answering, Receive, Scope, Send
from weft.api.body import BodyReader, ClientGone
from weft.api.caller import Authenticator
from weft.api.exchange import SCOPE_KEY
from weft.api.framework import FrameworkCall
from weft.api.handshake import Handshake
from weft.api.hot import HotResponse, HotRoute
from weft.api.hot_server import HotServer
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.route_table import RouteTable
from weft.api.settings import ApiSettings
from weft.core.clock import Clock

App = Callable[[Any, Any, Any], Awaitable[None]]

UNMATCHED: Final = "unmatched"
"""The route label of every path nobody serves, so that strangers cannot grow the metrics."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
        self._metrics = metrics
        self._clock = clock
        self._max_body_bytes = settings.max_body_bytes
        self._bodies = BodyReader(settings, clock)
        self._answering = Answering(settings=settings, clock=clock, rate_limits=rate_limits)
        self._hot = HotServer(
            hot_routes,
            answering=self._answering,
            authenticator=authenticator,
            rate_limits=rate_limits,
            bodies=self._bodies,
            metrics=metrics,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            hot = self._hot.find((scope["method"], scope["path"]))
            if hot is not None:
                await self._hot.serve(hot, scope, receive, send)
            else:
                await self._serve(scope, receive, send)
        elif kind == "websocket":
            await self._serve_socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = self._answering
        started_s = answering.steady_s()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = answering.open(scope, headers)
        # A copy: the framework writes the matched route into it, and HEAD is asked as GET.
        inner = {**scope, SCOPE_KEY: exchange}
        call = FrameworkCall(
            receive,
            send,
            headers=lambda: answering.common_headers(exchange, headers),
            bodies=self._bodies,
            clock=self._clock,
            limit_bytes=self._max_body_bytes,
        )
        answer: HotResponse | None = None
        try:
            answer = self._answer_here(scope, headers)
            if answer is None:
                await call.prepare(inner, headers)
                await self._app(inner, call.receive, call.send)
        except ClientGone:
            call.status = GONE
        except Exception as error:
            if call.status == 0:
                answer = answering.of_error(error, exchange, scope)
            elif not call.is_done:
                raise  # half an answer is out; only closing the connection tells the client
        if answer is not None:
            call.status = answer.status
            await answering.send(answer, scope, exchange, headers, send)
        template = self._routes.template(inner) or (scope["path"] if self._hot.methods(scope["path"]) else UNMATCHED)
        meter = self._metrics.meter(scope["method"] if scope["method"] in _METHODS else "OTHER", template)
        answering.close(meter, template, scope, exchange, call.status or GONE, started_s)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = self._answering
        started_s = answering.steady_s()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = answering.open(scope, headers)
        exchange.send = send
        inner = {**scope, SCOPE_KEY: exchange}
        handshake = Handshake(
            send,
            headers=lambda: answering.common_headers(exchange, headers),
            refuse=lambda: answering.of_error(HTTPException(403 if self._routes.template(inner) else 404), exchange, scope),
            can_answer="websocket.http.response" in (scope.get("extensions") or {}),
        )
        try:
            await self._app(inner, receive, handshake.send)
        finally:
            template = self._routes.template(inner) or UNMATCHED
            answering.note(template, scope, exchange, handshake.status or GONE, answering.steady_s() - started_s)

    def _answer_here(self, scope: Scope, headers: Mapping[bytes, bytes]) -> HotResponse | None:
        """What the framework cannot answer: OPTIONS, and methods of a path that hot routes share with it.

        Raises HTTPException 404 or 405, and NotAllowed for a pre-flight that may not pass.
        """
        if scope["method"] == "OPTIONS":
            return self._answer_options(scope, headers)
        if not self._hot.methods(scope["path"]):
            return None
        allowed = self._allowed(scope)
        if scope["method"] in allowed:
            return None
        raise HTTPException(405, headers={"Allow": ", ".join(allowed)})

    def _answer_options(self, scope: Scope, headers: Mapping[bytes, bytes]) -> HotResponse:
        if b"origin" in headers and b"access-control-request-method" in headers:
            return HotResponse(NO_CONTENT, b"", headers=tuple(self._answering.origins.preflight_headers(headers)))
        allowed = self._allowed(scope)
        if not allowed:
            raise HTTPException(404)
        return HotResponse(NO_CONTENT, b"", headers=((b"allow", ", ".join(allowed).encode()),))

    def _allowed(self, scope: Scope) -> list[str]:
        found = self._hot.methods(scope["path"]) | self._routes.methods(scope)
        if "GET" in found:
            found.add("HEAD")
        return sorted(found | {"OPTIONS"}) if found else []
