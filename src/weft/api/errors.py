"""From an error to an answer: the one table of status codes, and the one body every error has.

Body: `{error, message, details, timestamp, correlation_id}` and, where a seed's client reads it, FastAPI's `detail` beside
them.
"""

import logging
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from weft.api.correlation import correlation_id
from weft.api.route_table import RouteTable
from weft.core import errors, times
from weft.core.clock import Clock

logger = logging.getLogger(__name__)

JSON: Final = "application/json"
INTERNAL: Final = "Something went wrong on our side; the log has the details under this correlation id."

# Nearest class first in an error's family wins, so subclasses need no line of their own.
STATUS_OF: Final[dict[type[errors.WeftError], tuple[int, str]]] = {
    errors.Malformed: (400, "BadRequest"),
    errors.Invalid: (422, "ValidationError"),
    errors.Unauthenticated: (401, "AuthenticationError"),
    errors.NotAllowed: (403, "PermissionDenied"),
    errors.NotFound: (404, "NotFound"),
    errors.Gone: (410, "Gone"),
    errors.Conflict: (409, "Conflict"),
    errors.TooLarge: (413, "PayloadTooLarge"),
    errors.Unsupported: (501, "NotSupported"),
    errors.TimedOut: (504, "Timeout"),
    errors.StorageFull: (507, "StorageFull"),
    errors.Unavailable: (503, "ServiceUnavailable"),
    errors.Busy: (503, "Overloaded"),
    errors.Corrupt: (500, "Corrupt"),
    errors.Refused: (400, "BadRequest"),
}

# What the framework itself may answer with.
_NAME_OF: Final = {
    400: "BadRequest",
    401: "AuthenticationError",
    403: "PermissionDenied",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    408: "RequestTimeout",
    409: "Conflict",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    422: "ValidationError",
    429: "RateLimitExceeded",
    500: "InternalError",
    501: "NotSupported",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "Timeout",
}

_UNAUTHORIZED: Final = "Unauthorized"
"""FastAPI-users' word where nobody is signed in; StreamWeave's clients read it."""

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as it goes over the wire. `beside` are further keys of the body, such as `detail` and `retry_after`."""

    status: int
    error: str
    message: str
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: tuple[tuple[str, str], ...] = ()
    beside: dict[str, Any] = field(default_factory=dict[str, Any])


def problem_of(error: Exception) -> Problem:
    """What to answer for an error. Anything that is not ours is an InternalError that tells nothing."""
    if isinstance(error, errors.WeftError):
        return _problem_of_ours(error)
    if isinstance(error, RequestValidationError):
        return _problem_of_validation(cast("list[dict[str, Any]]", error.errors()))
    if isinstance(error, HTTPException):
        cause = error.__cause__  # FastAPI wraps what goes wrong while a body is read
        return _problem_of_ours(cause) if isinstance(cause, errors.WeftError) else _problem_of_http(error)
    return Problem(status=500, error="InternalError", message=INTERNAL)


def error_body(problem: Problem, *, now_us: int, correlation: str) -> bytes:
    """The JSON body of an answer."""
    body = {
        "error": problem.error,
        "message": problem.message,
        "details": problem.details,
        "timestamp": times.to_text(now_us),
        "correlation_id": correlation,
        **problem.beside,
    }
    return msgspec.json.encode(body, enc_hook=str)


def error_body_of(error: Exception, *, now_us: int, correlation: str) -> bytes:
    """The JSON body for an error, where only the body is wanted (a WebSocket frame, a batch's list of errors)."""
    return error_body(problem_of(error), now_us=now_us, correlation=correlation)


def add_error_handlers(app: FastAPI, clock: Clock) -> None:
    """Make a FastAPI application answer every error, unknown paths and methods included, with our body."""
    table = RouteTable(app)

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # The framework names the methods of one route; the path may have more of them.
            error = HTTPException(405, headers={"Allow": ", ".join(sorted(table.methods(request.scope)))})
        problem = problem_of(error)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("request_failed", exc_info=error, extra={"path": request.url.path, "method": request.method})
        body = error_body(problem, now_us=clock.now_us(), correlation=correlation_id())
        return Response(body, problem.status, dict(problem.headers), JSON)

    for family in (errors.WeftError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(family, answer)


def _problem_of_ours(error: errors.WeftError) -> Problem:
    status, name = _status_of(error)
    details = dict(error.details)
    headers: list[tuple[str, str]] = []
    beside: dict[str, Any] = {}
    if isinstance(error, errors.Unauthenticated):
        headers.append(("WWW-Authenticate", "Bearer"))
    if isinstance(error, errors.Unavailable | errors.Busy):
        headers.append(("Retry-After", str(error.retry_after_s)))
    if isinstance(error, errors.Busy) and "rate_limit" in details:
        status, name = 429, "RateLimitExceeded"
        beside = {"retry_after": error.retry_after_s, "limit": details["limit"], "remaining": 0}
        headers.append(("X-RateLimit-Limit", str(details["limit"])))
        headers.append(("X-RateLimit-Remaining", "0"))
        headers.append(("X-RateLimit-Reset", str(details["reset"])))
    if isinstance(error, errors.Unauthenticated):
        beside["detail"] = _UNAUTHORIZED
    if "code" in details:
        beside["detail"] = details["code"]
    return Problem(status=status, error=name, message=error.message, details=details, headers=tuple(headers), beside=beside)


def _status_of(error: errors.WeftError) -> tuple[int, str]:
    listed = (STATUS_OF[family] for family in type(error).__mro__ if family in STATUS_OF)
    return next(listed, (500, "InternalError"))


def _problem_of_http(error: HTTPException) -> Problem:
    status = error.status_code
    detail: Any = error.detail
    phrase = _PHRASES.get(status, "Error")
    details: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    message = f"{phrase}."
    if isinstance(detail, dict):
        details = dict(cast("dict[str, Any]", detail))
        message = str(details.get("reason") or details.get("message") or details.get("code") or message)
        beside = {"detail": details}
    elif detail and detail != phrase:
        message = str(detail)
        beside = {"detail": detail}
    headers = tuple((name, value) for name, value in (error.headers or {}).items())
    if status == HTTPStatus.NOT_FOUND and not beside:
        message = "There is nothing at this path; /docs lists what there is."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = [method.strip() for name, value in headers if name.lower() == "allow" for method in value.split(",")]
        details = {"allowed_methods": allowed}
        message = f"This path does not take that method; it takes {', '.join(allowed) or 'others'}."
    return Problem(
        status=status, error=_NAME_OF.get(status, phrase.replace(" ", "")), message=message, details=details, headers=headers,
        beside=beside,
    )  # fmt: skip


def _problem_of_validation(found: list[dict[str, Any]]) -> Problem:
    if any(entry["type"] == "json_invalid" for entry in found):
        reason = next(entry.get("ctx", {}).get("error", entry["msg"]) for entry in found if entry["type"] == "json_invalid")
        return Problem(status=400, error="BadRequest", message=f"The body is not JSON: {reason}.", details={"field": "body"})
    listed = [_field_error(entry) for entry in found]
    first = listed[0] if listed else {"field": "body", "reason": "is wrong"}
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return Problem(
        status=422,
        error="ValidationError",
        message=f"{first['field']}: {first['reason']}{more}",
        details={**first, "errors": listed},
    )


def _field_error(entry: dict[str, Any]) -> dict[str, Any]:
    location = [str(part) for part in entry["loc"]]
    inside = location[1:] if location and location[0] in {"body", "query", "path", "header", "cookie"} else location
    told: dict[str, Any] = {"field": ".".join(inside) or (location[0] if location else "body"), "reason": entry["msg"]}
    if entry["type"] in {"enum", "literal_error"}:
        told["allowed_values"] = [text.replace("\\'", "'") for text in _QUOTED.findall(str(entry["ctx"]["expected"]))]
    return told
