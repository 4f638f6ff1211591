"""The log on Kafka, on a real broker, keeps every promise of the port but those it declares."""

import secrets
from dataclasses import dataclass, field

import pytest

from tests.services.kafka_server import KafkaServer
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.testing.clock import ManualClock
from weft.testing.log_suite import LogSuite
from weft.testing.waivers import WAIVERS


@dataclass
class KafkaGround:
    """Topics and groups of its own on a broker that is shared, each topic with one partition."""

    url: str
    prefix: str = field(default_factory=lambda: f"t{secrets.token_hex(6)}.")
    clock: ManualClock = field(default_factory=ManualClock)

    def open(self, *, append: bool = True) -> Log:
        kafka = KafkaSettings(prefix=self.prefix, partitions=1, retention_s=1.0, discover_interval_s=0.2)
        return KafkaLog(self.url, settings=LogSettings(kafka=kafka), clock=self.clock, append=append)


class TestKafkaLog(LogSuite):
    lacks = frozenset(WAIVERS["log/kafka"])

    @pytest.fixture
    def ground(self, kafka_server: KafkaServer) -> KafkaGround:
        return KafkaGround(kafka_server.url)
