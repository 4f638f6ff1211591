"""Serving hot routes: what every one of them needs, done once, in the order that refuses soonest."""

from collections.abc import Sequence
from typing import NamedTuple

from weft.api.answering import GONE, Answering, Receive, Scope, Send
from weft.api.body import BodyReader, ClientGone
from weft.api.caller import Authenticator, Caller
from weft.api.exchange import Exchange, HeaderView
from weft.api.hot import HotRequest, HotRoute
from weft.api.metrics import Metrics, RouteMeter
from weft.api.rate_limit import RateLimits
from weft.core.errors import NotAllowed, Unauthenticated
from weft.core.principal import Principal


class Hot(NamedTuple):
    """A hot route and its counters."""

    route: HotRoute
    meter: RouteMeter


class HotServer:
    """The hot routes of a process, by exact method and path."""

    def __init__(
        self,
        routes: Sequence[HotRoute],
        *,
        answering: Answering,
        authenticator: Authenticator,
        rate_limits: RateLimits,
        bodies: BodyReader,
        metrics: Metrics,
    ) -> None:
        self._answering = answering
        self._authenticator = authenticator
        self._rate_limits = rate_limits if rate_limits.enabled else None
        self._bodies = bodies
        self._routes = {(route.method, route.path): Hot(route, metrics.meter(route.method, route.path)) for route in routes}
        self.find = self._routes.get
        """The hot route of a method and path, or None."""

    def methods(self, path: str) -> set[str]:
        """The methods hot routes take at a path."""
        return {method for method, known in self._routes if known == path}

    async def serve(self, hot: Hot, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route, meter = hot
        answering = self._answering
        started_s = answering.steady_s()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = answering.open(scope, headers)
        try:
            principal = await self._admit(route, headers, exchange)
            body = await self._bodies.read(scope, receive, headers, route.max_body_bytes)
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
            await answering.send(response, scope, exchange, headers, send)
        except ClientGone:
            status = GONE
        except Exception as error:
            response = answering.of_error(error, exchange, scope)
            status = response.status
            await answering.send(response, scope, exchange, headers, send)
        answering.close(meter, route.path, scope, exchange, status, started_s)

    async def _admit(self, route: HotRoute, headers: dict[bytes, bytes], exchange: Exchange) -> Principal:
        caller = Caller(headers=HeaderView(headers), client_ip=exchange.client_ip, method=route.method)
        principal = await self._authenticator.authenticate(caller)
        exchange.principal = principal
        if route.scope not in principal.scopes:
            refusal = Unauthenticated if principal.kind == "anonymous" else NotAllowed
            raise refusal(f"this needs the scope {route.scope.value}", scope=route.scope.value)
        if principal.kind == "anonymous" and not self._answering.origins.is_at_home(
            headers.get(b"origin"), headers.get(b"host", b"")
        ):
            raise NotAllowed("a web page of another origin may not act without signing in", field="origin")
        if self._rate_limits is not None:
            exchange.headers += await self._rate_limits.charge(route.limit, exchange.client_ip, principal)
        return principal
