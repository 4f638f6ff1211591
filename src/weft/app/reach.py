"""Whether what a plan stands on can be had and reaches as far as it needs to: found out before anything is opened."""

from collections.abc import Sequence
from typing import Final, Literal, cast

from weft.app.resources import database_url, log_url, store_url
from weft.app.roles import ROLES, Role
from weft.app.settings import Settings
from weft.core.adapters import load_adapter
from weft.core.errors import Invalid
from weft.db.engine import open_engine, read_url
from weft.log.port import Log
from weft.store.port import EventStore

Reach = Literal["process", "host", "network"]
Roles = tuple[Role, ...]
MACHINES: Final = "network"


def check_reach(settings: Settings, processes: Sequence[Roles]) -> None:
    """Look over the processes of a plan, each by its roles. What they do not play is taken to be played elsewhere.

    Raises Invalid, with one sentence, for an address that is none and for a plan that its log or its store does not allow, and
    Unsupported where a package is missing that it needs.
    """
    log = cast("type[Log]", load_adapter("log", log_url(settings.app)))
    store = cast("type[EventStore]", load_adapter("store", store_url(settings.app)))
    load_adapter("cache", settings.cache.url)
    open_engine(read_url(database_url(settings)), settings.db)  # connects to nothing
    _check_apart(settings, processes, log.reach, store.reach)
    _check_writers(settings, processes, log.reach, store.reach)
    if log.appends_alone:
        _check_partitions(settings, processes)


def _check_apart(settings: Settings, processes: Sequence[Roles], log: Reach, store: Reach) -> None:
    """What lives in one process serves one process that plays every role, and nobody else."""
    if len(processes) == 1 and len(processes[0]) == len(ROLES):
        return
    for port, url, reach in (("log", log_url(settings.app), log), ("store", store_url(settings.app), store)):
        if reach == "process":
            raise Invalid(
                f"a {port} of the kind '{_kind(url)}' lives in one process, so roles cannot run apart on it; "
                f"start all roles together or choose another {port}",
                field="service",
            )


def _check_writers(settings: Settings, processes: Sequence[Roles], log: Reach, store: Reach) -> None:
    """Several processes that play storage share the work only where the log deals it out and the store takes it from all."""
    writers = sum(any(role.owns_store for role in roles) for roles in processes)
    if writers < 2:
        return
    if store != MACHINES:
        raise Invalid(
            f"a store of the kind '{_kind(store_url(settings.app))}' has one writer, so storage cannot be {writers} processes; "
            "ask for one, or keep the store in PostgreSQL",
            field="app.processes",
        )
    if log != MACHINES:
        raise Invalid(
            f"a log of the kind '{_kind(log_url(settings.app))}' gives every event to each process that plays storage, so "
            f"{writers} of them would do the same work; ask for one, or use a log that machines share",
            field="app.processes",
        )


def _check_partitions(settings: Settings, processes: Sequence[Roles]) -> None:
    """Where whoever appends has a partition to itself, there must be enough of them."""
    appending = sum(any(role.appends for role in roles) for roles in processes)
    if appending > settings.log.partitions:
        raise Invalid(
            f"{appending} processes would append to a log of {settings.log.partitions} partitions, and each needs one of its "
            "own; raise log.partitions or ask for fewer",
            field="app.processes",
        )


def _kind(url: str) -> str:
    return url.partition("://")[0]
