"""Whatever goes wrong, on hot routes and others, a client gets one body, one set of headers, and an id it can quote."""

import logging
from typing import Any

import httpx
import pytest

SIGNED_IN = {"Authorization": "Bearer alice"}
JSON = {"Content-Type": "application/json"}


def check_body(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert {"error", "message", "details", "timestamp", "correlation_id"} <= set(body)
    assert body["error"] == error
    assert body["timestamp"].endswith("Z")
    assert body["correlation_id"] == answer.headers["x-correlation-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    return body


@pytest.mark.contract("SF-238", "SF-239", "SF-241", "SF-242", "SF-248", "SF-D36")
async def test_an_unknown_path_is_a_404_with_our_body(site: Any) -> None:
    body = check_body(await site.http.get("/nope"), 404, "NotFound")
    assert "/docs" in body["message"]


@pytest.mark.contract("SF-D36")
@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/things", "POST"),
        ("PATCH", "/things/1", "GET, PUT"),
        ("DELETE", "/again/things/1", "GET, PUT"),
        ("PUT", "/hot", "DELETE, OPTIONS, POST"),
        ("GET", "/hot", "DELETE, OPTIONS, POST"),
        ("PROPFIND", "/things", "POST"),
    ],
)
async def test_a_wrong_method_is_told_all_right_ones(site: Any, method: str, path: str, allow: str) -> None:
    answer = await site.http.request(method, path)
    body = check_body(answer, 405, "MethodNotAllowed")
    assert answer.headers["allow"] == allow
    assert body["details"]["allowed_methods"] == allow.split(", ")


async def test_a_path_may_have_hot_and_other_methods(site: Any) -> None:
    assert (await site.http.delete("/hot")).json() == "cleared"
    assert (await site.http.post("/hot", content=b"x", headers=SIGNED_IN)).status_code == 201
    assert (await site.http.get("/hot/below")).json() == "below"


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        pytest.param("Malformed", 400, "BadRequest", marks=pytest.mark.contract("SF-245")),
        pytest.param("Unauthenticated", 401, "AuthenticationError", marks=pytest.mark.contract("SF-246")),
        pytest.param("NotAllowed", 403, "PermissionDenied", marks=pytest.mark.contract("SF-247")),
        ("Conflict", 409, "Conflict"),
        pytest.param("runtime", 500, "InternalError", marks=pytest.mark.contract("SF-251")),
        pytest.param("upstream", 502, "BadGateway", marks=pytest.mark.contract("SF-252")),
        pytest.param("Unavailable", 503, "ServiceUnavailable", marks=pytest.mark.contract("SF-253")),
        ("StorageFull", 507, "StorageFull"),
    ],
)
async def test_each_status_can_be_met(site: Any, name: str, status: int, error: str) -> None:
    check_body(await site.http.get(f"/fail/{name}"), status, error)


@pytest.mark.contract("SF-243", "SF-244", "SF-248")
async def test_success_is_a_200_or_a_201(site: Any) -> None:
    assert (await site.http.get("/things/1")).status_code == 200
    assert (await site.http.post("/things", json={"name": "a"})).status_code == 201
    check_body(await site.http.get("/things/404"), 404, "NotFound")


@pytest.mark.contract("SF-240", "SF-249")
async def test_a_wrong_value_is_a_422_that_names_field_and_choices(site: Any) -> None:
    body = check_body(await site.http.post("/things", json={"name": "a", "colour": "pink"}), 422, "ValidationError")
    assert body["details"]["field"] == "colour"
    assert body["details"]["allowed_values"] == ["red", "blue"]
    body = check_body(await site.http.get("/things/abc"), 422, "ValidationError")
    assert body["details"]["field"] == "thing_id"


@pytest.mark.contract("SF-245", "SF-D34")
@pytest.mark.parametrize("content", [b"{", b"[1,", b'{"name": "a",}', b"\xff\xfe", b"[" * 100_000])
async def test_what_is_no_json_is_a_400(site: Any, content: bytes) -> None:
    check_body(await site.http.post("/things", content=content, headers=JSON), 400, "BadRequest")


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("login", "LOGIN_BAD_CREDENTIALS"),
        ("coded", "LOGIN_BAD_CREDENTIALS"),
        ("password", {"code": "REGISTER_INVALID_PASSWORD", "reason": "It is too short"}),
    ],
)
async def test_what_older_clients_read_stands_beside(site: Any, name: str, detail: object) -> None:
    assert check_body(await site.http.get(f"/fail/{name}"), 400, "BadRequest")["detail"] == detail


@pytest.mark.contract("SF-242", "SF-251")
@pytest.mark.parametrize("where", ["framework", "hot"])
async def test_a_fault_of_ours_is_logged_under_the_id_the_client_sees_and_tells_nothing(
    site: Any, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        if where == "hot":
            answer = await site.http.post("/hot", content=b"boom", headers={**SIGNED_IN, "X-Correlation-ID": "c-77"})
        else:
            answer = await site.http.get("/fail/runtime", headers={"X-Correlation-ID": "c-77"})
    check_body(answer, 500, "InternalError")
    assert "secret" not in answer.text
    assert answer.json()["correlation_id"] == "c-77"
    [record] = [record for record in caplog.records if record.message == "request_failed"]
    assert record.exc_info is not None
    assert "a secret of the house" in str(record.exc_info[1])


async def test_a_hot_route_s_own_refusal_keeps_its_headers(site: Any) -> None:
    answer = await site.http.post("/hot", content=b"busy", headers=SIGNED_IN)
    check_body(answer, 503, "ServiceUnavailable")
    assert answer.headers["retry-after"] == "7"


@pytest.mark.contract("SF-246", "SF-47")
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nobody"}])
async def test_a_hot_route_asks_who_it_is(site: Any, headers: dict[str, str]) -> None:
    answer = await site.http.post("/hot", content=b"x", headers=headers)
    check_body(answer, 401, "AuthenticationError")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.contract("SF-247", "SF-261")
async def test_a_hot_route_asks_for_its_scope(site: Any) -> None:
    body = check_body(
        await site.http.post("/hot", content=b"x", headers={"Authorization": "Bearer bob"}), 403, "PermissionDenied"
    )
    assert body["details"] == {"scope": "events:write"}


async def test_an_answer_that_breaks_half_way_is_not_taken_for_a_whole_one(site: Any) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await site.http.get("/broken-half-way")
    assert (await site.http.get("/things/1")).status_code == 200
