"""A parallel run starts each expensive server once."""

import os

import pytest


def test_tests_that_belong_together_run_in_one_worker(request: pytest.FixtureRequest) -> None:
    grouped = [item for item in request.session.items if item.get_closest_marker("xdist_group") is not None]
    is_parallel = "PYTEST_XDIST_WORKER" in os.environ

    told = [item.nodeid for item in grouped if is_parallel == item.nodeid.endswith(f"@{_group(item)}")]

    assert told == [item.nodeid for item in grouped], "xdist was not told the groups, and deals their tests out one by one"


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0])
