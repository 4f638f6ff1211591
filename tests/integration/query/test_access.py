"""Who may ask, how often, and what happens when the answer does not come in time."""

import asyncio
from typing import Any

import pytest

from weft.core.event import Event
from weft.query.settings import QuerySettings
from weft.store.parquet import ParquetStore

ROUTES = [
    "/events",
    "/events/aggregations",
    "/events/x",
    "/metrics/realtime",
    "/metrics/historical",
    "/api/v1/series?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&field=data.x",
    "/api/v1/topics",
    "/api/v1/topics/events",
    "/api/v1/topics/events/events",
    "/api/v1/topics/events/stream",
    "/api/v1/live/events",
    "/api/v1/dashboards",
    "/api/v1/dashboards/default",
    "/api/v1/dashboards/default/export",
    "/api/v1/verdict",
    "/api/v1/conservation",
    "/api/v1/dead-letters",
]


@pytest.mark.contract("SF-258", "SF-246", "SF-247", "SF-261")
async def test_every_question_needs_to_know_who_asks(lab: Any) -> None:
    await lab.take(1)
    for path in ROUTES:
        answer = await lab.stranger.get(path)
        assert (answer.status_code, answer.json()["error"]) == (401, "AuthenticationError"), path
    for path in ("/api/v1/erasures", "/api/v1/dead-letters/replay"):
        assert (await lab.stranger.post(path, json={"source": "a"})).status_code == 401
        assert (await lab.client.post(path, json={"source": "a"})).status_code == 403


@pytest.mark.contract("SF-264", "SF-266", "SF-267", "SF-268", "SF-D30")
async def test_the_dashboard_limit_counts_each_caller_by_itself(open_lab: Any) -> None:
    async with open_lab(rate_limits=True) as lab:
        answers = [await lab.client.get("/api/v1/topics") for _ in range(211)]

        assert answers[0].headers["x-ratelimit-limit"] == "200"
        assert answers[0].headers["x-ratelimit-remaining"] == "199"
        assert [answer.status_code for answer in answers] == [200] * 210 + [429]
        assert answers[-1].json()["error"] == "RateLimitExceeded"
        assert (await lab.client.get("/metrics/realtime")).status_code == 429, "one limit for the whole dashboard"
        assert (await lab.admin.get("/api/v1/topics")).status_code == 200


async def test_every_answer_is_described(lab: Any) -> None:
    paths = lab.app.openapi()["paths"]

    for path, operations in paths.items():
        for method, operation in operations.items():
            good = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
            assert good, (method, path)
            for status, response in good.items():
                shapes = [kind["schema"] for kind in response.get("content", {}).values()]
                assert all(shapes), (method, path)
                assert shapes or status == "204", (method, path)
            assert operation["summary"], (method, path)
            for parameter in operation.get("parameters", []):
                assert parameter.get("description") or parameter["schema"].get("description"), (path, parameter["name"])
    listed = {parameter["name"] for parameter in paths["/events"]["get"]["parameters"]}
    assert {"start", "end", "type", "page", "limit", "cursor", "order", "source", "severity"} <= listed
    page = paths["/events"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    pagination = page["properties"]["pagination"]["properties"]
    assert {"page", "page_size", "total", "pages", "has_next", "has_prev"} <= set(pagination)


class SlowStore(ParquetStore):
    """A store whose lookups by id wait until they are let go."""

    async def get(self, event_id: str, *, source: str | None = None) -> Event | None:
        await asyncio.Event().wait()
        raise AssertionError("never let go")


async def test_a_question_that_takes_too_long_is_answered_with_504_and_a_crowd_with_503(open_lab: Any) -> None:
    async with open_lab(store_class=SlowStore, timeout_s=0.5, max_concurrent=2, max_waiting=1) as lab:
        answers = await asyncio.gather(*(lab.client.get("/events/x") for _ in range(5)))

        errors = sorted((answer.status_code, answer.json()["error"]) for answer in answers)
        assert errors == [(503, "Overloaded")] * 2 + [(504, "Timeout")] * 3
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert await lab.get("/api/v1/topics") == {"data": []}, "the places are free again"


def test_no_setting_is_without_words() -> None:
    assert [name for name, field in QuerySettings.model_fields.items() if not field.description] == []
