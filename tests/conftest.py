"""What every test may use: a free port, a clock that stands still, and the switch for the long loops."""

import socket
from collections.abc import Generator

import hypothesis
import pytest

from weft.testing.clock import ManualClock

# How long one example takes says more of the machine than of the code; what has to be quick has a test of its own.
hypothesis.settings.register_profile("weft", deadline=None)
hypothesis.settings.load_profile("weft")

pytest_plugins = ["tests.services.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long form of tests that have one (make soak)")


GROUPS = {
    "kafka": frozenset({"kafka_server", "mistreated_kafka", "kafka"}),
    "rabbitmq": frozenset({"rabbitmq_server", "mistreated_rabbitmq", "rabbitmq"}),
    "databases": frozenset({"postgres_server", "redis_server", "postgres", "postgresql", "redis"}),
    "crew": frozenset({"crew"}),
}
"""Tests that one worker of a parallel run has to itself, by the fixtures they ask for and the parameters they have; the first
that fits counts. A broker and a crew take long to start, so they do so once; PostgreSQL and Redis take a second and may start
twice. Groups begin first, the largest before all, so that what is left at the end is short."""


@pytest.hookimpl(wrapper=True)  # xdist, which reads the groups, comes before everything that is no wrapper
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    for item in items:
        group = group_of(item)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        if getattr(config.option, "loadgroup", False):
            announce_group(item)
    if not config.getoption("--soak"):
        skip = pytest.mark.skip(reason="the long form; runs with --soak")
        for item in items:
            if "soak" in item.keywords:
                item.add_marker(skip)
    return (yield)


def announce_group(item: pytest.Item) -> None:
    """Tell xdist the group of a test, by its id. xdist 3.8 does that itself, but where pytest 9.2 does not look."""
    group = item.get_closest_marker("xdist_group")
    if group is not None:
        item._id = type(item.id).parse(f"{item.nodeid}@{group.args[0]}")


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
