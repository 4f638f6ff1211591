"""Backtest: what a rule would have said over history, told while it is computed."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from weft.alerts.compile import Compiled
from weft.alerts.episode import Episodes
from weft.alerts.rehearsal import Happening, Rehearsal
from weft.core import times
from weft.core.batch import LogBatch
from weft.core.clock import Clock
from weft.core.errors import Invalid
from weft.stream.engine.taken import Result
from weft.stream.history import History, Stretch
from weft.stream.trial import Trial

_TELL_S: Final = 0.5


class Backtest:
    """One rule over the history of its topic. Raises Invalid for a rule about findings, which have none."""

    def __init__(self, compiled: Compiled, *, bound_us: int, limit_bytes: int) -> None:
        if compiled.query is None:
            raise Invalid(f"the rule '{compiled.definition.name}' judges findings, which have no history", field="rule")
        self.topic = compiled.query.topic
        self.episodes = Episodes()
        self._compiled = compiled
        self._trial = Trial(compiled.query, bound_us=bound_us, limit_bytes=limit_bytes)
        self._bound_us = bound_us
        self._rehearsal: Rehearsal | None = None
        self._newest_us = 0

    async def run(
        self, history: History, stretch: Stretch, *, clock: Clock, most_events: int
    ) -> AsyncGenerator[dict[str, Any]]:
        """Lines: `happening` as they come, `progress` twice a second, one `done` at the end. Closing the iterator stops it."""
        began_s = told_s = clock.steady_s()
        self._trial.hold_open(history.partitions)
        async with aclosing(history.batches(stretch)) as batches:
            async for batch in batches:
                for happening in await asyncio.to_thread(self._take, batch):
                    yield {"happening": told(happening)}
                if clock.steady_s() - told_s >= _TELL_S:
                    told_s = clock.steady_s()
                    yield {"progress": {"events": self._trial.events, "of": history.events}}
                if self._trial.events >= most_events:
                    break
        for happening in await asyncio.to_thread(self._end, stretch.end_us):
            yield {"happening": told(happening)}
        yield {"done": self._done(clock.steady_s() - began_s, is_whole=self._trial.events < most_events)}

    def _take(self, batch: LogBatch) -> list[Happening]:
        if batch.count:
            self._newest_us = max(self._newest_us, int(batch.times_us.max()))
            if self._rehearsal is None:
                self._rehearsal = Rehearsal(self._compiled, since_us=int(batch.times_us.min()))
        results, _ = self._trial.take(batch)
        return self._judge(results, self._trial.over_until_us)

    def _end(self, end_us: int | None) -> list[Happening]:
        """History ends: what was over by its last event, or by the end of the stretch where that is said."""
        until_us = self._newest_us if end_us is None else end_us
        return self._judge(list(self._trial.advance(until_us + self._bound_us)), until_us)

    def _judge(self, results: Sequence[Result], over_until_us: int | None) -> list[Happening]:
        if self._rehearsal is None:
            return []
        over_us = max((result.end_us for result in results), default=None) if over_until_us is None else over_until_us
        if over_us is None:
            return []
        happenings = list(self._rehearsal.take(results, over_us))
        for happening in happenings:
            self.episodes.take(happening)
        return happenings

    def _done(self, took_s: float, *, is_whole: bool) -> dict[str, Any]:
        episodes = self.episodes.all()
        return {
            "rule": self._compiled.definition.name,
            "events": self._trial.events,
            "results": self._trial.results,
            "alerts": [episode.told() for episode in episodes],
            "notices": sum(episode.notices for episode in episodes),
            "took_s": round(took_s, 3),
            "is_whole": is_whole,
        }


def told(happening: Happening) -> dict[str, Any]:
    """What happened, as JSON values."""
    transition = happening.transition
    at_us = transition.at_us if transition.event_us is None else transition.event_us
    return {
        "key": happening.key,
        "at": times.to_text(at_us),
        "change": transition.change,
        "status": transition.status,
        "level": transition.level,
        "values": happening.values,
        "notices": [notice.kind for notice in happening.notices],
    }
