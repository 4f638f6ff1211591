"""One table says how every error is answered; a client that branches on `error` and status relies on it."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from weft.api.errors import error_body, error_body_of, problem_of
from weft.core import errors


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        pytest.param(errors.Malformed("x"), 400, "BadRequest", marks=pytest.mark.contract("SF-245")),
        pytest.param(errors.Unauthenticated("x"), 401, "AuthenticationError", marks=pytest.mark.contract("SF-246")),
        pytest.param(errors.NotAllowed("x"), 403, "PermissionDenied", marks=pytest.mark.contract("SF-247")),
        pytest.param(errors.NotFound("x"), 404, "NotFound", marks=pytest.mark.contract("SF-248")),
        (errors.Gone("x"), 410, "Gone"),
        (errors.Conflict("x"), 409, "Conflict"),
        (errors.TooLarge("x"), 413, "PayloadTooLarge"),
        pytest.param(errors.Invalid("x"), 422, "ValidationError", marks=pytest.mark.contract("SF-249")),
        (errors.Unsupported("x"), 501, "NotSupported"),
        pytest.param(errors.Unavailable("x"), 503, "ServiceUnavailable", marks=pytest.mark.contract("SF-253")),
        (errors.Busy("x"), 503, "Overloaded"),
        (errors.TimedOut("x"), 504, "Timeout"),
        (errors.StorageFull("x"), 507, "StorageFull"),
        (errors.Corrupt("x"), 500, "Corrupt"),
        pytest.param(RuntimeError("x"), 500, "InternalError", marks=pytest.mark.contract("SF-251")),
        (errors.Refused("x"), 400, "BadRequest"),
        (errors.WeftError("x"), 500, "InternalError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_class_of_error_has_its_status_and_its_name(error: Exception, status: int, name: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.error) == (status, name)


def test_a_subclass_nobody_listed_is_answered_like_its_parent() -> None:
    class Taken(errors.Conflict):
        pass

    assert problem_of(Taken("x")).status == 409


@pytest.mark.contract("SF-238", "SF-239", "SF-240", "SF-241", "SF-242", "SF-D36")
def test_the_body_has_the_five_documented_keys() -> None:
    error = errors.Invalid("severity is wrong", field="severity", allowed_values=["low"])
    body = json.loads(error_body_of(error, now_us=1_780_000_000_000_000, correlation="c-1"))
    assert body == {
        "error": "ValidationError",
        "message": "severity is wrong",
        "details": {"field": "severity", "allowed_values": ["low"]},
        "timestamp": "2026-05-28T20:26:40Z",
        "correlation_id": "c-1",
    }


def test_an_error_that_is_not_ours_tells_nothing_of_itself() -> None:
    body = error_body_of(RuntimeError("password=hunter2 at /srv/weft.py"), now_us=0, correlation="c")
    assert b"hunter2" not in body
    assert b"weft.py" not in body


@pytest.mark.parametrize("error", [errors.Unavailable("x", retry_after_s=7), errors.Busy("x", retry_after_s=7)])
def test_what_may_work_later_says_when(error: Exception) -> None:
    assert ("Retry-After", "7") in problem_of(error).headers


def test_who_has_not_said_who_they_are_is_told_how() -> None:
    assert ("WWW-Authenticate", "Bearer") in problem_of(errors.Unauthenticated("x")).headers


@pytest.mark.contract("SF-250", "SF-269", "SF-271", "SF-272", "SF-273")
def test_a_used_up_rate_limit_is_a_429_with_its_numbers_on_top() -> None:
    busy = errors.Busy("Rate limit exceeded.", retry_after_s=60, rate_limit="events", limit=100, remaining=0, reset=99)
    problem = problem_of(busy)
    body = json.loads(error_body(problem, now_us=0, correlation="c"))
    assert (problem.status, body["error"]) == (429, "RateLimitExceeded")
    assert {key: body[key] for key in ("retry_after", "limit", "remaining")} == {
        "retry_after": 60,
        "limit": 100,
        "remaining": 0,
    }
    assert ("X-RateLimit-Reset", "99") in problem.headers


def test_a_code_older_clients_read_stands_beside_our_body_as_detail() -> None:
    problem = problem_of(errors.Malformed("wrong address or password", code="LOGIN_BAD_CREDENTIALS"))
    assert problem.beside == {"detail": "LOGIN_BAD_CREDENTIALS"}


@pytest.mark.parametrize(
    ("detail", "message"),
    [
        ("LOGIN_BAD_CREDENTIALS", "LOGIN_BAD_CREDENTIALS"),
        ({"code": "REGISTER_INVALID_PASSWORD", "reason": "It is too short"}, "It is too short"),
        (None, "Bad Request."),
    ],
)
def test_a_library_s_own_error_gets_our_body_and_keeps_its_detail(detail: object, message: str) -> None:
    problem = problem_of(HTTPException(400, detail=detail))  # pyright: ignore[reportArgumentType]  # as libraries do it
    assert (problem.status, problem.error, problem.message) == (400, "BadRequest", message)
    assert problem.beside == ({"detail": detail} if detail else {})


def test_a_status_nobody_named_does_not_break_the_answer() -> None:
    assert problem_of(HTTPException(418)).error == "I'maTeapot"
    assert problem_of(HTTPException(599)).error == "Error"


def test_an_error_of_ours_inside_the_framework_s_is_answered_as_ours() -> None:
    wrapped = HTTPException(400, detail="There was an error parsing the body")
    wrapped.__cause__ = errors.TooLarge("too big", limit=1)
    assert problem_of(wrapped).status == 413


@pytest.mark.contract("SF-240")
def test_a_wrong_choice_names_the_field_and_what_is_allowed() -> None:
    found = [{"type": "enum", "loc": ("body", "colour"), "msg": "no", "ctx": {"expected": "'red', 'blue' or 'it\\'s'"}}]
    problem = problem_of(RequestValidationError(found))
    assert problem.details["field"] == "colour"
    assert problem.details["allowed_values"] == ["red", "blue", "it's"]


@pytest.mark.contract("SF-D34")
def test_broken_json_is_a_400_and_wrong_values_are_a_422() -> None:
    broken = RequestValidationError([{"type": "json_invalid", "loc": ("body", 1), "msg": "no", "ctx": {"error": "Expecting"}}])
    wrong = RequestValidationError(
        [
            {"type": "missing", "loc": ("body", "a"), "msg": "Field required"},
            {"type": "missing", "loc": ("query", "b"), "msg": "Field required"},
        ]
    )
    assert problem_of(broken).status == 400
    assert problem_of(wrong).status == 422
    assert problem_of(wrong).message == "a: Field required (and 1 more)"
    assert [entry["field"] for entry in problem_of(wrong).details["errors"]] == ["a", "b"]


def test_details_that_json_does_not_know_are_written_as_text() -> None:
    body = error_body_of(errors.NotFound("x", where=ValueError("odd")), now_us=0, correlation="c")
    assert json.loads(body)["details"] == {"where": "odd"}
