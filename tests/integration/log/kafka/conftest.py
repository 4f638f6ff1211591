"""A broker that may be mistreated, and logs on it."""

from collections.abc import Callable

import pytest

from tests.services.fixtures import Mistreated
from tests.services.kafka_server import KafkaServer
from tests.services.proxy import TcpProxy
from weft.core.clock import SystemClock
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.settings import LogSettings

OpenLog = Callable[..., KafkaLog]


@pytest.fixture
def broker(mistreated_kafka: Mistreated[KafkaServer]) -> KafkaServer:
    """A broker that may be killed and frozen."""
    return mistreated_kafka.server


@pytest.fixture
def line(mistreated_kafka: Mistreated[KafkaServer]) -> TcpProxy:
    """A line to the broker that can be cut."""
    return mistreated_kafka.line


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
