"""A window of 60 s per key, beginning with its first request; numbers that clients schedule by."""

import pytest

from weft.api.rate_limit import MemoryCounters, RateLimits
from weft.api.settings import ApiSettings, RateLimit
from weft.core.errors import Busy
from weft.core.principal import Principal
from weft.testing.clock import ManualClock

ALICE = Principal(kind="user", id="alice", name="Alice")
BOB = Principal(kind="user", id="bob", name="Bob")
ANYONE = Principal(kind="anonymous", id="anonymous", name="anonymous")


def make(
    clock: ManualClock, limit: int = 3, burst: int = 0, per: tuple[str, ...] = ("ip", "user"), **more: object
) -> RateLimits:
    settings = ApiSettings.model_validate(
        {
            "rate_limits": {"events": RateLimit.model_validate({"requests_per_minute": limit, "per": per})},
            "rate_limit_burst_size": burst,
            **more,
        }
    )
    return RateLimits(settings=settings, clock=clock)


async def remaining(limits: RateLimits, ip: str = "192.0.2.1", who: Principal | None = None) -> int:
    return int(dict(await limits.charge("events", ip, who))[b"x-ratelimit-remaining"])


@pytest.mark.contract("SF-D31", "SF-266", "SF-267", "SF-268")
async def test_remaining_counts_down_and_the_request_after_the_limit_is_refused(clock: ManualClock) -> None:
    limits = make(clock)
    assert [await remaining(limits) for _ in range(3)] == [2, 1, 0]
    clock.advance(18)
    with pytest.raises(Busy) as refused:
        await limits.charge("events", "192.0.2.1", None)
    assert refused.value.retry_after_s == 42
    assert refused.value.message == "Rate limit exceeded. Try again in 42 seconds."
    assert refused.value.details == {"rate_limit": "events", "limit": 3, "remaining": 0, "reset": 1_780_000_060}


@pytest.mark.contract("SF-D31")
async def test_the_window_ends_sixty_seconds_after_its_first_request(clock: ManualClock) -> None:
    limits = make(clock)
    headers = dict(await limits.charge("events", "192.0.2.1", None))
    assert headers[b"x-ratelimit-reset"] == b"1780000060"
    assert headers[b"x-ratelimit-limit"] == b"3"
    clock.advance(59.9)
    assert await remaining(limits) == 1
    clock.advance(0.1)
    assert await remaining(limits) == 2


@pytest.mark.contract("SF-D31")
async def test_a_burst_passes_beyond_the_limit_with_nothing_remaining(clock: ManualClock) -> None:
    limits = make(clock, burst=2)
    assert [await remaining(limits) for _ in range(5)] == [2, 1, 0, 0, 0]
    with pytest.raises(Busy):
        await limits.charge("events", "192.0.2.1", None)


async def test_a_wall_clock_that_jumps_neither_frees_nor_locks_anybody(clock: ManualClock) -> None:
    limits = make(clock)
    await limits.charge("events", "192.0.2.1", None)
    clock.jump(-86_400)
    assert await remaining(limits) == 1
    clock.jump(2 * 86_400)
    assert await remaining(limits) == 0


@pytest.mark.contract("SF-263", "SF-D30")
async def test_events_count_by_address_and_by_user(clock: ManualClock) -> None:
    limits = make(clock)
    await limits.charge("events", "192.0.2.1", ALICE)
    assert await remaining(limits, "192.0.2.2", ALICE) == 1, "the same user from elsewhere is the same user"
    for _ in range(2):
        await limits.charge("events", "192.0.2.1", BOB)
    with pytest.raises(Busy):
        await limits.charge("events", "192.0.2.1", None)


@pytest.mark.contract("SF-264")
async def test_two_users_of_the_dashboard_do_not_take_from_each_other(clock: ManualClock) -> None:
    limits = make(clock, per=("user",))
    for _ in range(3):
        await limits.charge("events", "192.0.2.1", ALICE)
    with pytest.raises(Busy):
        await limits.charge("events", "192.0.2.1", ALICE)
    assert await remaining(limits, "192.0.2.1", BOB) == 2


@pytest.mark.contract("SF-263", "SF-264")
def test_the_documented_limits_are_the_defaults() -> None:
    settings = ApiSettings()
    assert settings.rate_limits["events"] == RateLimit(requests_per_minute=100, per=("ip", "user"))
    assert settings.rate_limits["dashboard"] == RateLimit(requests_per_minute=200, per=("user",))
    assert settings.rate_limit_burst_size == 10


async def test_who_is_nobody_counts_by_address_even_where_users_are_counted(clock: ManualClock) -> None:
    limits = make(clock, per=("user",))
    for _ in range(3):
        await limits.charge("events", "192.0.2.1", ANYONE)
    with pytest.raises(Busy):
        await limits.charge("events", "192.0.2.1", ANYONE)
    assert await remaining(limits, "192.0.2.9", ANYONE) == 2


async def test_a_key_with_its_own_limit_is_not_held_to_the_door_s(clock: ManualClock) -> None:
    limits = make(clock, limit=1)
    device = Principal(kind="api_key", id="device", name="Device", requests_per_minute=5)
    assert [await remaining(limits, who=device) for _ in range(5)] == [4, 3, 2, 1, 0]
    with pytest.raises(Busy) as refused:
        await limits.charge("events", "192.0.2.1", device)
    assert refused.value.details["limit"] == 5


async def test_zero_means_no_limit(clock: ManualClock) -> None:
    trusted = Principal(kind="api_key", id="host", name="Host", requests_per_minute=0)
    limits = make(clock, limit=1)
    assert [await limits.charge("events", "192.0.2.1", trusted) for _ in range(5)] == [()] * 5
    assert [await make(clock, limit=0).charge("events", "192.0.2.1", ALICE) for _ in range(5)] == [()] * 5


@pytest.mark.contract("SF-204")
async def test_limits_can_be_switched_off(clock: ManualClock) -> None:
    limits = make(clock, limit=1, rate_limit_enabled=False)
    assert [await limits.charge("events", "192.0.2.1", ALICE) for _ in range(5)] == [()] * 5
    assert await make(clock).charge("no such limit", "192.0.2.1", ALICE) == ()


async def test_one_ipv6_client_cannot_multiply_itself(clock: ManualClock) -> None:
    limits = make(clock, per=("ip",))
    assert await remaining(limits, "2001:db8:1:2::1") == 2
    assert await remaining(limits, "2001:db8:1:2:ffff::9") == 1
    assert await remaining(limits, "2001:db8:1:3::1") == 2
    assert await remaining(limits, "2001:db8::1") == 2


async def test_a_million_addresses_take_bounded_memory(clock: ManualClock) -> None:
    counters = MemoryCounters(clock, max_keys=100)
    await counters.hit(["first"])
    for number in range(1000):
        await counters.hit([f"key-{number}"])
    assert len(counters) == 100
    [window] = await counters.hit(["key-999"])
    assert window.count == 2, "the newest keys are still counted"
    [window] = await counters.hit(["first"])
    assert window.count == 1, "the oldest was forgotten"


async def test_windows_that_ended_are_forgotten(clock: ManualClock) -> None:
    counters = MemoryCounters(clock, max_keys=100)
    for number in range(50):
        await counters.hit([f"key-{number}"])
    clock.advance(60)
    await counters.hit(["one more"])
    assert len(counters) == 1
