"""Kafka for tests: one KRaft node that is broker and controller, from the jars that Maven copied."""

import base64
import uuid
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.services.install import JARS, fetch_jars
from tests.services.server import Server, free_ports, listens

_QUICK = ("-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A broker of a test lives for seconds: begin fast, think little."""
_QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class KafkaServer(Server):
    """One broker. What it told its clients to be its address may be a proxy in front of it: `advertise`, before the start."""

    name = "Kafka"

    def __init__(self, folder: Path, *, heap: str = "384m", settings: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self._port, self.proxied_port, self._controller_port = free_ports(3)
        self._advertised_port = self.proxied_port
        self._heap = heap
        self._settings = tuple(settings)

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self._port}/"

    @property
    def bootstrap(self) -> str:
        """The address as Kafka's own clients write it."""
        return f"127.0.0.1:{self._port}"

    def advertise(self, proxy_port: int) -> None:
        """Who connects to `proxied_port` is told to come by this port from then on."""
        self._advertised_port = proxy_port

    def prepare(self) -> None:
        fetch_jars()
        properties = self.folder / "server.properties"
        properties.write_text("\n".join(self._properties()) + "\n")
        self._format(self.folder / "data" / "meta.properties")

    def _format(self, mark: Path) -> None:
        """What `kafka-storage format` writes into an empty data folder, without a second start of Java."""
        if not mark.exists():
            mark.parent.mkdir(exist_ok=True)
            mark.write_text(f"version=1\ncluster.id={_new_uuid()}\nnode.id=1\ndirectory.id={_new_uuid()}\n")

    def command(self) -> Sequence[str]:
        java = ("java", *_QUICK, f"-Xmx{self._heap}", _QUIET, "-cp", f"{JARS / 'lib'}/*")
        return [*java, "kafka.Kafka", str(self.folder / "server.properties")]

    def answers(self) -> bool:
        if not listens(self._port):
            return False
        try:
            return bool(AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _properties(self) -> Sequence[str]:
        plain, proxied = f"PLAIN://127.0.0.1:{self._port}", f"PROXIED://127.0.0.1:{self.proxied_port}"
        return (
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{self._controller_port}",
            "controller.listener.names=CONTROLLER",
            "listeners=" + ",".join((plain, proxied, f"CONTROLLER://127.0.0.1:{self._controller_port}")),
            f"advertised.listeners={plain},PROXIED://127.0.0.1:{self._advertised_port}",
            "listener.security.protocol.map=PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=PLAIN",
            f"log.dirs={self.folder / 'data'}",
            "num.partitions=1",
            "default.replication.factor=1",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=4",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "transaction.state.log.num.partitions=2",
            "group.initial.rebalance.delay.ms=0",
            "auto.create.topics.enable=false",
            "log.initial.task.delay.ms=3600000",  # tests have clocks of their own: Kafka shall remove nothing by its own
            "log.retention.check.interval.ms=3600000",
            "broker.heartbeat.interval.ms=300",
            "broker.session.timeout.ms=2000",  # so long a killed broker waits before it may come back
            "num.network.threads=2",
            "num.io.threads=2",
            *self._settings,
        )


def _new_uuid() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
