"""Routes that try a query out: over events that are sent along, in words, and over history. Nothing is kept."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from weft.auth.signature import QueryReader
from weft.core import times
from weft.core.errors import Busy, Invalid, WeftError
from weft.core.event import EventRow
from weft.stream.backtest import backtest
from weft.stream.explain import Explanation, explain
from weft.stream.history import History, Origin, Stretch
from weft.stream.parts import Parts, StreamParts
from weft.stream.publish import told
from weft.stream.routes.body import QueryBody
from weft.stream.trial import Trial, batch_of_rows, check

router = APIRouter(tags=["queries"])

NDJSON: Final = "application/x-ndjson"
_EVENTS: Final = 10_000

Moment = Annotated[str | None, Field(default=None, max_length=64, description="ISO 8601 with an offset.")]


class TestBody(BaseModel):
    """A query, and the events to answer it over."""

    model_config = ConfigDict(extra="forbid")

    query: QueryBody
    events: list[dict[str, Any]] = Field(max_length=_EVENTS, description="Events as they are sent to POST /events, in order.")


class Tested(BaseModel):
    """What the query answers once every window is over, and which events came too late."""

    results: list[dict[str, Any]]
    late: list[int] = Field(description="Places in `events`, counted from 0.")


class ExplainBody(BaseModel):
    """A query to put in words."""

    model_config = ConfigDict(extra="forbid")

    query: QueryBody


class BacktestBody(BaseModel):
    """A query, and which part of history to answer it over."""

    model_config = ConfigDict(extra="forbid")

    query: QueryBody
    start: Moment
    end: Moment
    origin: Origin = Field(default="store", description="`store`: all that is kept; `log`: what the log still holds.")


@router.post("/api/v1/queries/test", summary="Answer a query over events that are sent along")
async def test_query(body: TestBody, parts: Parts, principal: QueryReader) -> Tested:
    """Time goes on behind the last event until every window is over. Nothing is stored."""
    query = check(body.query.query())
    batch = batch_of_rows(_rows(body.events), topic=query.topic, now_us=parts.clock.now_us())
    trial = _trial(parts, body.query)
    results, late = trial.take(batch) if batch.count else ((), ())
    return Tested(results=[told(result) for result in (*results, *trial.finish())], late=[one.offset for one in late])


@router.post("/api/v1/queries/explain", summary="Put a query in words")
async def explain_query(body: ExplainBody, parts: Parts, principal: QueryReader) -> Explanation:
    """What it counts, when it answers, and what it costs."""
    query = check(body.query.query())
    return explain(query, out_of_order_us=parts.settings.out_of_order_us(query.topic))


@router.post(
    "/api/v1/queries/backtest",
    summary="Answer a query over history",
    response_class=StreamingResponse,
    description="One JSON object a line: `result` as they come, `progress` twice a second, and at the end `done`, or `error`. "
    "Closing the connection stops it.",
    responses={200: {"description": "The lines.", "content": {NDJSON: {"schema": {"type": "string"}}}}},
)
async def backtest_query(body: BacktestBody, parts: Parts, principal: QueryReader) -> StreamingResponse:
    """A backtest, told while it runs."""
    query = check(body.query.query())
    stretch = Stretch(start_us=_moment(body.start, "start"), end_us=_moment(body.end, "end"))
    if parts.backtests.locked():
        raise Busy("as many backtests run here as may (stream.backtests); try again when one is done", retry_after_s=5)
    history = History(query.topic, body.origin, log=parts.log, store=parts.store)
    await history.look()
    return StreamingResponse(
        _lines(parts, _trial(parts, body.query), history, stretch),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        media_type=NDJSON,
    )


async def _lines(parts: StreamParts, trial: Trial, history: History, stretch: Stretch) -> AsyncGenerator[bytes]:
    most = parts.settings.backtest_max_events
    try:
        async with parts.backtests, aclosing(backtest(trial, history, stretch, clock=parts.clock, most_events=most)) as lines:
            async for line in lines:
                yield msgspec.json.encode(line) + b"\n"
    except WeftError as failure:
        yield msgspec.json.encode({"error": {"message": failure.message, "details": failure.details}}) + b"\n"


def _trial(parts: StreamParts, body: QueryBody) -> Trial:
    query = body.query()
    return Trial(query, bound_us=parts.settings.out_of_order_us(query.topic), limit_bytes=parts.settings.state_limit_bytes)


def _rows(events: list[dict[str, Any]]) -> list[EventRow]:
    rows: list[EventRow] = []
    for index, event in enumerate(events):
        try:
            rows.append(msgspec.json.decode(msgspec.json.encode(event), type=EventRow))
        except msgspec.ValidationError as wrong:
            raise Invalid(f"event {index}: {wrong}", field=f"events.{index}") from wrong
    return rows


def _moment(text: str | None, field: str) -> int | None:
    return None if text is None else times.parse(text, field=field)
