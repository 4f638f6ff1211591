"""One server of each kind for a whole test run, started when the first test asks for it."""

import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from tests.services.install import KAFKA, POSTGRES, RABBITMQ, REDIS, Need
from tests.services.kafka_server import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.proxy import TcpProxy
from tests.services.rabbitmq_server import RabbitmqServer
from tests.services.redis import RedisServer
from tests.services.server import Server

S = TypeVar("S", bound=Server)


@pytest.fixture(scope="session")
def services_folder() -> Generator[Path]:
    """A folder that the accounts of the servers can reach: outside of pytest's, which every new run shuts to others again."""
    with tempfile.TemporaryDirectory(prefix="weft-services-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def run_server(server: S, need: Need) -> Generator[S]:
    """Start a server for a fixture and stop it; skips with advice where it is not installed."""
    if not need.is_there():
        pytest.skip(need.advice)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_server(services_folder: Path) -> Generator[Server]:
    """PostgreSQL, shared: make a database of your own on it (`create_database`).

    It leaves flushing to the system: only a power cut could tell, and making tables is several times as fast.
    """
    server = PostgresServer(services_folder / "postgres", options=("fsync=off", "full_page_writes=off"))
    yield from run_server(server, POSTGRES)


@pytest.fixture(scope="session")
def redis_server(services_folder: Path) -> Generator[Server]:
    """Redis, shared: use a key prefix of your own."""
    yield from run_server(RedisServer(services_folder / "redis"), REDIS)


@pytest.fixture(scope="session")
def kafka_server(services_folder: Path) -> Generator[KafkaServer]:
    """Kafka, shared: use a prefix of your own for topics and groups."""
    yield from run_server(KafkaServer(services_folder / "kafka"), KAFKA)


@pytest.fixture(scope="session")
def rabbitmq_server(services_folder: Path) -> Generator[RabbitmqServer]:
    """RabbitMQ, shared: make a virtual host of your own on it (`create_vhost`)."""
    yield from run_server(RabbitmqServer(services_folder / "rabbitmq"), RABBITMQ)


@dataclass(frozen=True)
class Mistreated(Generic[S]):
    """A server to be killed and frozen, and a line to it to be broken. Whoever does so leaves both as they were."""

    server: S
    line: TcpProxy


@pytest.fixture(scope="session")
def mistreated_kafka(services_folder: Path) -> Generator[Mistreated[KafkaServer]]:
    """Kafka for tests of what happens to it. Who connects to its `proxied_port` is sent to the line."""
    server = KafkaServer(services_folder / "mistreated-kafka")
    with ExitStack() as stack:
        line = stack.enter_context(TcpProxy(server.proxied_port))
        server.advertise(line.port)
        stack.enter_context(contextmanager(run_server)(server, KAFKA))
        yield Mistreated(server, line)


@pytest.fixture(scope="session")
def mistreated_rabbitmq(services_folder: Path) -> Generator[Mistreated[RabbitmqServer]]:
    """RabbitMQ for tests of what happens to it."""
    server = RabbitmqServer(services_folder / "mistreated-rabbitmq")
    with ExitStack() as stack:
        line = stack.enter_context(TcpProxy(server.port))
        stack.enter_context(contextmanager(run_server)(server, RABBITMQ))
        server.settle()
        yield Mistreated(server, line)
