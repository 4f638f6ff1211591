"""What a deployment stands on goes away under load: nothing acknowledged is lost, and who is refused is told when to return.

Each fault that needs a whole deployment is short in every run, and long with --soak.
"""

import contextlib
import random
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import httpx
import pytest

from tests.services.fixtures import Mistreated, run_server
from tests.services.install import KAFKA, POSTGRES, RABBITMQ, REDIS
from tests.services.kafka_server import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.proxy import TcpProxy
from tests.services.rabbitmq_server import RabbitmqServer
from tests.services.redis import RedisServer
from tests.services.server import Server
from tests.system.deployment import Deployment, wait_until
from tests.system.every_event import check_every_event
from tests.system.forms import LOGS, NETWORKED, Environment, on_kafka, on_postgres, on_rabbitmq, on_redis
from tests.system.load import UNKNOWN, Clients, Memory

LATER: Final = frozenset({503, 507, UNKNOWN})
"""What a client hears that is to try again. After 504 it does so with the ids of its own: whether the events are kept is
unknown."""
RECOVERY_S: Final = 60.0
IMPATIENT: Final = {
    "WEFT_LOG__KAFKA__DELIVERY_TIMEOUT_S": "3",
    "WEFT_LOG__KAFKA__REQUEST_TIMEOUT_S": "2",
    "WEFT_LOG__RABBITMQ__TIMEOUT_S": "2",
    "WEFT_API__HEALTH_TIMEOUT_S": "2",
}
"""Nobody here wants to wait as long as in earnest."""


@dataclass
class Broker:
    """A broker to be mistreated, and a proxy that its clients come through."""

    kind: str
    server: Server
    proxy: TcpProxy

    def environment(self) -> Environment:
        """The log on this broker, behind the proxy."""
        if self.kind == "kafka":
            return on_kafka(f"kafka://127.0.0.1:{self.proxy.port}/")
        server = cast("RabbitmqServer", self.server)
        return on_rabbitmq(server.url_of(server.create_vhost(), port=self.proxy.port))


@pytest.fixture(params=NETWORKED)
def broker(request: pytest.FixtureRequest) -> Broker:
    """One broker of each kind; each test leaves it as it was."""
    kind = cast("str", request.param)
    mistreated = cast("Mistreated[Server]", request.getfixturevalue(f"mistreated_{kind}"))
    return Broker(kind, mistreated.server, mistreated.line)


@pytest.fixture
def on_broker(
    broker: Broker, postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> Iterator[Deployment]:
    """A deployment on that broker, up and running; the other servers are those of everybody."""
    yield from deployed(tmp_path, {**broker.environment(), **on_postgres(postgres_server), **on_redis(redis_server.url)})


def deployed(folder: Path, environment: Environment) -> Iterator[Deployment]:
    deployment = Deployment(folder, "apart", {**IMPATIENT, **environment}, is_networked=True)
    try:
        yield deployment.start()
    finally:
        deployment.kill()
        deployment.print_output()


def suffer(deployment: Deployment, fault: Callable[[], None], repair: Callable[[], None], hold_s: float) -> Memory:
    """Break something under load, mend it after a while, and look at every event; what the clients remember."""
    memory = Memory()
    clients = Clients(lambda: [deployment.url_now("ingestion")], memory, random.Random(8))
    clients.start()
    try:
        wait_for_more(memory, 100)
        fault()
        time.sleep(hold_s)
        repair()
        wait_for_more(memory, 200)
    finally:
        clients.stop()
    check_every_event(deployment, memory, refusals=LATER)
    assert {process.exit_code() for process in deployment.processes.values()} == {None}, "a process ended"
    done = deployment.weft("verify", "--all", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"{len(memory.acknowledged)} acknowledged, {len(memory.refused)} refused, {memory.unheard} unheard")
    return memory


def wait_for_more(memory: Memory, more: int) -> None:
    enough = len(memory.acknowledged) + more
    wait_until(
        lambda: len(memory.acknowledged) >= enough or None,
        f"the clients got nowhere: {memory.refused[-3:]}",
        within_s=RECOVERY_S,
    )


def wait_for_health(deployment: Deployment, role: str, check: str, status: str) -> None:
    """Until a role says so of something it needs; as long as that is away its /ready says no."""

    def told() -> bool | None:
        body = httpx.get(f"{deployment.url(role)}/health", timeout=30, trust_env=False).json()
        return body["checks"][check]["status"] == status or None

    wait_until(told, f"/health of {role} never said that {check} is {status}")


long = pytest.param(60.0, marks=[pytest.mark.soak, pytest.mark.timeout(400)])


@pytest.mark.contract("SF-16", "SF-17")
@pytest.mark.parametrize("hold_s", [0.5, long])
def test_a_broker_that_is_killed_and_comes_back_loses_nothing(on_broker: Deployment, broker: Broker, hold_s: float) -> None:
    def kill() -> None:
        broker.server.kill()
        wait_for_health(on_broker, "ingestion", "message_broker", "unhealthy")
        assert httpx.get(f"{on_broker.url('ingestion')}/ready", timeout=30, trust_env=False).status_code == 503

    memory = suffer(on_broker, kill, lambda: start_again(broker.server), hold_s)

    assert memory.refused
    wait_for_health(on_broker, "ingestion", "message_broker", "healthy")


@pytest.mark.parametrize("hold_s", [3.0, pytest.param(10.0, marks=pytest.mark.soak), long])
def test_a_broker_that_is_frozen_loses_nothing(on_broker: Deployment, broker: Broker, hold_s: float) -> None:
    suffer(on_broker, broker.server.freeze, broker.server.thaw, hold_s)


@pytest.mark.parametrize("hold_s", [3.0, long])
def test_a_line_that_swallows_everything_loses_nothing(on_broker: Deployment, broker: Broker, hold_s: float) -> None:
    suffer(on_broker, broker.proxy.black_hole, broker.proxy.heal, hold_s)


@pytest.mark.soak  # each adapter's own test of a cut line is in every run
@pytest.mark.parametrize("hold_s", [0.5, long])
def test_a_line_that_is_cut_loses_nothing(on_broker: Deployment, broker: Broker, hold_s: float) -> None:
    suffer(on_broker, broker.proxy.cut, broker.proxy.heal, hold_s)


def start_again(server: Server) -> None:
    server.start()


@pytest.mark.contract("SF-17")
@pytest.mark.parametrize("form", ["kafka", pytest.param("rabbitmq", marks=pytest.mark.soak)])
def test_a_database_that_is_killed_again_and_again_loses_nothing_and_stops_no_intake(
    form: str, request: pytest.FixtureRequest, redis_server: RedisServer, services_folder: Path, tmp_path: Path
) -> None:
    with contextmanager(run_server)(PostgresServer(services_folder / f"postgres-killed-{form}"), POSTGRES) as database:
        environment = {**LOGS[form](request), **on_postgres(database), **on_redis(redis_server.url)}
        with contextmanager(deployed)(tmp_path, environment) as deployment:

            def kill_again_and_again() -> None:
                for _ in range(2):
                    database.kill()  # the writer commits all the time, so some of these meet a commit
                    database.start()
                    time.sleep(0.3)
                database.kill()
                wait_for_health(deployment, "storage", "database", "unhealthy")

            memory = suffer(deployment, kill_again_and_again, lambda: start_again(database), 0.5)

            assert not memory.refused, "the doors need no database to take events in"


@pytest.mark.contract("SF-6", "SF-17")
@pytest.mark.parametrize("form", ["kafka", pytest.param("rabbitmq", marks=pytest.mark.soak)])
def test_without_redis_everything_goes_on(
    form: str, request: pytest.FixtureRequest, postgres_server: PostgresServer, services_folder: Path, tmp_path: Path
) -> None:
    with contextmanager(run_server)(RedisServer(services_folder / f"redis-killed-{form}"), REDIS) as redis:
        environment = {**LOGS[form](request), **on_postgres(postgres_server), **on_redis(redis.url)}
        with contextmanager(deployed)(tmp_path, environment) as deployment:

            def kill() -> None:
                redis.kill()
                for role in ("ingestion", "storage", "dashboard"):
                    wait_for_health(deployment, role, "redis", "degraded")
                assert httpx.get(f"{deployment.url('ingestion')}/ready", timeout=30, trust_env=False).status_code == 200

            memory = suffer(deployment, kill, lambda: start_again(redis), 0.5)

            assert not memory.refused, "nobody needs Redis to take events in"
            wait_for_health(deployment, "ingestion", "redis", "healthy")


@pytest.mark.soak  # each adapter's own test of a full disk is in every run
@pytest.mark.parametrize("kind", ["kafka", "rabbitmq"])
def test_a_broker_whose_disk_is_full_loses_nothing(
    kind: str, small_disk: Path, postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    server = KafkaServer(small_disk / "data") if kind == "kafka" else RabbitmqServer(small_disk / "data")
    with contextmanager(run_server)(server, KAFKA if kind == "kafka" else RABBITMQ) as broker:
        log = on_kafka(broker.url) if kind == "kafka" else on_rabbitmq(broker.url)
        environment = {**log, **on_postgres(postgres_server), **on_redis(redis_server.url)}
        with contextmanager(deployed)(tmp_path, environment) as deployment:
            ballast = small_disk / "ballast"

            def fill() -> None:
                with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while file.write(bytes(1024 * 1024)):
                        pass
                wait_for_health(deployment, "ingestion", "message_broker", "unhealthy")

            def make_room() -> None:
                ballast.unlink()
                broker.kill()
                broker.start()

            memory = suffer(deployment, fill, make_room, 0.5)

            assert memory.refused


@pytest.fixture
def small_disk(services_folder: Path) -> Iterator[Path]:
    """A disk of its own that is soon full."""
    folder = services_folder / f"disk-{secrets.token_hex(4)}"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m,mode=0755", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        pytest.skip(f"a small disk needs root and the right to mount: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
