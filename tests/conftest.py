"""What every test may use: a free port, a clock that stands still, and the switch for the long loops."""

import socket

import pytest

from weft.testing.clock import ManualClock

pytest_plugins = ["tests.services.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long form of tests that have one (make soak)")


GROUPS = {
    "kafka": frozenset({"kafka_server", "kafka"}),
    "rabbitmq": frozenset({"rabbitmq_server", "rabbitmq"}),
    "databases": frozenset({"postgres_server", "redis_server", "postgres", "postgresql", "redis"}),
}
"""Tests that one worker of a parallel run has to itself, by the fixtures they ask for and the parameters they have; the first
that fits counts. A broker takes long to start, so it does so once; PostgreSQL and Redis take a second and may start twice."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        group = group_of(item)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="the long form; runs with --soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


def group_of(item: pytest.Item) -> str | None:
    """The group of a test that stands on real servers: it asks for their fixtures, or a parameter of it names one."""
    call = getattr(item, "callspec", None)
    words = {value for value in call.params.values() if isinstance(value, str)} if call is not None else set[str]()
    words |= set(getattr(item, "fixturenames", ()))
    return next((group for group, servers in GROUPS.items() if not servers.isdisjoint(words)), None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def free_port() -> int:
    """A port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
