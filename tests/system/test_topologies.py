"""One process and separate roles behave alike, on embedded parts and on servers. No scenario here knows which it runs on."""

import json
import random
import time
from collections.abc import Iterator
from itertools import product

import httpx
import pytest

from tests.system.deployment import ROLES, Deployment, Process, wait_until
from tests.system.every_event import check_every_event, wait_until_settled
from tests.system.forms import shortly_in
from tests.system.load import Clients, Memory
from tests.system.poison import put_poison

TOPICS = [f"topic-{number}" for number in range(8)]
"""So many that replicas find something to share."""
CLICK = {"type": "web.click", "source": "shop", "user_id": "u1", "data": {"page": "/cart"}}


def post(deployment: Deployment, *events: dict[str, object], through: Process | None = None) -> list[str]:
    with (through or deployment.processes["ingestion"]).client() as client:
        answer = client.post("/events/batch", json={"events": list(events)})
        assert answer.status_code == 201, answer.text
        ids: list[str] = answer.json()["data"]["event_ids"]
        return ids


def stored(deployment: Deployment, **parameters: str) -> list[str]:
    with deployment.client("storage") as client:
        answer = client.get("/events", params={"limit": "1000", "order": "asc", **parameters})
        assert answer.status_code == 200, answer.text
        return [event["id"] for event in answer.json()["data"]]


def wait_for_stored(deployment: Deployment, ids: list[str], topic: str = "events") -> None:
    wait_until(
        lambda: sorted(stored(deployment, topic=topic)) == sorted(ids) or None,
        f"{len(ids)} events of {topic} never were all in the store",
    )


@pytest.mark.contract("SF-2", "SF-26", "SF-D1")
def test_an_event_that_was_posted_is_found_by_every_role_that_reads(deployment: Deployment) -> None:
    ids = post(deployment, CLICK, {**CLICK, "type": "error", "data": {"message": "no"}})

    wait_for_stored(deployment, ids)
    for role in ("ingestion", "storage"):
        with deployment.client(role) as client:
            assert client.get(f"/events/{ids[0]}").json()["data"]["data"] == {"page": "/cart"}
    with deployment.client("storage") as client:
        groups = client.get("/events/aggregations", params={"metric": "count", "group_by": "type"}).json()
        assert groups["aggregations"] == {"error": 1, "web.click": 1}
    with deployment.client("dashboard") as client:
        figures = client.get("/metrics/realtime").json()["metrics"]
        assert figures["active_users"] == 1
        assert figures["error_rate"] == 0.5
        assert client.get("/api/v1/verdict").json()["level"] in {"fine", "unknown"}


@shortly_in("together", "kafka")
def test_what_was_acknowledged_is_there_after_a_restart(deployment: Deployment) -> None:
    before = post(deployment, *[CLICK] * 50)

    assert set(deployment.stop()) == {0}
    deployment.start()
    after = post(deployment, *[CLICK] * 50)

    wait_for_stored(deployment, before + after)


@shortly_in("together", "rabbitmq")
def test_what_was_acknowledged_is_there_after_every_process_was_killed(deployment: Deployment) -> None:
    before = post(deployment, *[CLICK] * 50)

    deployment.kill()
    deployment.start()

    wait_for_stored(deployment, before)
    assert deployment.weft("verify", "--all").returncode == 0


@pytest.mark.contract(
    "SF-25", "SF-26", "SF-37", "SF-39", "SF-41", "SF-42", "SF-43", "SF-44", "SF-45", "SF-69", "SF-23", "HC-362"
)
@shortly_in("apart", "rabbitmq")
def test_every_role_answers_for_itself(deployment: Deployment) -> None:
    for role in ROLES:
        check_operations(deployment, role)


def check_operations(deployment: Deployment, role: str) -> None:
    expected = role if deployment.topology == "apart" else "weft"
    with deployment.client(role) as client:
        body = client.get("/health").json()
        assert (body["status"], body["service"]) == ("healthy", expected)
        assert body["timestamp"].endswith("Z")
        assert body["checks"]["database"]["status"] == "healthy"
        assert body["checks"]["message_broker"]["status"] == "healthy"
        assert body["checks"]["websocket_connections"] == 0
        assert client.get("/ready").status_code == 200
        assert "weft_http_requests_total" in client.get("/metrics").text
        assert client.get("/docs").status_code == 200
        assert client.get("/openapi.json").json()["info"]["title"] == "Weft"


@shortly_in("apart")
@pytest.mark.contract("SF-27", "SF-28")
def test_the_command_line_notices_that_a_role_died(deployment: Deployment) -> None:
    role = "storage"
    assert deployment.weft("health", "--service", role).returncode == 0
    assert deployment.weft("status").returncode == 0

    deployment.processes[role].kill()

    health = deployment.weft("health", "--service", role, check=False)
    assert health.returncode == 1
    assert "down" in health.stdout
    status = deployment.weft("status", check=False)
    assert status.returncode == (1 if deployment.topology == "apart" else 3)
    assert "down" in status.stdout
    others = [name for name in deployment.processes if deployment.processes[name] is not deployment.processes[role]]
    for other in others:
        assert deployment.weft("health", "--service", other).returncode == 0


@shortly_in("apart", "rabbitmq")
def test_the_roles_that_live_go_on_when_the_store_dies_and_it_catches_up(deployment: Deployment) -> None:
    before = post(deployment, CLICK)
    wait_for_stored(deployment, before)
    deployment.processes["storage"].kill()

    if deployment.topology == "together":
        deployment.start()
        during = post(deployment, CLICK)
    else:
        during = post(deployment, CLICK)
        with deployment.client("dashboard") as client:
            wait_until(
                lambda: client.get("/metrics/realtime").json()["metrics"]["events_per_second"] > 0 or None,
                "the dashboard lost sight of new events",
            )
        deployment.start_role("storage")

    wait_for_stored(deployment, before + during)


def test_a_second_process_for_a_store_of_one_machine_is_refused_with_a_sentence(embedded: Deployment) -> None:
    second = embedded.spawn("storage")

    assert second.wait() == 1
    assert second.text.count("\n") <= 2, second.text
    assert "weft:" in second.text


@shortly_in("apart", "kafka", "rabbitmq")
def test_two_processes_take_events_in_at_once(deployment: Deployment) -> None:
    second = deployment.spawn("ingestion")
    first_ids = post(deployment, *[CLICK] * 10)
    answer = httpx.post(f"{second.url()}/events/batch", json={"events": [CLICK] * 10}, timeout=30)
    assert answer.status_code == 201, answer.text
    twice = {**CLICK, "id": "mine-1"}
    one = httpx.post(f"{deployment.url('ingestion')}/events", json=twice, timeout=30)
    two = httpx.post(f"{second.url()}/events", json=twice, timeout=30)
    assert (one.status_code, two.status_code) == (201, 201)

    wait_for_stored(deployment, [*first_ids, *answer.json()["data"]["event_ids"], "mine-1"])


@shortly_in("together", "rabbitmq")
def test_an_erased_event_is_gone_everywhere(deployment: Deployment) -> None:
    kept = post(deployment, CLICK)
    post(deployment, {**CLICK, "source": "wrong"})
    wait_until(lambda: len(stored(deployment)) == 2 or None, "the events never were in the store")

    erased = deployment.weft("erase", "--source", "wrong", "--yes")

    assert stored(deployment) == kept
    tailed = deployment.weft("tail", "events").stdout
    assert ("wrong" in tailed) == ("The log still has them" in erased.stderr), "the command did not tell the truth"
    assert deployment.is_networked or "wrong" not in tailed
    assert kept[0] in tailed
    assert deployment.weft("verify", "--all").returncode == 0


@shortly_in("together", "rabbitmq")
def test_no_process_leaves_threads_or_files_that_keep_it_from_ending(deployment: Deployment) -> None:
    began = time.monotonic()

    assert set(deployment.stop()) == {0}

    assert time.monotonic() - began < 20
    assert list((deployment.data_dir / "run").iterdir()) == []


@shortly_in("together", "kafka", "rabbitmq")
@pytest.mark.parametrize("role", ["ingestion", "storage", "dashboard"])
def test_a_role_that_is_killed_under_load_loses_and_doubles_nothing(deployment: Deployment, role: str) -> None:
    memory = Memory()
    clients = Clients(lambda: [deployment.url_now("ingestion")], memory, random.Random(5))
    clients.start()
    try:
        wait_for_acknowledged(memory, 200)
        deployment.processes[role].kill()
        deployment.start_role(role)
        wait_for_acknowledged(memory, 200)
    finally:
        clients.stop()

    check_every_event(deployment, memory)
    assert deployment.weft("verify", "--all").returncode == 0


@shortly_in("together", "kafka", "rabbitmq")
@pytest.mark.contract("SF-14")
def test_a_rolling_restart_under_load_loses_and_refuses_nothing_for_good(deployment: Deployment) -> None:
    other = deployment.spawn("ingestion")
    other.url()
    memory = Memory()
    clients = Clients(lambda: [deployment.url_now("ingestion"), other.url_now()], memory, random.Random(6))
    clients.start()
    try:
        wait_for_acknowledged(memory, 100)
        for role in dict.fromkeys(deployment.processes[role] for role in ROLES):
            assert role.stop() == 0, role.text
            deployment.start_role(next(name for name in ROLES if deployment.processes[name] is role))
            wait_for_acknowledged(memory, 100)
        assert other.stop() == 0, other.text
    finally:
        clients.stop()

    check_every_event(deployment, memory, refusals={503})
    assert deployment.weft("verify", "--all").returncode == 0


def wait_for_acknowledged(memory: Memory, more: int, *, within_s: float = 40.0) -> None:
    """Until so many more events were acknowledged than now."""
    enough = len(memory.acknowledged) + more
    wait_until(
        lambda: len(memory.acknowledged) >= enough or None, f"the clients got nowhere: {memory.refused[-3:]}", within_s=within_s
    )


@shortly_in("together", "kafka", "rabbitmq")
def test_a_new_reader_reads_everything_from_the_beginning(deployment: Deployment) -> None:
    before = post(deployment, *[CLICK] * 30)
    wait_for_stored(deployment, before)
    with (
        deployment.client("dashboard") as client,
        client.stream("GET", "/api/v1/topics/events/stream", params={"from": "earliest"}) as feed,
    ):
        lines = feed.iter_lines()
        again = sent_events(lines, len(before))
        after = post(deployment, *[CLICK] * 5)
        live = sent_events(lines, len(after))

    assert sorted(again) == sorted(before)
    assert sorted(live) == sorted(after)
    tailed = [json.loads(line)["id"] for line in deployment.weft("tail", "events").stdout.splitlines()]
    assert sorted(tailed) == sorted(before + after)


def sent_events(lines: Iterator[str], count: int) -> list[str]:
    """The ids of so many events of a feed."""
    found: list[str] = []
    while len(found) < count:
        line = next(lines)
        if line.startswith("data: {") and "id" in (event := json.loads(line.removeprefix("data:"))):
            found.append(event["id"])
    return found


@shortly_in("together", "rabbitmq")
def test_a_dead_letter_is_listed_and_handed_in_again_and_blocks_nobody(deployment: Deployment) -> None:
    before = post(deployment, CLICK)
    put_poison(deployment)
    after = post(deployment, CLICK)

    wait_for_stored(deployment, before + after)
    letters = wait_for_letters(deployment, 1)
    assert letters[0]["topic"] == "events"
    assert "time" in letters[0]["reason"]
    assert "1 events again" in deployment.weft("dlq", "replay").stdout
    again = wait_for_letters(deployment, 1)
    assert (again[0]["partition"], again[0]["offset"]) != (letters[0]["partition"], letters[0]["offset"])
    wait_until_settled(deployment)
    assert deployment.weft("verify", "--all").returncode == 0


def wait_for_letters(deployment: Deployment, count: int) -> list[dict[str, object]]:
    def listed() -> list[dict[str, object]] | None:
        letters = json.loads(deployment.weft("dlq", "list", "--format", "json").stdout)
        return letters if len(letters) == count else None

    return wait_until(listed, f"there never were {count} dead letters")


@pytest.mark.contract("SF-14")
@pytest.mark.parametrize("networked", [pytest.param("kafka", marks=pytest.mark.soak), "rabbitmq"], indirect=True)
def test_two_replicas_of_storage_share_the_work_and_one_takes_over(networked: Deployment) -> None:
    first, second = networked.processes["storage"], networked.spawn("storage")
    doors = [networked.processes["ingestion"], networked.spawn("ingestion")]  # each may have a partition to itself
    posted: dict[str, list[str]] = {}

    def post_everywhere() -> None:
        for door, topic in product(doors, TOPICS):
            posted.setdefault(topic, []).extend(post(networked, {**CLICK, "topic": topic}, through=door))

    def both_work() -> bool | None:
        post_everywhere()
        return min(written(first), written(second)) > 0 or None

    wait_until(both_work, "one replica did all the work")
    second.kill()
    post_everywhere()

    for topic, ids in posted.items():
        wait_for_stored(networked, ids, topic)
    assert networked.weft("verify", "--all").returncode == 0


def written(process: Process) -> float:
    """How many events a process has handed to the store."""
    with process.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("weft_store_writer_events_total"))
