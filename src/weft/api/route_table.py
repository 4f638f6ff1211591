"""The framework's routes as data."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from fastapi.routing import iter_route_contexts


class RouteTable:
    """Which methods a path takes, and which template served a request.

    Read at the first question, so routes are added before the first request.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def methods(self, scope: Mapping[str, Any]) -> set[str]:
        """The methods this path takes; empty where there is nothing."""
        path = _route_path(scope)
        return {method for row in self._rows if row.matches(path) for method in row.methods}

    def template(self, scope: Mapping[str, Any]) -> str | None:
        """The template of the route that served this request, None where none did."""
        path = _route_path(scope)
        for row in self._of_endpoint.get(scope.get("endpoint"), ()):
            if row.matches(path):
                return row.template
        return None

    @cached_property
    def _rows(self) -> list["_Row"]:
        rows: list[_Row] = []
        for route in iter_route_contexts(getattr(self._app, "routes", ())):
            regex = getattr(route, "path_regex", None)
            if regex is not None:
                methods = frozenset(route.methods or ())
                rows.append(
                    _Row(regex, route.path or "/", methods, getattr(route, "endpoint", None) or getattr(route, "app", None))
                )
        return rows

    @cached_property
    def _of_endpoint(self) -> dict[Any, list["_Row"]]:
        found: dict[Any, list[_Row]] = {}
        for row in self._rows:
            found.setdefault(row.endpoint, []).append(row)
        return found


class _Row(NamedTuple):
    regex: re.Pattern[str]
    template: str
    methods: frozenset[str]
    endpoint: Any

    def matches(self, path: str) -> bool:
        return self.regex.match(path) is not None


def _route_path(scope: Mapping[str, Any]) -> str:
    return scope["path"].removeprefix(scope.get("root_path", "")) or "/"
