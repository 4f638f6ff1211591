"""Two processes that take events in, with one Redis: one set of limits, one word on who may come in, and no harm without it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.fixtures import run_server
from tests.services.install import REDIS
from tests.services.redis import RedisServer
from tests.system.deployment import Process, wait_until

LIMIT = 30
EVENT = {"type": "web.click", "source": "rig", "data": {"element": "button"}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    yield from run_server(RedisServer(tmp_path / "redis"), REDIS)  # pyright: ignore[reportReturnType]


@pytest.fixture
def doors(server: RedisServer, tmp_path: Path) -> Iterator[list[Process]]:
    settings = {
        "WEFT_API__RATE_LIMIT_ENABLED": "true",
        "WEFT_API__RATE_LIMITS__EVENTS__REQUESTS_PER_MINUTE": str(LIMIT),
        "WEFT_API__RATE_LIMIT_BURST_SIZE": "0",
        "WEFT_AUTH__CACHE_S": "30",
        "WEFT_CACHE__URL": server.url,
        "WEFT_CACHE__TIMEOUT_S": "2",
        "WEFT_CACHE__RETRY_S": "0.1",
    }
    started: list[Process] = []
    try:
        for _ in range(2):
            started.append(Process(tmp_path, "--service", "ingestion", environment=settings))
            started[-1].url()
        yield started
    finally:
        for process in started:
            process.kill()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10, trust_env=False) as client:
        yield client


@pytest.mark.contract("SF-6", "SF-14", "SF-17", "HC-354")
def test_limits_and_revocations_hold_for_both_and_losing_redis_costs_no_request(
    doors: list[Process], server: RedisServer, http: httpx.Client
) -> None:
    one, other = doors

    def post(process: Process, headers: dict[str, str] | None = None) -> int:
        return http.post(f"{process.url()}/events", json=EVENT, headers=headers).status_code

    def health(process: Process) -> dict[str, str]:
        answer = http.get(f"{process.url()}/health")
        assert answer.status_code == 200, "a cache that is away is no reason to take a process out of service"
        return {"status": answer.json()["status"], "redis": answer.json()["checks"]["redis"]["status"]}

    answers = [post(process) for _ in range(LIMIT) for process in doors]
    assert (answers.count(201), answers.count(429)) == (LIMIT, LIMIT)

    with one.client() as client:
        asked = {"name": "rig", "scopes": ["events:write"], "requests_per_minute": 0}
        made = client.post("/api/v1/api-keys", json=asked)
        assert made.status_code == 201, made.text
        key = {"X-API-Key": made.json()["key"]}
        assert [post(process, key) for process in doors] == [201, 201]
        assert client.delete(f"/api/v1/api-keys/{made.json()['id']}").status_code == 204
        assert post(one, key) == 401
        wait_until(lambda: post(other, key) == 401 or None, "the other process went on trusting a revoked key", within_s=10)
        assert health(one) == health(other) == {"status": "healthy", "redis": "healthy"}

        server.kill()
        assert {post(process) for process in doors for _ in range(5)} == {429}, "both know that the limit is used up"
        assert {health(process)["redis"] for process in doors} == {"degraded"}
        assert all("weft_cache_up 0.0" in http.get(f"{process.url()}/metrics").text for process in doors)
        findings = {finding["code"]: finding for finding in client.get("/api/v1/verdict").json()["findings"]}
        assert findings["cache.answers"]["level"] == "look"
        assert findings["auth.revocations"]["level"] == "look"

        server.start()
        back = {"status": "healthy", "redis": "healthy"}
        for process in doors:
            wait_until(lambda process=process: health(process) == back or None, "the cache was not used again", within_s=20)
        assert {post(process) for process in doors} == {429}
    assert [process.stop() for process in doors] == [0, 0]
