"""Health looks; a load balancer and a person decide by it."""

import asyncio

import pytest

from weft.api.health import HealthRegister
from weft.core.errors import Unavailable
from weft.testing.clock import ManualClock


async def fine() -> None:
    pass


async def away() -> None:
    raise Unavailable("the database does not answer at localhost:5432")


async def broken() -> None:
    raise KeyError("password=hunter2")


async def stuck() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def health(clock: ManualClock) -> HealthRegister:
    return HealthRegister(service="ingestion", version="0.1.0", clock=clock, timeout_s=0.05)


@pytest.mark.contract("SF-38", "SF-39", "SF-40", "SF-41", "SF-42", "SF-43", "SF-44")
async def test_the_documented_shape(health: HealthRegister, clock: ManualClock) -> None:
    health.add("database", fine)
    health.add("message_broker", fine)
    health.add_count("websocket_connections", lambda: 4)
    clock.advance(1.5)
    assert await health.look() == (
        200,
        {
            "status": "healthy",
            "service": "ingestion",
            "version": "0.1.0",
            "timestamp": "2026-05-28T20:26:41.500000Z",
            "uptime": 1.5,
            "checks": {"database": {"status": "healthy"}, "message_broker": {"status": "healthy"}, "websocket_connections": 4},
        },
    )


@pytest.mark.contract("SF-38", "SF-42", "SF-46", "SF-D37")
async def test_without_what_it_needs_a_process_is_unhealthy_and_says_so_by_status(health: HealthRegister) -> None:
    health.add("database", away)
    health.add("message_broker", fine)
    status, body = await health.look()
    assert (status, body["status"]) == (503, "unhealthy")
    assert body["checks"]["database"] == {"status": "unhealthy", "message": "the database does not answer at localhost:5432"}
    assert body["checks"]["message_broker"] == {"status": "healthy"}


@pytest.mark.contract("SF-38", "SF-D37")
async def test_without_something_else_it_is_degraded_and_goes_on(health: HealthRegister) -> None:
    health.add("cache", away, needed=False)
    status, body = await health.look()
    assert (status, body["status"], body["checks"]["cache"]["status"]) == (200, "degraded", "degraded")


async def test_a_probe_that_hangs_is_not_waited_for(health: HealthRegister) -> None:
    health.add("database", stuck)
    health.add("message_broker", stuck)
    async with asyncio.timeout(1):
        status, body = await health.look()
    assert status == 503
    assert body["checks"]["database"]["message"] == "no answer within 0.05 s"


async def test_what_a_probe_stumbles_over_is_named_without_its_text(health: HealthRegister) -> None:
    health.add("database", broken)
    _, body = await health.look()
    assert body["checks"]["database"]["message"] == "the probe failed: KeyError"


@pytest.mark.contract("SF-45", "SF-D37")
async def test_ready_only_between_the_start_and_the_draining(health: HealthRegister) -> None:
    health.add("database", fine)
    assert (await health.ready())[0] == 503
    health.started()
    assert (await health.ready())[0] == 200
    health.draining()
    assert (await health.ready())[0] == 503
    assert (await health.look())[0] == 200, "a process that drains is still healthy"


@pytest.mark.contract("SF-45")
async def test_not_ready_without_what_it_needs(health: HealthRegister) -> None:
    health.started()
    health.add("database", away)
    status, body = await health.ready()
    assert (status, body["ready"]) == (503, False)


def test_two_probes_do_not_share_a_name(health: HealthRegister) -> None:
    health.add("database", fine)
    with pytest.raises(ValueError, match="database"):
        health.add("database", fine)
