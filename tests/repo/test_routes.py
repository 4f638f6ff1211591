"""Nothing is open by accident: every route says what it asks of its caller."""

import ast
import importlib
import inspect

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute

from docs.generator.tree import modules
from weft.auth.signature import find_limit, find_requirement

# The api room stands below auth and cannot name a scope; what it serves is open to everybody, and this is all of it.
OPEN = {
    "/api/v1/health",
    "/api/v1/openapi.json",
    "/docs",
    "/docs/favicon.png",
    "/docs/start.js",
    "/docs/swagger-ui-bundle.js",
    "/docs/swagger-ui.css",
    "/health",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/ready",
    "/readyz",
    "/swagger",
}
# Sockets ask for credentials in their first frame, so their signature cannot; each one's own test shows that it does.
SOCKETS = {"/ws", "/ws/alerts", "/ws/live", "/ws/metrics", "/ws/topics/{topic}"}


def _routers() -> list[tuple[str, APIRouter]]:
    """Every router that a file makes itself, with the file. A router that includes others is looked at where those are made."""
    found: list[tuple[str, APIRouter]] = []
    for place, tree in modules().items():
        if any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "APIRouter" for node in ast.walk(tree)):
            module = importlib.import_module(".".join(["weft", *place.removesuffix(".py").split("/")]))
            found += [(place, router) for _, router in inspect.getmembers(module, lambda member: isinstance(member, APIRouter))]
    return found


@pytest.mark.contract("HC-S1", "SF-261")
def test_every_route_asks_for_a_scope_or_is_open_on_purpose() -> None:
    routes = [(place, route) for place, router in _routers() for route in router.routes if isinstance(route, APIRoute)]
    undecided = [
        f"{place}: {sorted(route.methods)} {route.path}"
        for place, route in routes
        if find_requirement(route) is None and not (place.startswith("api/") and route.path in OPEN)
    ]

    assert len(routes) > 20, "the routes were not found; has the framework changed how it keeps them?"
    assert undecided == []


def test_what_people_and_their_pages_ask_counts_against_the_dashboards_limit() -> None:
    # The doors charge on their own path; the auth room counts attempts by account and address instead.
    without = [
        f"{place}: {route.path}"
        for place, router in _routers()
        for route in router.routes
        if isinstance(route, APIRoute) and not place.startswith(("api/", "auth/", "ingest/")) and find_limit(route) is None
    ]

    assert without == []


def test_routers_are_made_only_in_files_named_for_routes() -> None:
    named = ("routes.py", "api/docs_page.py")
    places = [place for place, _ in _routers() if not place.endswith(named) and "/routes/" not in place]

    assert places == [], "routes.py (or a file …_routes.py it gathers) is the only place that knows HTTP"


def test_every_socket_is_on_the_list() -> None:
    sockets = {route.path for _, router in _routers() for route in router.routes if isinstance(route, APIWebSocketRoute)}

    assert sockets <= SOCKETS, "a new socket needs a test that it refuses strangers, and a place on this list"
