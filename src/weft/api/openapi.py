"""The OpenAPI document: the framework's, with the hot routes, the error body and the ways to sign in merged in."""

import copy
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final, cast

import msgspec
from fastapi import FastAPI

from weft.api.hot import HotRoute

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")

ERROR_SCHEMA: Final[dict[str, Any]] = {
    "title": "Error",
    "description": "What every answer of 400 and above says.",
    "type": "object",
    "required": ["error", "message", "details", "timestamp", "correlation_id"],
    "properties": {
        "error": {"type": "string", "description": "Stable name of the kind of error.", "examples": ["ValidationError"]},
        "message": {"type": "string", "description": "A sentence for people: what is wrong and what to do next."},
        "details": {
            "type": "object",
            "description": "What a program can act on, such as `field` and `allowed_values`.",
            "additionalProperties": True,
        },
        "timestamp": {"type": "string", "format": "date-time"},
        "correlation_id": {"type": "string", "description": "The same id stands in this request's log lines."},
        "detail": {"description": "The framework's own word for it, where older clients read that."},
        "retry_after": {"type": "integer", "description": "Seconds to wait; with 429 only."},
        "limit": {"type": "integer", "description": "Requests a minute; with 429 only."},
        "remaining": {"type": "integer", "description": "0; with 429 only."},
    },
}

SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token from a login, or an API key, as `Authorization: Bearer …`.",
    },
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key of a device or program."},
}

_ERROR_REFERENCE: Final = {"$ref": "#/components/schemas/Error"}
_USUAL: Final = {
    "400": "Not readable, or parameters that contradict each other.",
    "401": "Who are you?",
    "403": "Known, but not permitted.",
    "413": "Over a stated limit.",
    "422": "Readable, but a value is wrong; `details` says which.",
    "429": "Too many requests; `Retry-After` says when to come again.",
    "503": "Something we need is away; `Retry-After` says when to come again.",
}


class OpenApi:
    """Makes the document of an application once and keeps it."""

    def __init__(self, app: FastAPI, hot_routes: Iterable[HotRoute] = ()) -> None:
        self._app = app
        self._hot_routes = tuple(hot_routes)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole document."""
        document = copy.deepcopy(self._app.openapi())
        paths: dict[str, Any] = document.setdefault("paths", {})
        for route in self._hot_routes:
            paths.setdefault(route.path, {})[route.method.lower()] = _hot_operation(route)
        components: dict[str, Any] = document.setdefault("components", {})
        schemas: dict[str, Any] = components.setdefault("schemas", {})
        schemas["Error"] = ERROR_SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        components.setdefault("securitySchemes", {}).update(SECURITY_SCHEMES)
        for item in paths.values():
            for method in _METHODS:
                if method in item:
                    _document_errors(item[method])
        return document

    @cached_property
    def encoded(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(self.document)


def _hot_operation(route: HotRoute) -> dict[str, Any]:
    operation = copy.deepcopy(route.operation)
    operation.setdefault("security", [{"bearer": []}, {"api_key": []}])
    operation.setdefault("x-scope", route.scope.value)
    responses: dict[str, Any] = operation.setdefault("responses", {})
    for status, description in _USUAL.items():
        responses.setdefault(status, {"description": description})
    return operation


def _document_errors(operation: dict[str, Any]) -> None:
    """Every error an operation names has our body; one that names none of them still may answer with it."""
    responses = cast("dict[str, Any]", operation.setdefault("responses", {}))
    for status, response in responses.items():
        if status.startswith(("4", "5")) and "$ref" not in response:
            response["content"] = {"application/json": {"schema": _ERROR_REFERENCE}}
            response.setdefault("description", _USUAL.get(status, "An error."))
    responses.setdefault(
        "default", {"description": "Any error.", "content": {"application/json": {"schema": _ERROR_REFERENCE}}}
    )
