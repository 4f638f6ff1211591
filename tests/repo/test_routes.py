"""Nothing is open by accident: every route says what it asks of its caller."""

import importlib
import inspect

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, APIWebSocketRoute

from docs.generator.tree import modules
from weft.auth.signature import find_requirement

# Sockets ask for credentials in their first frame, so their signature cannot; each one's own test shows that it does.
# The api room stands below auth and cannot name a scope; what it serves is open to everybody, and this is all of it.
OPEN = {
    "/docs",
    "/health",
    "/healthz",
    "/api/v1/health",
    "/metrics",
    "/openapi.json",
    "/api/v1/openapi.json",
    "/ready",
    "/readyz",
    "/swagger",
}
SOCKETS = {"/ws", "/ws/metrics", "/ws/live"}


def _routers() -> list[tuple[str, APIRouter]]:
    found: list[tuple[str, APIRouter]] = []
    for place in modules():
        parts = place.removesuffix(".py").removesuffix("/__init__").split("/")
        if "routes" in parts:
            module = importlib.import_module(".".join(["weft", *parts]))
            found += [(place, router) for _, router in inspect.getmembers(module, lambda member: isinstance(member, APIRouter))]
    return found


@pytest.mark.contract("HC-S1", "SF-261")
def test_every_route_asks_for_a_scope_or_is_open_on_purpose() -> None:
    routers = _routers()
    undecided = [
        f"{place}: {sorted(route.methods)} {route.path}"
        for place, router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        and find_requirement(route) is None
        and not (place.startswith("api/") and route.path in OPEN)
    ]

    assert routers
    assert undecided == []


def test_every_socket_is_on_the_list() -> None:
    sockets = {route.path for _, router in _routers() for route in router.routes if isinstance(route, APIWebSocketRoute)}

    assert sockets <= SOCKETS, "a new socket needs a test that it refuses strangers, and a place on this list"
