"""Every scenario of this folder runs twice: all roles in one process, and each in its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.deployment import Deployment


@pytest.fixture(params=["together", "apart"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """All roles, up and running."""
    deployed = Deployment(tmp_path, request.param)
    try:
        yield deployed.start()
    finally:
        deployed.kill()
