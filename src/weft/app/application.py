"""The application: every role's parts behind one edge."""

from dataclasses import dataclass

from fastapi import FastAPI

from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.openapi import OpenApi
from weft.api.parts import ApiParts
from weft.api.rate_limit import RateLimits
from weft.api.routes import router as operations
from weft.api.websocket import Sockets
from weft.app.parts import Parts
from weft.app.plan import Plan
from weft.app.resources import Resources
from weft.auth.routes import router as accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What a server serves, and what runs beside it."""

    asgi: Edge
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
        rate_limits=RateLimits(settings=settings.api, clock=resources.clock),
        metrics=resources.metrics,
        hot_routes=parts.hot_routes,
    )
    return Application(asgi=edge, parts=parts)


async def common(resources: Resources) -> Parts:
    """What every process has: who asks, health, metrics, the documentation."""
    auth = await resources.auth()
    database = await resources.database()
    log = await resources.log()
    resources.health.add("database", database.probe)

    async def look_at_log() -> None:
        await log.state()

    resources.health.add("message_broker", look_at_log)
    return Parts(routers=(operations, accounts), state={"auth": auth})
