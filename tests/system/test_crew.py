"""`weft start --processes`: every role in processes of its own, and one command that keeps them up."""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.services.postgres import PostgresServer
from tests.services.rabbitmq_server import RabbitmqServer
from tests.services.redis import RedisServer
from tests.system.deployment import Deployment, Done, Process, run_weft, wait_until
from tests.system.every_event import check_every_event
from tests.system.load import Clients, Memory

CLICK = {"type": "web.click", "source": "shop", "data": {"page": "/cart"}}


class Crew(Process):
    """One `weft start --processes`, and what it runs."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, *arguments, environment=environment)
        self.folder = folder
        self._urls: dict[str, str] = {}

    def up(self) -> "Crew":
        """Itself, once it said that it is up."""
        try:
            wait_until(self._welcomed, "it never was up", within_s=90)
        except AssertionError:
            self.kill()
            raise
        return self

    def _welcomed(self) -> bool | None:
        assert self.exit_code() is None, f"it ended with {self.exit_code()}:\n{self.text}"
        return "documentation:" in self.text or None

    def statuses(self) -> list[str]:
        """How each process is, as `weft status` tells it."""
        status = json.loads(self.weft("status", "--format", "json", check=False).stdout)
        return [process["status"] for process in status["processes"]]

    def runs(self, role: str) -> list[dict[str, str]]:
        """The run files of a role's processes."""
        found: list[dict[str, str]] = []
        for file in sorted((self.data_dir / "run").glob("*.json")):
            with suppress(FileNotFoundError):  # it ends just now
                found.append(json.loads(file.read_text(encoding="utf-8")))
        return [run for run in found if role in run["roles"]]

    def pids(self) -> list[int]:
        return [int(file.stem.rpartition("-")[2]) for file in (self.data_dir / "run").glob("*.json")]

    def shared_url(self, role: str) -> str:
        """The address that a role's processes share; the same for as long as the crew is up."""
        if role not in self._urls:
            self._urls[role] = self.runs(role)[0]["url"]
        return self._urls[role]

    def is_replaced(self, victim: int) -> bool | None:
        """Whether another process took the place of one that ended."""
        pids = self.pids()
        return (victim not in pids and len(pids) == 2) or None

    def weft(self, *arguments: str, check: bool = True) -> Done:
        return run_weft(*arguments, "--data-dir", str(self.data_dir), cwd=self.folder, check=check)

    def post(self, count: int, topic: str = "events") -> list[str]:
        """Ids of new events, over a connection of its own."""
        url = self.shared_url("ingestion")
        answer = httpx.post(f"{url}/events/batch", json={"events": [{**CLICK, "topic": topic}] * count}, timeout=30)
        assert answer.status_code == 201, answer.text
        ids: list[str] = answer.json()["data"]["event_ids"]
        return ids

    def stored(self) -> set[str]:
        key = (self.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")
        parameters = {"limit": "1000", "type": "web.click"}
        try:
            answer = httpx.get(
                f"{self.shared_url('storage')}/events", params=parameters, headers={"X-API-Key": key}, timeout=30
            )
        except httpx.TransportError:
            return set()
        return {event["id"] for event in answer.json()["data"]}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    started = Crew(
        tmp_path_factory.mktemp("crew"), "--processes", "2", "--metrics-port", "0",
        environment={
            "WEFT_INGEST__HOST_SOURCE": "true", "WEFT_INGEST__TOPICS": "events,shop", "WEFT_API__LOG_FORMAT": "json",
        },
    )  # fmt: skip
    try:
        yield started.up()
    finally:
        started.signal(signal.SIGTERM)
        started.wait()


def other_url(run: Mapping[str, str]) -> str:
    """Where one process answers for itself."""
    return run["own_url"] or run["url"]


@pytest.mark.contract("SF-14", "SF-25")
def test_clients_see_one_address_and_both_processes_take_events_in(crew: Crew) -> None:
    assert len({run["url"] for run in crew.runs("ingestion")}) == 1
    partitions: set[int] = set()

    def post_once() -> bool | None:
        answer = httpx.post(f"{crew.shared_url('ingestion')}/events", json=CLICK, timeout=30).json()
        partitions.add(answer["data"]["partition"])
        return len(partitions) > 1 or None

    wait_until(post_once, "one of the two processes never got a connection")
    ids = crew.post(20)
    wait_until(lambda: set(ids) <= crew.stored() or None, "what the doors took in never was in the store")


@pytest.mark.contract("SF-25", "SF-27", "SF-28")
def test_the_command_line_shows_every_process(crew: Crew) -> None:
    status = json.loads(crew.weft("status", "--format", "json").stdout)

    assert sorted(process["service"] for process in status["processes"]) == [
        "alerting", "analytics", "dashboard", "ingestion", "ingestion", "storage",
    ]  # fmt: skip
    assert {process["status"] for process in status["processes"]} == {"healthy"}
    assert len({process["url"] for process in status["processes"]}) == 6, "each must be asked by itself"
    health = json.loads(crew.weft("health", "--service", "ingestion", "--format", "json").stdout)
    assert len(health) == 2


def test_each_process_counts_for_itself_and_the_shared_port_says_so(crew: Crew) -> None:
    shared = httpx.get(f"{crew.shared_url('ingestion')}/metrics")
    assert shared.status_code == 404
    assert "app.metrics_port" in shared.json()["message"]
    assert httpx.get(f"{crew.shared_url('ingestion')}/health").json()["service"] == "ingestion"
    before = taken_in(crew)

    crew.post(7, "shop")
    crew.post(5, "shop")

    assert taken_in(crew) - before == 12
    assert httpx.get(f"{crew.shared_url('storage')}/metrics").status_code == 200, "nobody else listens there"


def taken_in(crew: Crew) -> float:
    """Clicks in the shop that all doors together took in."""
    total = 0.0
    for run in crew.runs("ingestion"):
        text = httpx.get(f"{other_url(run)}/metrics").text
        for family in text_string_to_metric_families(text):
            total += sum(
                sample.value
                for sample in family.samples
                if sample.name == "weft_events_total" and sample.labels == {"topic": "shop", "outcome": "accepted"}
            )
    return total


@pytest.mark.contract("SF-334")
def test_one_process_samples_this_machine(crew: Crew) -> None:
    key = (crew.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")

    def told() -> list[str] | None:
        whys: list[str] = []
        for run in crew.runs("ingestion"):
            verdict = httpx.get(f"{other_url(run)}/api/v1/verdict", headers={"X-API-Key": key}).json()
            whys += [finding["why"] for finding in verdict["findings"] if finding["code"] == "ingest.host_source"]
        return whys if not any("yet" in why for why in whys) else None

    whys = wait_until(told, "nobody ever sampled")

    assert len(whys) == 2
    assert sum("Another process" in why for why in whys) == 1


def test_a_process_that_is_killed_comes_back_and_the_others_take_its_load(crew: Crew) -> None:
    victim, other = (int(run["pid"]) for run in crew.runs("ingestion"))
    os.kill(victim, signal.SIGKILL)

    ids = crew.post(3)  # at once: the other one listens

    def replaced() -> bool | None:
        pids = {int(run["pid"]) for run in crew.runs("ingestion")}
        return (len(pids) == 2 and victim not in pids and other in pids) or None

    wait_until(replaced, "it never came back")
    assert "process_ended" in crew.text
    ids += crew.post(3)
    wait_until(lambda: set(ids) <= crew.stored() or None, "something is missing")


def test_the_one_that_writes_the_store_comes_back_at_its_address_and_catches_up(crew: Crew) -> None:
    (before,) = crew.runs("storage")
    os.kill(int(before["pid"]), signal.SIGKILL)
    ids = crew.post(5)

    wait_until(lambda: set(ids) <= crew.stored() or None, "the store never caught up")
    after = crew.runs("storage")[-1]
    assert after["pid"] != before["pid"]
    assert after["url"] == before["url"]


def test_everything_it_prints_but_the_welcome_is_a_log_line(tmp_path: Path, crew: Crew) -> None:
    welcome = crew.text.split("Weft ", 1)[1].split("Ctrl-C stops it.", 1)[0]
    rest = crew.text.replace(f"Weft {welcome}Ctrl-C stops it.", "")

    assert welcome.count("2 x ingestion on http://127.0.0.1:") == 1
    assert crew.text.count("is up") == 1
    services = {json.loads(line)["service"] for line in rest.splitlines() if line.strip()}
    assert services <= {"supervisor", "storage", "alerting", "analytics", "dashboard", "ingestion"}


@pytest.mark.contract("SF-25")
@pytest.mark.timeout(300)
def test_a_stop_ends_the_doors_first_and_the_store_last(tmp_path: Path) -> None:
    crew = Crew(tmp_path, "--processes", "1", "--service", "ingestion", "--service", "storage").up()
    pids = crew.pids()
    assert len(pids) == 2
    ids = crew.post(10)

    assert crew.stop() == 0

    drained = re.findall(r'"service":"(\w+)","message":"draining"', crew.text)
    assert drained == ["supervisor", "ingestion", "storage"]
    assert not any(is_alive(pid) for pid in pids)
    assert list((crew.data_dir / "run").iterdir()) == []
    again = Process(tmp_path, "--service", "storage")
    try:
        again.url()
        wait_until(lambda: crew.stored() == set(ids) or None, "something is missing after the stop")
    finally:
        again.kill()


# In every run a process that is killed is a test of its own, above.
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([signal.SIGTERM], id="short"),
        pytest.param([signal.SIGTERM, signal.SIGKILL] * 3, id="long", marks=pytest.mark.soak),
    ],
)
def test_under_load_processes_end_die_and_lose_their_supervisor_and_no_event_is_lost(
    tmp_path: Path, rounds: list[signal.Signals]
) -> None:
    crew = Crew(tmp_path, "--processes", "2", "--service", "ingestion").up()
    memory = Memory()
    clients = Clients(lambda: [crew.shared_url("ingestion")], memory, random.Random(1))
    clients.start()
    try:
        for number in rounds:
            victim, taken = crew.pids()[0], len(memory.acknowledged)
            told = "process_starts_again" if number == signal.SIGTERM else "process_ended"
            os.kill(victim, number)
            wait_until(lambda told=told: told in crew.text or None, "the supervisor did not notice")
            wait_until(lambda victim=victim: crew.is_replaced(victim), "nobody took its place")
            wait_until(lambda taken=taken: len(memory.acknowledged) > taken + 50 or None, "the clients got nowhere")
        pids = crew.pids()
        crew.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in pids) or None, "they went on without their supervisor")
        assert list((crew.data_dir / "run").iterdir()) == [], "they ended in order"
    finally:
        clients.stop()
        crew.kill()

    again = Deployment(tmp_path, "together").start()
    try:
        check_every_event(again, memory)
    finally:
        again.kill()


def test_a_second_ctrl_c_ends_everything_at_once(tmp_path: Path) -> None:
    crew = Crew(tmp_path, "--processes", "1", "--service", "ingestion", environment={"WEFT_APP__DRAIN_NOTICE_S": "100"}).up()
    (pid,) = crew.pids()
    crew.signal(signal.SIGINT)
    crew.wait_for("draining")
    began = time.monotonic()
    crew.signal(signal.SIGINT)

    assert crew.wait() == 130
    wait_until(lambda: not is_alive(pid) or None, "it drains on")
    assert time.monotonic() - began < 30


def test_ports_that_are_taken_are_one_sentence(tmp_path: Path, free_port: int) -> None:
    def start(*arguments: str) -> Done:
        return run_weft("start", "--data-dir", str(tmp_path / "data"), *arguments, cwd=tmp_path, check=False)

    listening = ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(free_port)]
    with subprocess.Popen(listening, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path) as other:
        try:
            wait_until(lambda: answers(free_port), "the other program is not up")
            crew = ("--processes", "2", "--service", "ingestion", "--port")
            # The second process's own port is the taken one.
            refused = [start(*crew, str(free_port)), start(*crew, "0", "--metrics-port", str(free_port - 1))]
        finally:
            other.kill()
    for done in refused:
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"weft: port {free_port} on 127.0.0.1 is taken by another program; stop it or choose another with --port"
        ]


def answers(port: int) -> bool | None:
    try:
        httpx.get(f"http://127.0.0.1:{port}/")
    except httpx.TransportError:
        return None
    return True


def test_a_plan_that_cannot_work_is_refused_before_anything_starts(tmp_path: Path) -> None:
    for arguments in (("start",), ("config", "check")):
        done = run_weft(*arguments, "--data-dir", str(tmp_path / "data"), "--processes", "storage=2", cwd=tmp_path, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("weft: a store of the kind 'parquet' has one writer")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.contract("SF-2", "SF-5", "SF-14", "SF-25", "SF-180", "SF-184", "SF-190")
@pytest.mark.timeout(300)
def test_streamflows_three_addresses_are_all_that_a_crew_on_its_servers_needs(
    tmp_path: Path, postgres_server: PostgresServer, rabbitmq_server: RabbitmqServer, redis_server: RedisServer
) -> None:
    database = postgres_server.create_database().replace("postgresql://", "postgresql+asyncpg://")
    crew = Crew(
        tmp_path, "--processes", "ingestion=2,storage+dashboard=2",
        environment={
            "DATABASE_URL": database,
            "RABBITMQ_URL": rabbitmq_server.url_of(rabbitmq_server.create_vhost()),
            "REDIS_URL": redis_server.url,
            "DATABASE_POOL_SIZE": "5",
        },
    ).up()  # fmt: skip
    try:
        ids = {event_id for _ in range(6) for event_id in crew.post(10)}
        wait_until(lambda: crew.stored() == ids or None, "the store and the doors do not agree")
        wait_until(lambda: crew.statuses() == ["healthy"] * 6 or None, "they never were all healthy", within_s=90)

        for run in crew.runs("storage")[:1] + crew.runs("ingestion")[:1]:
            os.kill(int(run["pid"]), signal.SIGKILL)
        ids |= set(crew.post(10))
        wait_until(lambda: crew.stored() == ids or None, "something is missing or there twice")
    finally:
        assert crew.stop() == 0, crew.text
