"""The application: every role's parts behind one edge."""

import asyncio
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from weft.api.checks import checks as api_checks
from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.health import Probe
from weft.api.metrics import Metrics
from weft.api.openapi import OpenApi
from weft.api.parts import ApiParts
from weft.api.rate_limit import Counters, MemoryCounters, RateLimits
from weft.api.routes import router as operations
from weft.api.websocket import Sockets
from weft.app.gauges import Gauges
from weft.app.parts import Parts
from weft.app.plan import Plan
from weft.app.process import Asgi
from weft.app.resources import Resources, log_folder
from weft.app.shared_limits import SharedCounters
from weft.audit.routes import router as ledger
from weft.auth.checks import auth_checks
from weft.auth.routes import router as accounts
from weft.cache.checks import checks as cache_checks
from weft.core.errors import Unavailable
from weft.core.worker import Worker
from weft.db.checks import database_checks
from weft.log.checks import checks as log_checks
from weft.log.port import Log
from weft.log.ticker import Ticker
from weft.log.trimmer import Trimmer
from weft.query.routes import verdict
from weft.store.port import EventStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What a server serves, and what runs beside it."""

    asgi: Asgi
    parts: Parts


async def compose(resources: Resources, plan: Plan) -> Application:
    """The application of a plan. Opens what its roles need."""
    parts = await common(resources)
    for role in plan.roles:
        parts = parts.joined(await role.compose(resources))
    return await _assembled(resources, parts)


async def _assembled(resources: Resources, parts: Parts) -> Application:
    settings = resources.settings
    for code, check in parts.checks.items():
        resources.checks.add(code, check)
    authenticator = (await resources.auth()).authenticator
    framework = FastAPI(
        title=settings.app.name,
        version=resources.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    add_error_handlers(framework, resources.clock)
    for router in parts.routers:
        framework.include_router(router)
    sockets = Sockets(settings=settings.api, clock=resources.clock, authenticator=authenticator, metrics=resources.metrics)
    resources.health.add_count("websocket_connections", lambda: sockets.count)
    framework.state.api = ApiParts(
        settings=settings.api,
        metrics=resources.metrics,
        health=resources.health,
        sockets=sockets,
        openapi=OpenApi(framework, parts.hot_routes),
    )
    for name, collaborator in parts.state.items():
        setattr(framework.state, name, collaborator)
    edge = Edge(
        framework,
        settings=settings.api,
        clock=resources.clock,
        authenticator=authenticator,
        rate_limits=RateLimits(settings=settings.api, clock=resources.clock, counters=await _counters(resources)),
        metrics=resources.metrics,
        hot_routes=parts.hot_routes,
    )
    return Application(asgi=_traced(edge, resources), parts=parts)


async def _counters(resources: Resources) -> Counters:
    cache = await resources.cache()
    local = MemoryCounters(resources.clock, resources.settings.api.rate_limit_max_keys)
    return local if cache.reach == "process" else SharedCounters(cache, local=local, clock=resources.clock)


def _traced(edge: Edge, resources: Resources) -> Asgi:
    """The edge with a span round each request, where a collector is set. Its SDK is loaded only then."""
    settings = resources.settings.api
    if settings.otlp_endpoint is None:
        return edge
    from weft.api.tracing import Tracing

    tracing = Tracing(edge, settings=settings, service=resources.service, version=resources.version)
    resources.at_end(lambda: asyncio.to_thread(tracing.close))
    return tracing


def metrics_alone(metrics: Metrics) -> Asgi:
    """An application that answers GET /metrics and nothing else, for a listener of its own."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"}:
            text, content_type = metrics.exposition(Headers(scope=scope).get("accept", ""))
            response = Response(text, headers={"Content-Type": content_type})
        else:
            response = PlainTextResponse("There is only /metrics here.\n", 404)
        await response(scope, receive, send)

    return answer


async def common(resources: Resources) -> Parts:
    """What every process has: who asks, health, the verdict, metrics, the documentation, and care for its part of the log."""
    settings = resources.settings
    auth, database, log = await resources.auth(), await resources.database(), await resources.log()
    query, cache = await resources.query(), await resources.cache()
    resources.health.add("database", database.probe)
    resources.health.add("message_broker", _probe_log(log, appends=resources.appends))
    if cache.reach == "network":
        resources.health.add("redis", cache.probe, needed=False)
        resources.metrics.add_gauge(
            "cache_up", "1 while limits are counted with every process, 0 while alone.", (), lambda: [((), not cache.is_away)]
        )
    resources.health.add("store", _probe_store(query.store, owns=resources.owns_store))
    gauges = Gauges(log, query.store if resources.owns_store else None, resources.metrics)
    upkeep: tuple[Worker, ...] = ()
    if resources.appends:
        upkeep = (Trimmer(log, settings=settings.log), Ticker(log, settings=settings.log, clock=resources.clock))
    return Parts(
        routers=(operations, accounts, ledger, verdict.router),
        workers=(gauges, auth.revocations, *upkeep),
        state={"auth": auth, "audit": await resources.ledger(), "query": query},
        checks={
            **log_checks(log, clock=resources.clock, folder=log_folder(settings.app), appends=resources.appends),
            **cache_checks(cache),
            **auth_checks(auth),
            **database_checks(database, resources.clock),
            **api_checks(resources.metrics, clock=resources.clock),
        },
    )


def _probe_log(log: Log, *, appends: bool) -> Probe:
    async def look() -> None:
        state = await log.state()
        if not state.is_current or (appends and not state.writable):
            raise Unavailable(state.refusal or "the log refuses events")

    return look


def _probe_store(store: EventStore, *, owns: bool) -> Probe:
    """A reader of the store looks no further than its files: catching up with the log is for questions."""

    async def look() -> None:
        state = await store.state() if owns else None
        refusal = state.details.get("refusal") if state is not None else None
        if refusal:
            raise Unavailable(str(refusal))
        await store.flushed()

    return look
