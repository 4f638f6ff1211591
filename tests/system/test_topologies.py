"""One process and separate roles behave alike. No scenario here knows which it runs on."""

import time

import httpx
import pytest

from tests.system.deployment import ROLES, Deployment, wait_until

CLICK = {"type": "web.click", "source": "shop", "user_id": "u1", "data": {"page": "/cart"}}


def post(deployment: Deployment, *events: dict[str, object]) -> list[str]:
    with deployment.client("ingestion") as client:
        answer = client.post("/events/batch", json={"events": list(events)})
        assert answer.status_code == 201, answer.text
        ids: list[str] = answer.json()["data"]["event_ids"]
        return ids


def stored(deployment: Deployment, **parameters: str) -> list[str]:
    with deployment.client("storage") as client:
        answer = client.get("/events", params={"limit": "1000", "order": "asc", **parameters})
        assert answer.status_code == 200, answer.text
        return [event["id"] for event in answer.json()["data"]]


def wait_for_stored(deployment: Deployment, ids: list[str]) -> None:
    wait_until(lambda: sorted(stored(deployment)) == sorted(ids) or None, f"{len(ids)} events never were all in the store")


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


def test_what_was_acknowledged_is_there_after_a_restart(deployment: Deployment) -> None:
    before = post(deployment, *[CLICK] * 50)

    assert set(deployment.stop()) == {0}
    deployment.start()
    after = post(deployment, *[CLICK] * 50)

    wait_for_stored(deployment, before + after)


def test_what_was_acknowledged_is_there_after_every_process_was_killed(deployment: Deployment) -> None:
    before = post(deployment, *[CLICK] * 50)

    deployment.kill()
    deployment.start()

    wait_for_stored(deployment, before)
    assert deployment.weft("verify", "--all").returncode == 0


@pytest.mark.contract(
    "SF-25", "SF-26", "SF-37", "SF-39", "SF-41", "SF-42", "SF-43", "SF-44", "SF-45", "SF-69", "SF-23", "HC-362"
)
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


def test_a_second_process_for_the_store_is_refused_with_a_sentence(deployment: Deployment) -> None:
    second = deployment.spawn("storage")

    assert second.wait() == 1
    assert second.text.count("\n") <= 2, second.text
    assert "weft:" in second.text


def test_two_processes_take_events_in_at_once(deployment: Deployment) -> None:
    second = deployment.spawn("ingestion")
    try:
        first_ids = post(deployment, *[CLICK] * 10)
        answer = httpx.post(f"{second.url()}/events/batch", json={"events": [CLICK] * 10}, timeout=30)
        assert answer.status_code == 201, answer.text
        twice = {**CLICK, "id": "mine-1"}
        one = httpx.post(f"{deployment.url('ingestion')}/events", json=twice, timeout=30)
        two = httpx.post(f"{second.url()}/events", json=twice, timeout=30)
        assert (one.status_code, two.status_code) == (201, 201)

        wait_for_stored(deployment, [*first_ids, *answer.json()["data"]["event_ids"], "mine-1"])
    finally:
        second.kill()


def test_an_erased_event_is_gone_everywhere(deployment: Deployment) -> None:
    kept = post(deployment, CLICK)
    post(deployment, {**CLICK, "source": "wrong"})
    wait_until(lambda: len(stored(deployment)) == 2 or None, "the events never were in the store")

    deployment.weft("erase", "--source", "wrong", "--yes")

    assert stored(deployment) == kept
    tailed = deployment.weft("tail", "events").stdout
    assert "wrong" not in tailed
    assert kept[0] in tailed
    assert deployment.weft("verify", "--all").returncode == 0


def test_no_process_leaves_threads_or_files_that_keep_it_from_ending(deployment: Deployment) -> None:
    began = time.monotonic()

    assert set(deployment.stop()) == {0}

    assert time.monotonic() - began < 20
    assert list((deployment.data_dir / "run").iterdir()) == []
