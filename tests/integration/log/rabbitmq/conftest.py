"""A virtual host for each module, and logs of a prefix of their own in it."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest

from tests.services.rabbitmq_server import RabbitmqServer
from weft.core.clock import SystemClock
from weft.log.rabbitmq.log import RabbitmqLog
from weft.log.rabbitmq.settings import RabbitmqSettings
from weft.log.settings import LogSettings

OpenLog = Callable[..., RabbitmqLog]


@pytest.fixture(scope="module")
def vhost(rabbitmq_server: RabbitmqServer) -> Iterator[str]:
    name = rabbitmq_server.create_vhost()
    yield name
    rabbitmq_server.delete_vhost(name)


@pytest.fixture
def open_log(rabbitmq_server: RabbitmqServer, vhost: str) -> OpenLog:
    """Makes logs that share their streams; settings of RabbitMQ can be given."""
    prefix = f"weft-{token_hex(4)}"

    def make(url: str | None = None, *, append: bool = True, segment_bytes: int = 2**20, **settings: Any) -> RabbitmqLog:
        rabbitmq = RabbitmqSettings(prefix=prefix, **settings)
        return RabbitmqLog(
            url or rabbitmq_server.url_of(vhost),
            settings=LogSettings(partitions=4, segment_bytes=segment_bytes, recent_bytes=0, rabbitmq=rabbitmq),
            clock=SystemClock(),
            append=append,
        )

    return make
