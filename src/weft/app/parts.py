"""Parts: what a role brings into a process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import APIRouter

from weft.api.hot import HotRoute
from weft.core.verdict import Check
from weft.core.worker import Worker

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Routers and hot routes, workers in the order they start, collaborators by their name in `app.state`, checks for the
    verdict, and what is told when the process begins to drain.

    Two roles may bring the same router, worker or collaborator; it counts once.
    """

    routers: tuple[APIRouter, ...] = ()
    hot_routes: tuple[HotRoute, ...] = ()
    workers: tuple[Worker, ...] = ()
    state: dict[str, object] = field(default_factory=dict[str, object])
    checks: dict[str, Check] = field(default_factory=dict[str, Check])
    draining: tuple[Callable[[], None], ...] = ()

    def joined(self, other: "Parts") -> "Parts":
        """Both together."""
        return Parts(
            routers=_once(self.routers, other.routers),
            hot_routes=_once(self.hot_routes, other.hot_routes),
            workers=_once(self.workers, other.workers),
            state={**self.state, **other.state},
            checks={**self.checks, **other.checks},
            draining=_once(self.draining, other.draining),
        )


def _once(first: tuple[Item, ...], second: tuple[Item, ...]) -> tuple[Item, ...]:
    return (*first, *(item for item in second if not any(item is known for known in first)))
