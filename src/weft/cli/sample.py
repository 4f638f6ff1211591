"""Made-up data that fits an event type, for `weft send-event` without --data."""

from typing import Any, Final

_DATA: Final[dict[str, dict[str, Any]]] = {
    "web.click": {"page": "/products", "element": "button"},
    "web.pageview": {"page": "/products"},
    "api.request": {"endpoint": "/products", "method": "GET"},
    "api.response": {"endpoint": "/products", "method": "GET", "status_code": 200, "response_time": 0.05},
    "user.login": {"method": "password"},
    "user.activity": {"action": "search"},
    "error": {"message": "made up by weft send-event"},
    "metric": {"name": "sample", "value": 1.0},
    "system.metric": {"cpu_share": 0.1},
    "system.warning": {"message": "made up by weft send-event"},
    "system.deployment": {"version": "1.0.0"},
}


def sample_data(event_type: str, number: int) -> dict[str, Any]:
    """Data for the `number`th event of a type, which it carries so that they differ."""
    return {**_DATA.get(event_type, {}), "number": number}
