"""Tokens, errors, headers and the documentation are as documented."""

import re

import httpx
import jwt
import pytest

from tests.system.deployment import Process
from tests.system.streamflow.walk import CLICK, EMAIL, ISO_UTC, PASSWORD, SECRET

pytestmark = pytest.mark.xdist_group("streamflow")  # one Weft serves them all


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


WHERE_THINGS_LIE = {"base_path", "cifs_base_path", "script_path"}
"""What an administrator says in the inventory, nobody else: checked there, and opened by nothing but a test of a location."""


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
        if re.search(r"path|file|folder|backup", field, re.IGNORECASE) and field not in WHERE_THINGS_LIE
    ]

    assert parameters + properties == []
