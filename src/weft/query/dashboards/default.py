"""The dashboard that comes with Weft: how busy it is, what this machine does, what fires."""

from typing import Any, Final

from weft.query.dashboards.draft import Draft

DEFAULT_ID: Final = "default"


def _panel(name: str, title: str, kind: str, query: dict[str, Any], position: tuple[int, int, int, int]) -> dict[str, Any]:
    x, y, w, h = position
    return {"id": name, "title": title, "kind": kind, "query": query, "position": {"x": x, "y": y, "w": w, "h": h}}


def _figure(name: str, title: str, x: int) -> dict[str, Any]:
    return _panel(name, title, "stat", {"realtime": {"figure": name}}, (x, 0, 6, 4))


DEFAULT: Final = Draft.model_validate(
    {
        "name": "Overview",
        "description": "How busy it is, what this machine does, and what fires.",
        "shared": True,
        "panels": [
            _figure("events_per_second", "Events a second", 0),
            _figure("active_users", "Active users", 6),
            _figure("error_rate", "Error rate", 12),
            _figure("response_time_avg", "Response time", 18),
            _panel("alerts", "Alerts", "alerts", {"alerts": {"status": ["firing"]}}, (0, 4, 12, 8)),
            _panel(
                "by-type",
                "Events a second by type",
                "series",
                {"continuous": {"name": "events_by_type", "value": "events_per_second"}},
                (12, 4, 12, 8),
            ),
            _panel(
                "processor",
                "Processor of this machine",
                "series",
                {"series": {"type": ["system.metric"], "field": "data.cpu_share"}},
                (0, 12, 12, 8),
            ),
            _panel("newest", "Newest events", "topic", {"topic": {"topic": "events", "rate": "1s"}}, (12, 12, 12, 8)),
        ],
    }
)
