"""The verdict hears of answers that fail, before users write about it."""

import pytest

from weft.api.checks import FAILURES, checks
from weft.api.metrics import Metrics
from weft.core.verdict import Level
from weft.testing.clock import ManualClock


@pytest.mark.parametrize(
    ("fine", "failed", "level"),
    [
        (0, 0, Level.FINE),
        (100, 0, Level.FINE),
        (10, 4, Level.FINE),
        (990, 10, Level.LOOK),
        (991, 9, Level.FINE),
        (40, 10, Level.ACT),
    ],
)
async def test_the_level_follows_the_share_of_failed_answers(fine: int, failed: int, level: Level, clock: ManualClock) -> None:
    metrics = Metrics()
    check = checks(metrics, clock=clock)[FAILURES]
    for _ in range(fine):
        metrics.meter("GET", "/a").observe(404, 0.1)
    for _ in range(failed):
        metrics.meter("GET", "/b").observe(503, 0.1)
    finding = await check()
    assert (finding.code, finding.level) == (FAILURES, level)
    assert (finding.parameters["answers"], finding.parameters["failures"]) == (fine + failed, failed)


async def test_what_is_long_over_does_not_count(clock: ManualClock) -> None:
    metrics = Metrics()
    check = checks(metrics, clock=clock)[FAILURES]
    for _ in range(100):
        metrics.meter("GET", "/b").observe(500, 0.1)
    assert (await check()).level is Level.ACT
    clock.advance(200)
    assert (await check()).level is Level.ACT
    clock.advance(101)
    finding = await check()
    assert (finding.level, finding.parameters["answers"]) == (Level.FINE, 0)


async def test_asking_often_changes_nothing(clock: ManualClock) -> None:
    metrics = Metrics()
    check = checks(metrics, clock=clock)[FAILURES]
    for _ in range(100):
        metrics.meter("GET", "/b").observe(500, 0.1)
    for _ in range(1000):
        assert (await check()).level is Level.ACT
        clock.advance(0.1)
    clock.advance(300)
    assert (await check()).level is Level.FINE
