"""A broker that may be mistreated, and logs on it."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.services.fixtures import run_server
from tests.services.install import KAFKA
from tests.services.kafka_server import KafkaServer
from tests.services.proxy import TcpProxy
from weft.core.clock import SystemClock
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.settings import LogSettings

OpenLog = Callable[..., KafkaLog]


@pytest.fixture(scope="module")
def stopped_broker(services_folder: Path) -> KafkaServer:
    """A broker of this module alone, before it starts: it has to know the port of the line in front of it."""
    return KafkaServer(services_folder / "mistreated-kafka")


@pytest.fixture(scope="module")
def line(stopped_broker: KafkaServer) -> Generator[TcpProxy]:
    """A line to the broker that can be cut."""
    with TcpProxy(stopped_broker.proxied_port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def broker(stopped_broker: KafkaServer, line: TcpProxy) -> Generator[KafkaServer]:
    """The same broker, running."""
    stopped_broker.advertise(line.port)
    yield from run_server(stopped_broker, KAFKA)


@pytest.fixture
def open_log(broker: KafkaServer, request: pytest.FixtureRequest) -> OpenLog:
    """Makes logs, not entered yet, on topics of this test alone; short patience."""
    prefix = f"{abs(hash(request.node.nodeid)):x}."

    def open_(
        *, port: int = broker.port, append: bool = True, queue_bytes: int = 64 * 1024 * 1024, **kafka: object
    ) -> KafkaLog:
        settings = {"prefix": prefix, "partitions": 1, "delivery_timeout_s": 3.0, "request_timeout_s": 2.0, **kafka}
        return KafkaLog(
            f"kafka://127.0.0.1:{port}/",
            settings=LogSettings(queue_bytes=queue_bytes, kafka=KafkaSettings.model_validate(settings)),
            clock=SystemClock(),
            append=append,
        )

    return open_
