"""From an event at the door to people who are told, with the real program."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.deployment import QUICK, Deployment, Process, wait_until
from tests.system.forms import shortly_in

RULE = {
    "name": "errors",
    "condition": "error_count > 0",
    "window": "1s",
    "channels": ["hook"],
    "level": "warning",
    "escalation": [{"after": "1s"}],
}


class Sink:
    """What a webhook posts to; keeps every body."""

    def __init__(self) -> None:
        bodies: list[dict[str, Any]] = []

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.bodies = bodies
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def text(self) -> str:
        return json.dumps(self.bodies)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.server.shutdown()
    sink.server.server_close()


def send_errors(client: httpx.Client) -> None:
    event = {"type": "error", "source": "shop", "data": {"message": "no"}}
    assert client.post("/events", json=event).status_code == 201


def alerts(client: httpx.Client, status: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/alerts", params={"status": status, "rule_id": "errors"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


@pytest.mark.timeout(180)
@pytest.mark.contract("SF-167", "SF-335", "SF-147")
def test_a_threshold_that_is_passed_is_told_escalates_and_outlives_a_kill(tmp_path: Path, sink: Sink) -> None:
    process = Process(tmp_path, environment=QUICK)
    try:
        process.url()
        with process.client() as client:
            made = client.post("/api/v1/channels", json={"name": "hook", "kind": "webhook", "settings": {"url": sink.url}})
            assert made.status_code == 201, made.text
            assert client.post("/api/v1/rules", json=RULE).status_code == 201

            def told(word: str) -> bool | None:
                send_errors(client)
                return word in sink.text() or None

            wait_until(lambda: told('"firing"'), "nobody was told")
            wait_until(lambda: told("error_count"), "the message does not say what it is about")
            wait_until(lambda: told('"error"'), "nobody acknowledged it, and it did not escalate")
            (alert,) = alerts(client, "active")
            assert client.post(f"/api/v1/alerts/{alert['id']}/acknowledge").status_code == 200
        process.kill()
        process.wait()
        again = Process(tmp_path, environment=QUICK)
        try:
            again.url()
            with again.client() as client:
                kept = client.get(f"/api/v1/alerts/{alert['id']}").json()["data"]
                assert (kept["acknowledged"], kept["level"], kept["escalated"]) == (True, "error", 1)
                why = client.get(f"/api/v1/alerts/{alert['id']}/why").json()
                assert why["fired"]["values"]["error_count"] > 0
                wait_until(lambda: alerts(client, "resolved") or None, "the errors stopped and it went on", within_s=60)
        finally:
            again.kill()
    finally:
        process.kill()


@pytest.mark.contract("SF-2")
@shortly_in("kafka", fixture="whole")
def test_an_event_becomes_a_notification_wherever_the_roles_run(whole: Deployment, sink: Sink) -> None:
    """Door, log, query, rule and webhook in processes of their own, on whatever they share."""
    with whole.client("alerting") as client:
        made = client.post("/api/v1/channels", json={"name": "hook", "kind": "webhook", "settings": {"url": sink.url}})
        assert made.status_code == 201, made.text
        made = client.post("/api/v1/rules", json={**RULE, "group_by": ["source"]})
        assert made.status_code == 201, made.text

    def told() -> bool | None:
        with whole.client("ingestion") as client:
            send_errors(client)
        return "error_count" in sink.text() or None

    wait_until(told, "nobody was told", within_s=90)
    (first,) = [one for body in sink.bodies for one in body["notifications"] if one["state"] == "firing"]
    assert first["labels"] == {"source": "shop"}
    with whole.client("alerting") as client:
        (alert,) = alerts(client, "active")
        why = client.get(f"/api/v1/alerts/{alert['id']}/why").json()
        assert why["fired"]["values"]["error_count"] > 0
    with whole.client("analytics") as client:
        queries = client.get("/api/v1/queries", params={"limit": 1000}).json()["items"]
        assert {"error_rate", "events_per_second"} <= {query["name"] for query in queries}
