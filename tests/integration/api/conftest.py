"""A whole small application behind the edge, on a real server."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from weft.api.broadcast import Broadcast
from weft.api.caller import Caller
from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.exchange import caller_of, exchange_of
from weft.api.health import HealthRegister
from weft.api.hot import HotRequest, HotResponse, HotRoute
from weft.api.metrics import Metrics
from weft.api.openapi import OpenApi
from weft.api.parts import ApiParts, api_parts
from weft.api.rate_limit import RateLimits, charge
from weft.api.routes import router
from weft.api.settings import ApiSettings
from weft.api.websocket import Socket, Sockets
from weft.core import errors
from weft.core.principal import Principal, Scope
from weft.testing.clock import ManualClock
from weft.testing.server import serving

ALICE = Principal(kind="user", id="alice", name="Alice", scopes=frozenset(Scope))
BOB = Principal(kind="user", id="bob", name="Bob", scopes=frozenset({Scope.EVENTS_READ}))
FAST = Principal(kind="api_key", id="fast", name="Fast", scopes=frozenset(Scope), requests_per_minute=3)
ANYONE = Principal(kind="anonymous", id="anonymous", name="anonymous", scopes=frozenset({Scope.EVENTS_WRITE}))
TOKENS = {"alice": ALICE, "bob": BOB, "fast": FAST}


class Doorman:
    """An authenticator for tests: bearer tokens by name, a session cookie, and anonymous callers where allowed."""

    def __init__(self, *, anonymous: bool = False) -> None:
        self.anonymous = anonymous
        self.tokens = dict(TOKENS)
        self.is_away = False

    async def authenticate(self, caller: Caller) -> Principal:
        shown = caller.headers.get("authorization")
        if shown is not None:
            return await self.authenticate_token(shown.removeprefix("Bearer "))
        if caller.headers.get("cookie") == "session=alice":
            return ALICE
        if self.anonymous:
            return ANYONE
        raise errors.Unauthenticated("sign in first")

    async def authenticate_token(self, token: str) -> Principal:
        if self.is_away:
            raise errors.Unavailable("the accounts are away")
        if token not in self.tokens:
            raise errors.Unauthenticated("this token is not known")
        return self.tokens[token]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Thing(BaseModel):
    name: str = Field(max_length=20)
    colour: Colour = Colour.RED
    sizes: list[int] = []


@dataclass
class Site:
    """What a test can look at and turn."""

    address: str
    http: httpx.AsyncClient
    clock: ManualClock
    metrics: Metrics
    health: HealthRegister
    sockets: Sockets
    broadcast: Broadcast
    doorman: Doorman

    @property
    def ws(self) -> str:
        return f"ws://{self.address}"


async def echo(request: HotRequest) -> HotResponse:
    """A hot route that answers with what it got, or fails on demand."""
    if request.body == b"boom":
        raise RuntimeError("a secret of the house")
    if request.body == b"busy":
        raise errors.Unavailable("the log is away", retry_after_s=7)
    told = {"size": len(request.body), "who": request.principal.id, "id": request.correlation_id, "ip": request.client_ip}
    return HotResponse(201, msgspec.json.encode(told), headers=((b"x-extra", b"yes"),))


things = APIRouter()


@things.get("/things/{thing_id}")
async def get_thing(thing_id: int) -> Thing:
    if thing_id == 404:
        raise errors.NotFound("there is no thing 404")
    return Thing(name=str(thing_id))


@things.put("/things/{thing_id}")
async def put_thing(thing_id: int, thing: Thing) -> Thing:
    return thing


@things.post("/things", status_code=201)
async def add_thing(thing: Thing) -> Thing:
    return thing


@things.get("/hot/{name}")
async def below_hot(name: str) -> str:
    return name


@things.get("/scheme")
async def scheme(request: Request) -> str:
    return request.url.scheme


@things.delete("/hot")
async def clear_hot() -> str:
    return "cleared"


@things.get("/fail/{name}")
async def fail(name: str) -> None:
    raise make_error(name)


@things.post("/raw-size")
async def raw_size(request: Request) -> dict[str, Any]:
    return {"size": len(await request.body()), "encoding": request.headers.get("content-encoding")}


@things.get("/endless")
async def endless() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"line\n" * 1000

    return StreamingResponse(lines())


@things.get("/broken-half-way")
async def broken() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        raise RuntimeError("half way")

    return StreamingResponse(lines())


async def signed_in(request: Request) -> Principal:
    principal = await Doorman().authenticate(caller_of(request))
    exchange_of(request).principal = principal
    return principal


@things.get("/limited")
async def limited(request: Request, principal: Annotated[Principal, Depends(signed_in)]) -> dict[str, str]:
    await charge(request, "dashboard", principal)
    return {"who": principal.id}


@things.websocket("/ws")
async def ws(websocket: WebSocket) -> None:
    async def talk(socket: Socket) -> None:
        async for frame in socket:
            if frame.type == "boom":
                raise RuntimeError("a secret of the house")
            if frame.type == "leave":
                return
            await socket.send({"type": "echo", "who": socket.principal.id, "data": frame.data})

    await api_parts(websocket).sockets.serve(websocket, Scope.EVENTS_WRITE, talk)


@things.websocket("/ws/live")
async def live(websocket: WebSocket) -> None:
    async def talk(socket: Socket) -> None:
        with websocket.app.state.broadcast.joined(socket):
            async for _ in socket:
                pass

    await api_parts(websocket).sockets.serve(websocket, Scope.EVENTS_READ, talk)


def make_app(clock: ManualClock) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, title="Test", version="0.1.0")
    add_error_handlers(app, clock)
    app.include_router(router)
    app.include_router(things)
    app.include_router(things, prefix="/again")
    app.state.broadcast = Broadcast()
    return app


def make_error(name: str) -> Exception:
    if name == "runtime":
        return RuntimeError("a secret of the house")
    if name == "login":
        return HTTPException(400, detail="LOGIN_BAD_CREDENTIALS")
    if name == "password":
        return HTTPException(400, detail={"code": "REGISTER_INVALID_PASSWORD", "reason": "It is too short"})
    if name == "coded":
        return errors.Malformed("this mail address or password is wrong", code="LOGIN_BAD_CREDENTIALS")
    if name == "upstream":
        return HTTPException(502)
    return getattr(errors, name)("something about it")


HOT = HotRoute(
    method="POST",
    path="/hot",
    scope=Scope.EVENTS_WRITE,
    limit="events",
    max_body_bytes=200_000,
    handler=echo,
    operation={"summary": "Echo", "responses": {"201": {"description": "Echoed."}}},
)

Start = Callable[..., AbstractAsyncContextManager[Site]]


@asynccontextmanager
async def start_site(
    *, anonymous: bool = False, wrap: Callable[[Any], Any] = lambda edge: edge, **options: Any
) -> AsyncIterator[Site]:
    settings = ApiSettings.model_validate({"access_log": "off", **options})
    clock = ManualClock()
    metrics = Metrics(settings.metrics_prefix)
    doorman = Doorman(anonymous=anonymous)
    health = HealthRegister(service="test", version="0.1.0", clock=clock, timeout_s=settings.health_timeout_s)
    sockets = Sockets(settings=settings, clock=clock, authenticator=doorman, metrics=metrics)
    health.add_count("websocket_connections", lambda: sockets.count)
    app = make_app(clock)
    app.state.api = ApiParts(
        settings=settings, metrics=metrics, health=health, sockets=sockets, openapi=OpenApi(app, [HOT])
    )  # fmt: skip
    edge = Edge(
        app,
        settings=settings,
        clock=clock,
        authenticator=doorman,
        rate_limits=RateLimits(settings=settings, clock=clock),
        metrics=metrics,
        hot_routes=[HOT],
    )
    async with serving(wrap(edge)) as address, httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as http:
        yield Site(address, http, clock, metrics, health, sockets, app.state.broadcast, doorman)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with start_site(rate_limit_enabled=False) as started:
        yield started


@pytest.fixture
def start() -> Start:
    return start_site
