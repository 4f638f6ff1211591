"""A client written for StreamFlow's documents finds what it expects, on the paths and in the shapes it knows.

Everything goes over real sockets to the installed program; what a client of that system sends is sent as it stands there.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.system.deployment import Process, run_weft, wait_until

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
SECRET = "a-secret-of-the-tests-that-is-long-enough-0123456789"
CLICK: dict[str, Any] = {
    "type": "web.click",
    "source": "website",
    "data": {"page": "/dashboard", "user_id": "123", "element": "button.submit"},
    "severity": "medium",
    "correlation_id": "walk-1",
    "session_id": "session-9",
    "user_id": "user123",
    "tags": ["frontend", "user-interaction"],
}
ISO_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("streamflow")
    environment = {
        "JWT_SECRET_KEY": SECRET,
        "CORS_ORIGINS": "https://app.example.org,https://other.example.org",
        "WEFT_API__ACCESS_LOG": "all",
        "WEFT_API__METRICS_PREFIX": "streamflow",
        "LOG_FORMAT": "json",
    }
    process = Process(folder, environment=environment)
    try:
        process.url()
        run_weft("users", "create", EMAIL, "--role", "operator", "--password", PASSWORD, *_folder(process), cwd=folder)
        run_weft("users", "create", "bob@example.org", "--password", PASSWORD, *_folder(process), cwd=folder)
        yield process
    finally:
        process.kill()


def _folder(process: Process) -> tuple[str, str]:
    return ("--data-dir", str(process.data_dir))


@pytest.fixture(scope="module")
def token(process: Process) -> str:
    answer = httpx.post(f"{process.url()}/auth/login", json={"username": EMAIL, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["access_token"]
    return text


@pytest.fixture(scope="module")
def client(process: Process, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=process.url(), headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        yield client


def _open(process: Process, path: str) -> ClientConnection:
    return connect(process.url().replace("http://", "ws://") + path)


def _found(client: httpx.Client, event_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer = client.get(f"/events/{event_id}")
        return answer.json() if answer.status_code == 200 else None

    return wait_until(look, f"{event_id} was acknowledged and never found")


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


@pytest.mark.contract("SF-44", "SF-285")
def test_open_sockets_are_counted(client: httpx.Client, process: Process, token: str) -> None:
    def count() -> int:
        number: int = client.get("/health").json()["checks"]["websocket_connections"]
        return number

    before = count()
    with _open(process, "/ws") as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        wait_until(lambda: True if count() == before + 1 else None, "an open socket was not counted")
        assert f"streamflow_active_connections {before + 1}" in client.get("/metrics").text
    wait_until(lambda: True if count() == before else None, "a closed socket is still counted")


@pytest.mark.contract("SF-45", "LM-31", "LM-32")
def test_a_process_that_is_up_is_ready(client: httpx.Client) -> None:
    assert client.get("/ready").status_code == 200
    assert client.get("/healthz", headers={"Authorization": ""}).json()["status"] == "healthy"
    assert client.get("/readyz").status_code == 200


@pytest.mark.contract(
    "SF-3", "SF-49", "SF-52", "SF-53", "SF-54", "SF-55", "SF-56", "SF-57", "SF-58", "SF-59", "SF-244", "SF-D13"
)
@pytest.mark.contract(
    "SF-102", "SF-103", "SF-104", "SF-105", "SF-106", "SF-107", "SF-109", "SF-110", "SF-111", "SF-112", "SF-D16"
)
def test_an_event_is_created_and_comes_back_as_it_was_sent(client: httpx.Client) -> None:
    answer = client.post("/events", json=CLICK)
    body = answer.json()
    found = _found(client, body["data"]["event_id"])

    assert answer.status_code == 201
    assert body["success"] is True
    assert body["message"] == "Event created successfully"
    assert UUID(body["data"]["event_id"])
    assert ISO_UTC.fullmatch(body["timestamp"])
    assert found["message"] == "Event retrieved successfully"
    assert {key: found["data"][key] for key in CLICK} == CLICK
    assert client.post("/events", json={"type": "web.click", "data": {}}).status_code == 422, "source is required"


@pytest.mark.contract("SF-61", "SF-62", "SF-63", "SF-D14")
def test_a_batch_of_different_types_answers_one_id_each_in_order(client: httpx.Client) -> None:
    events = [
        {"type": "web.click", "source": "website", "data": {"page": "/dashboard"}, "severity": "medium"},
        {
            "type": "api.request",
            "source": "api-gateway",
            "data": {"endpoint": "/api/users", "method": "GET"},
            "severity": "low",
        },
    ]
    answer = client.post("/events/batch", json={"events": events})
    body = answer.json()
    ids = body["data"]["event_ids"]

    assert answer.status_code == 201
    assert body["message"] == "Batch of 2 events created successfully"
    assert ISO_UTC.fullmatch(body["timestamp"])
    assert len(set(ids)) == 2
    assert [_found(client, event_id)["data"]["type"] for event_id in ids] == ["web.click", "api.request"]


@pytest.mark.contract("SF-118", "SF-119", "SF-120", "SF-121")
@pytest.mark.parametrize("severity", ["low", "medium", "high", "critical"])
def test_each_severity_is_taken(client: httpx.Client, severity: str) -> None:
    assert client.post("/events", json={**CLICK, "severity": severity}).status_code == 201


@pytest.mark.contract("SF-149", "SF-151", "SF-152", "SF-153", "SF-154", "SF-155", "SF-156", "SF-157")
@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_a_measurement_of_each_type_is_taken(client: httpx.Client, kind: str) -> None:
    data = {"name": "latency", "type": kind, "value": 0.25, "tags": {"host": "a"}, "metadata": {"unit": "s"}}
    event = {"type": "metric", "source": "app", "timestamp": "2026-01-15T12:00:00+01:00", "data": data}

    found = _found(client, client.post("/events", json=event).json()["data"]["event_id"])["data"]

    assert found["data"] == data
    assert found["timestamp"] == "2026-01-15T11:00:00Z"
    assert client.post("/events", json={**event, "data": {**data, "type": "guess"}}).status_code == 422
    assert client.post("/events", json={**event, "data": {**data, "tags": {"host": 1}}}).status_code == 422


@pytest.mark.contract("SF-331", "SF-332", "SF-333", "SF-337", "SF-338", "SF-339", "SF-294")
@pytest.mark.parametrize(
    "event_type",
    [
        "web.pageview",
        "api.response",
        "user.login",
        "user.logout",
        "user.activity",
        "system.deployment",
        "system.warning",
        "custom",
    ],
)
def test_what_the_use_cases_need_is_taken_and_counted(client: httpx.Client, event_type: str) -> None:
    source = f"use-{event_type}"
    event_id = client.post("/events", json={"type": event_type, "source": source, "data": {"amount": 12.5}}).json()["data"][
        "event_id"
    ]
    _found(client, event_id)

    summed = client.get("/events/aggregations", params={"metric": "sum", "field": "data.amount", "source": source}).json()

    assert summed["aggregations"] == {event_type: 12.5}


@pytest.mark.contract("SF-66", "SF-67", "SF-68", "SF-D18", "SF-D19")
def test_the_documented_socket_frame_is_acknowledged_and_stored(client: httpx.Client, process: Process, token: str) -> None:
    frame = {
        "type": "event",
        "data": {"event_type": "user.activity", "user_id": "user123", "action": "page_view", "page": "/dashboard"},
    }
    with _open(process, "/ws") as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        socket.send(json.dumps(frame))
        answer = _next(socket, "ack")
        socket.send(json.dumps({"type": "ping"}))
        pong = _next(socket, "pong")
        socket.send("not json")
        error = _next(socket, "error")

    found = _found(client, answer["event_id"])["data"]
    assert ISO_UTC.fullmatch(answer["timestamp"])
    assert pong["type"] == "pong"
    assert {"error", "message"} <= set(error)
    assert found["type"] == "user.activity"
    assert found["user_id"] == "user123"
    assert found["data"] == {"action": "page_view", "page": "/dashboard"}


def _next(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a kind; others, such as the answer to the sign-in, are stepped over."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=10))
        if frame["type"] == kind:
            return frame
    raise AssertionError(f"no frame of type {kind} came")


@pytest.mark.contract("SF-81", "SF-D21")
def test_the_dashboard_socket_pushes_the_realtime_figures(process: Process, token: str) -> None:
    with _open(process, "/ws/metrics") as socket:
        socket.send(json.dumps({"type": "auth", "token": token}))
        deadline = time.monotonic() + 5
        frame: dict[str, Any] = {}
        while "metrics" not in frame and time.monotonic() < deadline:
            frame = json.loads(socket.recv(timeout=5))

    assert set(frame["metrics"]) >= {"events_per_second", "active_users", "error_rate", "response_time_avg"}
    assert ISO_UTC.fullmatch(frame["timestamp"])


@pytest.mark.contract("SF-254", "SF-255", "SF-256", "SF-257", "SF-192", "SF-193", "HC-auth-token", "SF-D5", "SF-D6")
def test_the_token_is_the_documented_one_in_each_form(process: Process) -> None:
    by_json = httpx.post(f"{process.url()}/auth/login", json={"username": EMAIL, "password": PASSWORD}, timeout=30).json()
    by_form = httpx.post(
        f"{process.url()}/api/v1/auth/token", data={"username": EMAIL, "password": PASSWORD}, timeout=30
    ).json()

    for answer in (by_json, by_form):
        claims = jwt.decode(answer["access_token"], SECRET, algorithms=["HS256"], options={"verify_aud": False})
        assert jwt.get_unverified_header(answer["access_token"]) == {"alg": "HS256", "typ": "JWT"}
        assert answer["token_type"] == "bearer"
        assert answer["expires_in"] == 1800
        assert claims["exp"] - claims["iat"] == 1800


@pytest.mark.contract("SF-243", "SF-245", "SF-246", "SF-247", "SF-248", "SF-249", "SF-274", "SF-D34")
@pytest.mark.parametrize(
    ("method", "path", "content", "status", "name"),
    [
        ("POST", "/events", "{not json", 400, "BadRequest"),
        ("POST", "/events", '{"type": "web.clack", "source": "x"}', 422, "ValidationError"),
        ("GET", "/events?start=2026-02-01T00:00:00Z&end=2026-01-01T00:00:00Z", None, 400, "BadRequest"),
        ("GET", "/events?limit=never", None, 422, "ValidationError"),
        ("GET", "/nowhere", None, 404, "NotFound"),
        ("GET", "/events/00000000-0000-4000-8000-000000000000", None, 404, "NotFound"),
        ("GET", "/api/admin/users", None, 403, "PermissionDenied"),
        ("DELETE", "/health", None, 405, "MethodNotAllowed"),
    ],
)
def test_errors_have_the_documented_status_and_body(
    client: httpx.Client, method: str, path: str, content: str | None, status: int, name: str
) -> None:
    headers = {"Content-Type": "application/json", "X-Correlation-ID": "walk-42"}
    answer = client.request(method, path, content=content, headers=headers)
    body = answer.json()

    assert answer.status_code == status
    assert body["error"] == name
    assert len(body["message"]) > 5
    assert isinstance(body["details"], dict)
    assert ISO_UTC.fullmatch(body["timestamp"])
    assert body["correlation_id"] == "walk-42"


@pytest.mark.contract("SF-47", "SF-258")
@pytest.mark.parametrize(
    "path", ["/events", "/events/aggregations", "/metrics/realtime", "/metrics/historical", "/api/v1/topics"]
)
def test_reading_without_or_with_a_made_up_token_is_refused(process: Process, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer whatever"}):
        answer = httpx.get(f"{process.url()}{path}", headers=headers, timeout=30)
        assert answer.status_code == 401
        assert answer.json()["error"] == "AuthenticationError"
    assert (
        httpx.post(f"{process.url()}/events", json=CLICK, headers={"Authorization": "Bearer no"}, timeout=30).status_code == 401
    )


@pytest.mark.contract("SF-275", "SF-276", "SF-277", "SF-278", "SF-207", "SF-D53")
def test_only_listed_origins_pass_the_pre_flight(process: Process) -> None:
    def ask(origin: str) -> httpx.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        return httpx.options(f"{process.url()}/events", headers=headers, timeout=30)

    allowed, stranger = ask("https://other.example.org"), ask("https://evil.example.org")

    assert allowed.headers["access-control-allow-origin"] == "https://other.example.org"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.contract("SF-281", "HC-S38")
@pytest.mark.parametrize("path", ["/health", "/events", "/nowhere", "/docs"])
def test_every_answer_has_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers.get("content-security-policy", "") or headers.get("x-frame-options") == "DENY"
    assert headers["referrer-policy"]


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


@pytest.mark.contract("SF-23", "SF-69", "HC-361", "HC-362", "HC-371", "LM-38", "LM-39", "LM-56", "SW-swagger", "SW-openapi")
def test_the_documentation_works_without_internet(client: httpx.Client) -> None:
    for path in ("/docs", "/swagger"):
        page = client.get(path, follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text) == [], "it would be blank offline"
        for asset in re.findall(r"""(?:src|href)=["']([^"'#]+\.(?:js|css))["']""", page.text):
            assert client.get(str(page.url.join(asset))).status_code == 200, asset
    for path in ("/openapi.json", "/api/v1/openapi.json"):
        assert {"/events", "/events/batch", "/events/aggregations", "/metrics/realtime"} <= set(
            client.get(path).json()["paths"]
        )


@pytest.mark.contract("HC-346")
def test_the_document_announces_the_password_form(client: httpx.Client) -> None:
    schemes = client.get("/openapi.json").json()["components"]["securitySchemes"].values()

    assert [scheme for scheme in schemes if "password" in scheme.get("flows", {})]


@pytest.mark.contract(
    "SF-295", "SF-296", "SF-297", "SF-298", "SF-299", "SF-302", "SF-303", "SF-305", "SF-203", "LM-46", "HC-350"
)
def test_every_log_line_is_one_json_object_with_the_documented_fields(client: httpx.Client, process: Process) -> None:
    client.get("/events", headers={"X-Correlation-ID": "walk-logged"})

    def look() -> dict[str, Any] | None:
        return next((line for line in _log_lines(process) if line.get("correlation_id") == "walk-logged"), None)

    line = wait_until(look, "the request left no log line")
    assert all({"timestamp", "level", "service", "message"} <= set(entry) for entry in _log_lines(process))
    assert ISO_UTC.fullmatch(line["timestamp"])
    assert line["level"] == "INFO"
    assert 0 <= line["duration"] < 30
    assert isinstance(line["extra"], dict)


@pytest.mark.contract("SF-301")
def test_the_log_line_of_a_request_names_the_user(client: httpx.Client, process: Process) -> None:
    client.get("/events", headers={"X-Correlation-ID": "walk-user"})

    def look() -> dict[str, Any] | None:
        return next((line for line in _log_lines(process) if line.get("correlation_id") == "walk-user"), None)

    assert wait_until(look, "the request left no log line").get("user_id")


@pytest.mark.contract("HC-S35")
def test_a_line_break_in_a_value_forges_no_log_line(client: httpx.Client, process: Process) -> None:
    client.get(
        "/events",
        params={"source": 'x"}\n{"level":"CRITICAL","message":"forged"}'},
        headers={"X-Correlation-ID": "walk-forged"},
    )

    wait_until(
        lambda: next((line for line in _log_lines(process) if line.get("correlation_id") == "walk-forged"), None), "no line"
    )
    assert [line for line in _log_lines(process) if line["message"] == "forged"] == []


def _log_lines(process: Process) -> list[dict[str, Any]]:
    welcome = process.text.split("Weft ")[0], process.text.partition("Ctrl-C stops it.\n")[2]
    return [json.loads(line) for part in welcome for line in part.splitlines() if line.strip()]


@pytest.mark.contract("HC-S29", "SF-279")
def test_no_secret_stands_in_the_log_or_in_the_files(client: httpx.Client, process: Process, token: str) -> None:
    client.get("/events")
    kept = [path.read_bytes() for path in process.data_dir.rglob("*") if path.is_file() and "secrets" not in path.parts]

    for secret in (PASSWORD, SECRET, token):
        assert secret not in process.text
        assert not any(secret.encode() in content for content in kept)


@pytest.mark.contract("SF-27", "SF-28")
def test_status_and_health_tell_the_truth_and_exit_codes_follow(process: Process, tmp_path: Path) -> None:
    healthy = run_weft("health", "--service", "ingestion", *_folder(process), cwd=tmp_path, check=False)
    nobody = run_weft("health", "--service", "ingestion", "--data-dir", str(tmp_path / "empty"), cwd=tmp_path, check=False)
    status = run_weft("status", "--format", "json", *_folder(process), cwd=tmp_path, check=False)

    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    assert nobody.returncode != 0
    assert [entry["status"] for entry in json.loads(status.stdout)["processes"]] == ["healthy"]


@pytest.mark.contract("SF-265")
def test_the_eleventh_socket_of_one_address_is_refused(process: Process, client: httpx.Client, token: str) -> None:
    wait_until(lambda: True if client.get("/health").json()["checks"]["websocket_connections"] == 0 else None, "sockets linger")
    with ExitStack() as held:
        for _ in range(10):
            socket = held.enter_context(_open(process, "/ws"))
            socket.send(json.dumps({"type": "auth", "token": token}))
        with pytest.raises(InvalidStatus) as refused:
            _open(process, "/ws")

    assert refused.value.response.status_code == 429


@pytest.mark.contract("LM-cloudevents", "SF-D15")
def test_cloudevents_come_in_structured_binary_and_batch_mode(client: httpx.Client) -> None:
    structured = {
        "specversion": "1.0",
        "source": "/lab/rig2",
        "type": "custom",
        "time": "2026-01-15T12:00:00Z",
        "data": {"t": 4.2},
    }
    answers = [
        client.post(
            "/events",
            content=json.dumps({**structured, "id": "ce-structured"}),
            headers={"Content-Type": "application/cloudevents+json"},
        ),
        client.post(
            "/events",
            content=b'{"t": 4.2}',
            headers={
                "Content-Type": "application/json",
                "ce-specversion": "1.0",
                "ce-id": "ce-binary",
                "ce-source": "/lab/rig2",
                "ce-type": "custom",
                "ce-time": "2026-01-15T12:00:00Z",
            },
        ),
        client.post(
            "/events/batch",
            content=json.dumps([{**structured, "id": "ce-batch"}]),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        ),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    for event_id in ("ce-structured", "ce-binary", "ce-batch"):
        found = _found(client, event_id)["data"]
        assert (found["source"], found["type"], found["data"]) == ("/lab/rig2", "custom", {"t": 4.2})
        assert found["timestamp"] == "2026-01-15T12:00:00Z"


@pytest.mark.contract("HC-S32")
def test_no_caller_names_a_path_on_the_servers_disk(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    parameters = [
        f"{method} {path}: {parameter['name']}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", [])
        if re.search(r"path|file|folder|dir$|backup", parameter["name"], re.IGNORECASE)
    ]
    properties = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field in schema.get("properties", {})
        if re.search(r"path|file|folder|backup", field, re.IGNORECASE)
    ]

    assert parameters + properties == []
