"""The verdict on the intake: silence and floods are seen, quiet laboratories are left alone."""

import pytest

from weft.core.verdict import Level
from weft.ingest.checks import HOST_SOURCE, RATE, REJECTED, ingest_checks, rate_finding, rejected_finding
from weft.ingest.history import IntakeHistory
from weft.testing.clock import ManualClock


def pass_minutes(history: IntakeHistory, clock: ManualClock, minutes: int, per_minute: int) -> None:
    for _ in range(minutes):
        if per_minute:
            history.count("accepted", per_minute)
        clock.advance(60)


async def test_a_source_that_fell_silent_is_seen(clock: ManualClock) -> None:
    history = IntakeHistory(clock)
    check = ingest_checks(history)[RATE]
    assert (await check()).level is Level.UNKNOWN
    pass_minutes(history, clock, 40, 1000)
    finding = await check()
    assert finding.level is Level.FINE
    assert finding.parameters == {"recent_events_per_minute": 1000.0, "usual_events_per_minute": 1000}
    pass_minutes(history, clock, 6, 100)
    assert (await check()).level is Level.LOOK
    pass_minutes(history, clock, 60, 100)
    assert (await check()).level is Level.FINE


async def test_a_flood_is_seen(clock: ManualClock) -> None:
    history = IntakeHistory(clock)
    pass_minutes(history, clock, 30, 100)
    pass_minutes(history, clock, 6, 1000)
    finding = await ingest_checks(history)[RATE]()
    assert finding.level is Level.LOOK
    assert "in a loop" in finding.why


def test_a_quiet_place_raises_no_alarm() -> None:
    assert rate_finding(0.0, 5.0).level is Level.FINE
    assert rate_finding(7.0, None).level is Level.FINE
    assert rate_finding(None, None).level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("taken", "rejected", "refused", "level"),
    [
        (0, 0, 0, Level.FINE),
        (10_000, 0, 0, Level.FINE),
        (10_000, 50, 0, Level.FINE),
        (1_000, 50, 0, Level.LOOK),
        (10, 90, 0, Level.ACT),
        (0, 5, 0, Level.FINE),
        (10_000, 0, 3, Level.LOOK),
        (100, 0, 3, Level.ACT),
    ],
)
def test_the_share_of_rejected_events_decides(taken: int, rejected: int, refused: int, level: Level) -> None:
    finding = rejected_finding(taken=taken, rejected=rejected, refused=refused)
    assert (finding.code, finding.level) == (REJECTED, level)
    assert finding.parameters["taken"] == taken


def test_counts_are_forgotten_after_a_day(clock: ManualClock) -> None:
    history = IntakeHistory(clock)
    history.count("rejected", 3)
    clock.advance(16 * 60)
    assert history.total("rejected", 15) == 0
    assert history.total("rejected", 17) == 3
    pass_minutes(history, clock, 3000, 1)
    assert history.total("rejected", 10_000) == 0
    assert HOST_SOURCE not in ingest_checks(history)
