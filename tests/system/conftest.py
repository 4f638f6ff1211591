"""Scenarios that ask for `deployment` run in every form: all roles in one process and each in its own, on embedded parts and on
real servers. Those that ask for `networked` run on the real servers alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.deployment import ROLES, Deployment
from tests.system.forms import EMBEDDED, NETWORKED, deploy


@pytest.fixture(params=[*EMBEDDED, *NETWORKED])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """All roles, up and running."""
    yield from running(request, tmp_path)


@pytest.fixture(params=EMBEDDED)
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """All roles, up and running, on a log and a store that one machine has to itself."""
    yield from running(request, tmp_path)


@pytest.fixture(params=NETWORKED)
def networked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """All roles, up and running, on a log and a store that machines share."""
    yield from running(request, tmp_path)


@pytest.fixture(params=[*EMBEDDED, *NETWORKED])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """Every role there is, analytics and alerting too, up and running."""
    yield from running(request, tmp_path, (*ROLES, "analytics", "alerting"))


def running(request: pytest.FixtureRequest, folder: Path, roles: tuple[str, ...] = ROLES) -> Iterator[Deployment]:
    deployed = deploy(request, folder, request.param)
    deployed.roles = roles
    try:
        yield deployed.start()
    finally:
        deployed.kill()
        deployed.print_output()
