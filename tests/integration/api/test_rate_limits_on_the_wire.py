"""A client that is over its limit is told so in numbers it can schedule by."""

from typing import Any

import pytest

from weft.api.settings import RateLimit

SIGNED_IN = {"Authorization": "Bearer alice"}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {
        "rate_limits": {
            "events": RateLimit(requests_per_minute=3, per=("ip", "user")),
            "dashboard": RateLimit(requests_per_minute=2, per=("user",)),
        },
        "rate_limit_burst_size": 1,
    }


@pytest.mark.contract(
    "SF-250", "SF-263", "SF-266", "SF-267", "SF-268", "SF-269", "SF-270", "SF-271", "SF-272", "SF-273", "SF-D31", "SF-D32"
)
async def test_a_hot_route_counts_down_and_then_refuses(start: Any, limits: dict[str, Any]) -> None:
    async with start(**limits) as site:
        seen = [await site.http.post("/hot", content=b"x", headers=SIGNED_IN) for _ in range(4)]
        assert [answer.status_code for answer in seen] == [201] * 4
        assert [answer.headers["x-ratelimit-remaining"] for answer in seen] == ["2", "1", "0", "0"]
        assert {answer.headers["x-ratelimit-limit"] for answer in seen} == {"3"}
        assert {answer.headers["x-ratelimit-reset"] for answer in seen} == {"1780000060"}
        site.clock.advance(20)
        refused = await site.http.post("/hot", content=b"x", headers=SIGNED_IN)
        body = refused.json()
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "40"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["x-ratelimit-reset"] == "1780000060"
        assert body["error"] == "RateLimitExceeded"
        assert body["message"] == "Rate limit exceeded. Try again in 40 seconds."
        assert (body["retry_after"], body["limit"], body["remaining"]) == (40, 3, 0)
        assert {"details", "timestamp", "correlation_id"} <= set(body)
        site.clock.advance(40)
        assert (await site.http.post("/hot", content=b"x", headers=SIGNED_IN)).status_code == 201


@pytest.mark.contract("SF-264", "SF-266")
async def test_a_framework_route_counts_by_user(start: Any, limits: dict[str, Any]) -> None:
    async with start(**limits) as site:
        seen = [await site.http.get("/limited", headers=SIGNED_IN) for _ in range(4)]
        assert [answer.status_code for answer in seen] == [200, 200, 200, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in seen] == ["1", "0", "0", "0"]
        assert seen[3].json()["error"] == "RateLimitExceeded"
        assert (await site.http.get("/limited", headers={"Authorization": "Bearer bob"})).status_code == 200


async def test_a_key_s_own_limit_is_in_force_on_the_wire(start: Any, limits: dict[str, Any]) -> None:
    async with start(**{**limits, "rate_limit_burst_size": 0}) as site:
        seen = [await site.http.post("/hot", content=b"x", headers={"Authorization": "Bearer fast"}) for _ in range(4)]
        assert [answer.status_code for answer in seen] == [201, 201, 201, 429]


async def test_clients_behind_a_trusted_proxy_are_counted_apart(start: Any, limits: dict[str, Any]) -> None:
    async with start(**limits, trusted_proxies=("127.0.0.1",), anonymous=True) as site:
        for number in range(6):
            answer = await site.http.post("/hot", content=b"x", headers={"X-Forwarded-For": f"198.51.100.{number}"})
            assert answer.status_code == 201
            assert answer.json()["ip"] == f"198.51.100.{number}"


@pytest.mark.contract("SF-D33")
async def test_nobody_gets_another_s_limit_by_naming_an_address(start: Any, limits: dict[str, Any]) -> None:
    async with start(**limits, anonymous=True) as site:
        seen = [
            (await site.http.post("/hot", content=b"x", headers={"X-Forwarded-For": f"198.51.100.{number}"})).status_code
            for number in range(5)
        ]
        assert seen == [201] * 4 + [429]


@pytest.mark.contract("SF-204")
async def test_switched_off_means_no_limit_and_no_headers(start: Any, limits: dict[str, Any]) -> None:
    async with start(**limits, rate_limit_enabled=False) as site:
        for _ in range(10):
            answer = await site.http.post("/hot", content=b"x", headers=SIGNED_IN)
            assert answer.status_code == 201
            assert "x-ratelimit-limit" not in answer.headers
