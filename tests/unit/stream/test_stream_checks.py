"""The verdict tells when queries fall behind, when event time stands still, and when state does not fit."""

from weft.api.metrics import Metrics
from weft.core.verdict import Finding, Level
from weft.stream.checks import LAG, RUNNING, STATE, WATERMARK, stream_checks
from weft.stream.lineup import Outcome
from weft.stream.settings import StreamSettings
from weft.stream.state import Figure
from weft.stream.tally import Tally
from weft.testing.clock import ManualClock

NOTHING = Outcome(results=(), late=(), refused=0)


class Verdict:
    """The checks over a tally and a clock that a test can turn."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tally = Tally(Metrics())
        self.figure = Figure(name="counts", version=1, watermark_us=1)
        self.tally.saved("events", 1_000, {"counts@1": self.figure})
        self._checks = stream_checks(self.tally, self.clock, StreamSettings(stalled_s=60, state_limit_bytes=10_000))

    async def look(self, code: str) -> Finding:
        return await self._checks[code]()


async def test_all_is_fine_while_queries_keep_up() -> None:
    verdict = Verdict()

    assert [(await verdict.look(code)).level for code in (RUNNING, LAG, WATERMARK, STATE)] == [Level.FINE] * 4


async def test_a_topic_or_a_query_that_cannot_be_computed_asks_to_act() -> None:
    verdict = Verdict()
    verdict.figure.failure = "no such aggregate"
    assert (await verdict.look(RUNNING)).why == "The query 'counts' cannot be computed: no such aggregate"

    verdict.tally.failures["events"] = "the database is away"
    finding = await verdict.look(RUNNING)
    assert (finding.level, finding.parameters) == (Level.ACT, {"topic": "events"})


async def test_falling_back_further_is_told_and_catching_up_is_not() -> None:
    verdict = Verdict()
    levels: list[Level] = []
    for behind in (200_000, 300_000, 250_000):
        verdict.tally.lag = {"events": behind}
        levels.append((await verdict.look(LAG)).level)

    assert levels == [Level.FINE, Level.LOOK, Level.FINE]


async def test_time_that_stands_still_while_events_arrive_is_told() -> None:
    verdict = Verdict()
    await verdict.look(WATERMARK)
    verdict.clock.advance(120)
    assert (await verdict.look(WATERMARK)).level is Level.FINE, "nothing arrives, so nothing has to move"

    verdict.tally.count("events", 5, NOTHING)
    finding = await verdict.look(WATERMARK)
    assert (finding.level, finding.parameters) == (Level.LOOK, {"topic": "events", "stalled_s": 120.0})

    verdict.figure.watermark_us = 2
    assert (await verdict.look(WATERMARK)).level is Level.FINE


async def test_state_that_nearly_fills_its_limit_is_told_and_what_was_refused_asks_to_act() -> None:
    verdict = Verdict()
    verdict.tally.saved("events", 8_500, {"counts@1": verdict.figure})
    assert (await verdict.look(STATE)).level is Level.LOOK

    verdict.figure.refused_total = 7
    finding = await verdict.look(STATE)
    assert (finding.level, finding.parameters["refused"]) == (Level.ACT, 7)
