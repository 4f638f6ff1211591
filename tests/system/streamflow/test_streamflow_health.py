"""Health, metrics, log lines and the command line tell the documented things."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.deployment import Process, run_weft, wait_until
from tests.system.streamflow.walk import (
    CLICK,
    EMAIL,
    ISO_UTC,
    PASSWORD,
    SECRET,
    data_dir_of,
    log_lines,
)

pytestmark = pytest.mark.xdist_group("streamflow")  # one Weft serves them all


@pytest.mark.contract("SF-37", "SF-38", "SF-39", "SF-41", "SF-42", "SF-43", "SF-46", "SF-D37", "SW-23")
def test_health_has_the_documented_keys(client: httpx.Client) -> None:
    answer = client.get("/health")
    body = answer.json()

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert body["status"] == "healthy"
    assert isinstance(body["service"], str)
    assert ISO_UTC.fullmatch(body["timestamp"])
    assert abs(datetime.fromisoformat(body["timestamp"]) - datetime.now(UTC)) < timedelta(seconds=5)
    assert body["checks"]["database"]["status"] == "healthy"
    assert body["checks"]["message_broker"]["status"] == "healthy"
    assert isinstance(body["checks"]["websocket_connections"], int)


@pytest.mark.contract("SF-40")
def test_the_version_is_the_same_everywhere(client: httpx.Client, process: Process, tmp_path: Path) -> None:
    from weft import __version__

    assert client.get("/health").json()["version"] == __version__
    assert client.get("/openapi.json").json()["info"]["version"] == __version__
    assert __version__ in run_weft("version", cwd=tmp_path).stdout


@pytest.mark.contract("HC-health")
def test_the_other_health_page_has_the_keys_of_both_systems(client: httpx.Client) -> None:
    body = client.get("/api/v1/health").json()

    assert {"status", "service", "version", "timestamp", "checks"} <= set(body)


@pytest.mark.contract("SF-45", "LM-31", "LM-32")
def test_a_process_that_is_up_is_ready(client: httpx.Client) -> None:
    assert client.get("/ready").status_code == 200
    assert client.get("/healthz", headers={"Authorization": ""}).json()["status"] == "healthy"
    assert client.get("/readyz").status_code == 200


@pytest.mark.contract("SF-283", "SF-284", "SF-288", "SF-289", "SF-290", "SF-291", "SF-292", "SF-340", "LM-33", "HC-S36")
def test_the_metrics_are_prometheus_text_and_move(client: httpx.Client) -> None:
    def accepted() -> float:
        text = client.get("/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if 'events_total{outcome="accepted"' in line)

    before = accepted()
    client.post("/events", json=CLICK)
    answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert accepted() == before + 1
    for name in ("events_duration_seconds_count", "http_requests_total", "http_request_duration_seconds_count"):
        assert f"\nstreamflow_{name}" in answer.text, name
    assert "# TYPE streamflow_queue_depth gauge" in answer.text, "it has a line per group once one has committed"
    assert "\nprocess_resident_memory_bytes" in answer.text
    assert "host_cpu_seconds_total" in answer.text
    assert EMAIL not in answer.text
    assert "user123" not in answer.text


@pytest.mark.contract(
    "SF-295", "SF-296", "SF-297", "SF-298", "SF-299", "SF-302", "SF-303", "SF-305", "SF-203", "LM-46", "HC-350"
)
def test_every_log_line_is_one_json_object_with_the_documented_fields(client: httpx.Client, process: Process) -> None:
    client.get("/events", headers={"X-Correlation-ID": "walk-logged"})

    def look() -> dict[str, Any] | None:
        return next((line for line in log_lines(process) if line.get("correlation_id") == "walk-logged"), None)

    line = wait_until(look, "the request left no log line")
    assert all({"timestamp", "level", "service", "message"} <= set(entry) for entry in log_lines(process))
    assert ISO_UTC.fullmatch(line["timestamp"])
    assert line["level"] == "INFO"
    assert 0 <= line["duration"] < 30
    assert isinstance(line["extra"], dict)


@pytest.mark.contract("SF-301")
def test_the_log_line_of_a_request_names_the_user(client: httpx.Client, process: Process) -> None:
    client.get("/events", headers={"X-Correlation-ID": "walk-user"})

    def look() -> dict[str, Any] | None:
        return next((line for line in log_lines(process) if line.get("correlation_id") == "walk-user"), None)

    assert wait_until(look, "the request left no log line").get("user_id")


@pytest.mark.contract("HC-S35")
def test_a_line_break_in_a_value_forges_no_log_line(client: httpx.Client, process: Process) -> None:
    client.get(
        "/events",
        params={"source": 'x"}\n{"level":"CRITICAL","message":"forged"}'},
        headers={"X-Correlation-ID": "walk-forged"},
    )

    wait_until(
        lambda: next((line for line in log_lines(process) if line.get("correlation_id") == "walk-forged"), None), "no line"
    )
    assert [line for line in log_lines(process) if line["message"] == "forged"] == []


@pytest.mark.contract("HC-S29", "SF-279")
def test_no_secret_stands_in_the_log_or_in_the_files(client: httpx.Client, process: Process, token: str) -> None:
    client.get("/events")
    kept = [path.read_bytes() for path in process.data_dir.rglob("*") if path.is_file() and "secrets" not in path.parts]

    for secret in (PASSWORD, SECRET, token):
        assert secret not in process.text
        assert not any(secret.encode() in content for content in kept)


@pytest.mark.contract("SF-27", "SF-28")
def test_status_and_health_tell_the_truth_and_exit_codes_follow(process: Process, tmp_path: Path) -> None:
    healthy = run_weft("health", "--service", "ingestion", *data_dir_of(process), cwd=tmp_path, check=False)
    nobody = run_weft("health", "--service", "ingestion", "--data-dir", str(tmp_path / "empty"), cwd=tmp_path, check=False)
    status = run_weft("status", "--format", "json", *data_dir_of(process), cwd=tmp_path, check=False)

    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    assert nobody.returncode != 0
    assert [entry["status"] for entry in json.loads(status.stdout)["processes"]] == ["healthy"]
