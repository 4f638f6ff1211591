"""The log on RabbitMQ keeps the promises of the port, but for what it declares."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex

import pytest

from tests.services.rabbitmq_server import RabbitmqServer
from weft.log.port import Log
from weft.log.rabbitmq.log import RabbitmqLog
from weft.log.rabbitmq.settings import RabbitmqSettings
from weft.log.settings import LogSettings
from weft.testing.clock import ManualClock
from weft.testing.log_suite import LogSuite
from weft.testing.waivers import WAIVERS


@dataclass
class RabbitmqGround:
    """Streams of one prefix."""

    url: str
    clock: ManualClock = field(default_factory=ManualClock)
    settings: LogSettings = field(
        default_factory=lambda: LogSettings(
            segment_bytes=65_536, partitions=2, rabbitmq=RabbitmqSettings(prefix=f"weft-{token_hex(4)}")
        )
    )

    def open(self, *, append: bool = True) -> Log:
        return RabbitmqLog(self.url, settings=self.settings, clock=self.clock, append=append)


@pytest.fixture(scope="module")
def vhost_url(rabbitmq_server: RabbitmqServer) -> Iterator[str]:
    """Shared by all tests here; each has streams of its own."""
    vhost = rabbitmq_server.create_vhost()
    yield rabbitmq_server.url_of(vhost)
    rabbitmq_server.delete_vhost(vhost)


class TestRabbitmqLog(LogSuite):
    lacks = frozenset(WAIVERS["log/rabbitmq"])

    @pytest.fixture
    def ground(self, vhost_url: str) -> RabbitmqGround:
        return RabbitmqGround(vhost_url)
