"""Routes that try rules out: tests with events of their own, history, and two rules side by side. Nobody is told."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from weft.alerts.backtest import Backtest
from weft.alerts.difference import compare
from weft.alerts.rule import RuleDefinition
from weft.alerts.rule_test import read_tests, run_test
from weft.alerts.trials import RuleTrials, rule_trials
from weft.auth.signature import AlertReader
from weft.core import times
from weft.core.errors import Busy, WeftError
from weft.stream.history import Origin, Stretch

router = APIRouter(tags=["rules"])

NDJSON: Final = "application/x-ndjson"
_LINES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The lines.", "content": {NDJSON: {"schema": {"type": "string"}}}}
}
Trials = Annotated[RuleTrials, Depends(rule_trials)]
Moment = Annotated[str | None, Field(default=None, max_length=64, description="ISO 8601 with an offset.")]


class TestBody(BaseModel):
    """Rules, and tests of them."""

    model_config = ConfigDict(extra="forbid")

    rules: list[RuleDefinition] = Field(min_length=1, max_length=1_000)
    tests: list[dict[str, Any]] = Field(min_length=1, max_length=100, description="As in a file for `weft rules test`.")


class TestRead(BaseModel):
    """How the tests went."""

    passed: bool
    tests: list[dict[str, Any]]


class Past(BaseModel):
    """Which part of history."""

    model_config = ConfigDict(extra="forbid")

    start: Moment
    end: Moment
    origin: Origin = Field(default="store", description="`store`: all that is kept; `log`: what the log still holds.")

    def stretch(self) -> Stretch:
        """As the stream understands it. Raises Invalid."""
        return Stretch(
            start_us=None if self.start is None else times.parse(self.start, field="start"),
            end_us=None if self.end is None else times.parse(self.end, field="end"),
        )


class BacktestBody(Past):
    """A rule, and which part of history to judge."""

    rule: RuleDefinition


class DifferenceBody(Past):
    """Two rules, and which part of history both judge."""

    before: RuleDefinition
    after: RuleDefinition


@router.post("/api/v1/rules/test", summary="Test rules with events of their own")
async def test_rules(body: TestBody, trials: Trials, principal: AlertReader) -> TestRead:
    """Events in, expected alerts out, in event time. Nothing is stored."""
    bound_us = int(trials.settings.out_of_order_s * times.SECOND_US)
    outcomes = [
        await asyncio.to_thread(run_test, test, body.rules, out_of_order_us=bound_us) for test in read_tests(body.tests)
    ]
    return TestRead(passed=all(outcome.passed for outcome in outcomes), tests=msgspec.to_builtins(outcomes))


@router.post(
    "/api/v1/rules/backtest",
    summary="Judge history by a rule",
    response_class=StreamingResponse,
    description="One JSON object a line: `happening` as they come, `progress` twice a second, and at the end `done` with the "
    "alerts there would have been, or `error`. Closing the connection stops it.",
    responses=_LINES,
)
async def backtest_rule(body: BacktestBody, trials: Trials, principal: AlertReader) -> StreamingResponse:
    """A backtest, told while it runs."""
    return _streamed(trials, body, [trials.backtest(body.rule)])


@router.post(
    "/api/v1/rules/diff",
    summary="Judge history by two rules and compare",
    response_class=StreamingResponse,
    description="One JSON object a line: `progress` twice a second, `done` for each of the two rules, and at the end "
    "`difference`: alerts of one alone, and those that were not the same. Closing the connection stops it.",
    responses=_LINES,
)
async def compare_rules(body: DifferenceBody, trials: Trials, principal: AlertReader) -> StreamingResponse:
    """What a change of a rule would have changed."""
    return _streamed(trials, body, [trials.backtest(body.before), trials.backtest(body.after)])


def _streamed(trials: RuleTrials, past: Past, backtests: Sequence[Backtest]) -> StreamingResponse:
    stretch = past.stretch()
    if trials.running.locked():
        raise Busy("as many backtests run here as may (stream.backtests); try again when one is done", retry_after_s=5)
    return StreamingResponse(
        _lines(trials, past.origin, stretch, backtests),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        media_type=NDJSON,
    )


async def _lines(trials: RuleTrials, origin: Origin, stretch: Stretch, backtests: Sequence[Backtest]) -> AsyncGenerator[bytes]:
    is_difference = len(backtests) > 1
    most = trials.settings.backtest_max_events
    try:
        async with trials.running:
            for backtest in backtests:
                history = await trials.history(backtest.topic, origin)
                async with aclosing(backtest.run(history, stretch, clock=trials.clock, most_events=most)) as lines:
                    async for line in lines:
                        if not (is_difference and "happening" in line):
                            yield msgspec.json.encode(line) + b"\n"
            if is_difference:
                before, after = (backtest.episodes.all() for backtest in backtests)
                yield msgspec.json.encode({"difference": compare(before, after).told()}) + b"\n"
    except WeftError as failure:
        yield msgspec.json.encode({"error": {"message": failure.message, "details": failure.details}}) + b"\n"
