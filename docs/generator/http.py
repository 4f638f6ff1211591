"""The page of all routes, read from the OpenAPI document that the application serves, and from the routes' own scopes."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import APIRouter
from fastapi.routing import APIRoute

from docs.generator.page import cell, header
from weft.app.application import compose
from weft.app.plan import make_plan
from weft.app.resources import Resources
from weft.app.settings import AppSettings, Settings
from weft.auth.signature import find_requirement
from weft.core.clock import SystemClock

_METHODS = ("get", "post", "put", "patch", "delete")
_SOCKETS = """## WebSockets

A socket is authenticated by its `Authorization` header, by the cookie of the same origin, or by a first frame
`{"type":"auth","token":"…"}` within five seconds; otherwise it is closed with 1008. A token never stands in the address.

| path | role | what it is |
|---|---|---|
| `/ws` | ingestion | events in, an acknowledgement for each; `ping` is answered with `pong` |
| `/ws/live` | dashboard | any number of feeds on one socket, with snapshots, filters, rates and credit: [live](live.md) |
| `/ws/alerts` | dashboard | what fires now, and every transition of an alert from then on |
| `/ws/metrics` | dashboard | the realtime figures, every second |
| `/ws/topics/{topic}` | dashboard | a topic from a place on, as it is appended; every frame says from where to go on |
"""


def render() -> str:
    """The page as Markdown."""
    document, scopes = asyncio.run(_read())
    lines = header(
        "HTTP",
        "Every route of the one process. A role alone serves its own routes and those of accounts and operation. The full "
        "document, with bodies and answers, is at `/openapi.json`, and to try at `/docs`. Errors: [errors](errors.md).",
    )
    lines += ["| route | asks for | answers | what it does |", "|---|---|---|---|"]
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in item:
                lines.append(_line(method, path, item[method], scopes))
    return "\n".join(lines) + "\n\n" + _SOCKETS


def _line(method: str, path: str, operation: dict[str, Any], scopes: dict[tuple[str, str], str]) -> str:
    scope = operation.get("x-scope") or scopes.get((method.upper(), path), "public")
    answers = ", ".join(status for status in operation["responses"] if status.startswith("2"))
    return f"| `{method.upper()} {path}` | {scope} | {answers} | {cell(operation.get('summary') or '')} |"


async def _read() -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    with TemporaryDirectory() as folder:
        settings = Settings(app=AppSettings(data_dir=Path(folder)))
        plan = make_plan(settings)
        async with Resources(settings, plan.needs, clock=SystemClock(), version="0") as resources:
            application = await compose(resources, plan)
            scopes = {key: asked for router in application.parts.routers for key, asked in _scopes(router)}
            transport = httpx.ASGITransport(application.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return (await client.get("/openapi.json")).json(), scopes


def _scopes(router: APIRouter) -> list[tuple[tuple[str, str], str]]:
    found: list[tuple[tuple[str, str], str]] = []
    for route in router.routes:
        inner = getattr(route, "original_router", None)  # the framework keeps an included router as one entry
        if isinstance(inner, APIRouter):
            found += _scopes(inner)
        elif isinstance(route, APIRoute):
            found += [((method, route.path), find_requirement(route) or "public") for method in route.methods]
    return found
