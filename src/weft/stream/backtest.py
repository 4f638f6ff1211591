"""Backtest: what a query would have answered over history, told while it is computed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import islice
from typing import Any, Final

from weft.core.clock import Clock
from weft.stream.history import History, Stretch
from weft.stream.publish import told
from weft.stream.trial import Trial

_TELL_S: Final = 0.5
_TOLD_AT_ONCE: Final = 1_000


async def backtest(
    trial: Trial, history: History, stretch: Stretch, *, clock: Clock, most_events: int
) -> AsyncGenerator[dict[str, Any]]:
    """Lines: `result` as they come, `progress` twice a second, and one `done` at the end. Closing the iterator stops it."""
    began_s = told_s = clock.steady_s()
    late = 0
    trial.hold_open(history.partitions)
    async with aclosing(history.batches(stretch)) as batches:
        async for batch in batches:
            results, too_late = await asyncio.to_thread(trial.take, batch)
            late += len(too_late)
            for result in results:
                yield {"result": told(result)}
            now_s = clock.steady_s()
            if now_s - told_s >= _TELL_S:
                told_s = now_s
                yield {"progress": {"events": trial.events, "of": history.events, "results": trial.results}}
            if trial.events >= most_events:
                break
    rest = trial.finish()
    while some := await asyncio.to_thread(lambda: list(islice(rest, _TOLD_AT_ONCE))):
        for result in some:
            yield {"result": told(result)}
    yield {
        "done": {
            "events": trial.events,
            "results": trial.results,
            "late": late,
            "took_s": round(clock.steady_s() - began_s, 3),
            "is_whole": trial.events < most_events,
        }
    }
