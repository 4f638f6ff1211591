"""The whole platform on one page: each role, its port, and what it brings. Playing all of them is no special case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from weft.app.parts import Parts
from weft.app.resources import Resources
from weft.app.settings import AppSettings

LATER: Final = ("analytics", "alerting")
"""Roles of this name come with a later version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a process can play. `appends` and `owns_store` are the rights it needs on log and store."""

    name: str
    port: Callable[[AppSettings], int]
    compose: Callable[[Resources], Awaitable[Parts]]
    appends: bool = False
    owns_store: bool = False


async def ingestion(resources: Resources) -> Parts:
    """Doors, the source of this machine's own state, ticks and trimming."""
    return Parts()


async def dashboard(resources: Resources) -> Parts:
    """Metrics, series, feeds and the verdict."""
    return Parts()


async def storage(resources: Resources) -> Parts:
    """The store's writer, and events read back."""
    return Parts()


ROLES: Final = (
    Role(name="storage", port=lambda app: app.storage_port, compose=storage, appends=True, owns_store=True),
    Role(name="dashboard", port=lambda app: app.dashboard_port, compose=dashboard),
    Role(name="ingestion", port=lambda app: app.ingestion_port, compose=ingestion, appends=True),
)
"""In the order in which their workers start; they stop the other way round, so the doors close first."""
