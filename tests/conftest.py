"""What every test may use: a free port, a clock that stands still, and the switch for the long loops."""

import socket

import pytest

from weft.testing.clock import ManualClock

pytest_plugins = ["tests.services.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long form of tests that have one (make soak)")


SERVERS = frozenset({"postgres_server", "redis_server", "kafka_server", "rabbitmq_server"})
SERVER_WORDS = frozenset({"postgres", "postgresql", "redis", "kafka", "rabbitmq"})


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if needs_a_server(item):
            item.add_marker(pytest.mark.xdist_group("services"))
    if config.getoption("--soak"):
        return
    skip = pytest.mark.skip(reason="the long form; runs with --soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)


def needs_a_server(item: pytest.Item) -> bool:
    """Whether a test stands on real servers, which one worker of a parallel run shall have to itself: it asks for their
    fixtures, or a parameter of it names one."""
    words = getattr(item, "callspec", None)
    named = {value for value in words.params.values() if isinstance(value, str)} if words is not None else set[str]()
    return not SERVERS.isdisjoint(getattr(item, "fixturenames", ())) or not SERVER_WORDS.isdisjoint(named)


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
