"""What the verdict asks of continuous queries: do they keep up, does event time move, does their state fit."""

from collections.abc import Iterable
from typing import Final

from weft.core.clock import Clock
from weft.core.verdict import Check, Finding, Level
from weft.stream.settings import StreamSettings
from weft.stream.state import Figure
from weft.stream.tally import Tally

RUNNING: Final = "stream.running"
LAG: Final = "stream.lag"
WATERMARK: Final = "stream.watermark"
STATE: Final = "stream.state"
_NEARLY: Final = 0.8
_MUCH: Final = 100_000


def stream_checks(tally: Tally, clock: Clock, settings: StreamSettings) -> dict[str, Check]:
    """The checks of this room, by code. Each looks at the topics that this process computes."""
    looks = _Looks(tally, clock, settings)
    return {RUNNING: looks.running, LAG: looks.lag, WATERMARK: looks.watermark, STATE: looks.state}


class _Looks:
    """What is looked at, and what was seen last, so that one can tell what moves."""

    def __init__(self, tally: Tally, clock: Clock, settings: StreamSettings) -> None:
        self._tally = tally
        self._clock = clock
        self._settings = settings
        self._lags: dict[str, int] = {}
        self._stood: dict[str, tuple[int | None, int, float]] = {}

    async def running(self) -> Finding:
        """Whether every query is computed."""
        for topic, why in sorted(self._tally.failures.items()):
            text = f"The queries over '{topic}' are not computed: {why}"
            return Finding(code=RUNNING, level=Level.ACT, why=text, parameters={"topic": topic})
        figures = [(topic, figure) for topic, of_topic in sorted(self._tally.figures.items()) for figure in of_topic.values()]
        for topic, figure in figures:
            if figure.failure is not None:
                text = f"The query '{figure.name}' cannot be computed: {figure.failure}"
                return Finding(code=RUNNING, level=Level.ACT, why=text, parameters={"topic": topic, "query": figure.name})
        queries = len({figure.name for _, figure in figures})
        why = f"This process computes {queries} continuous queries."
        return Finding(code=RUNNING, level=Level.FINE, why=why, parameters={"queries": queries})

    async def lag(self) -> Finding:
        """Whether the queries keep up."""
        topic, behind = max(self._tally.lag.items(), key=lambda item: item[1], default=("", 0))
        before, self._lags = self._lags.get(topic, behind), dict(self._tally.lag)
        known = {"topic": topic, "offsets": behind}
        if behind > _MUCH and behind > before:
            why = f"The queries over '{topic}' are {behind} events behind and fall back further."
            return Finding(code=LAG, level=Level.LOOK, why=why, parameters=known)
        return Finding(code=LAG, level=Level.FINE, why="Continuous queries keep up.", parameters=known)

    async def watermark(self) -> Finding:
        """Whether event time moves while events arrive."""
        for topic, figures in sorted(self._tally.figures.items()):
            stalled_s = self._stalled_s(topic, figures.values())
            if stalled_s > self._settings.stalled_s:
                why = (
                    f"The time of '{topic}' has stood still for {stalled_s:.0f} s while events arrive, so no window closes; "
                    "a partition may hold old events, or a clock may be wrong."
                )
                return Finding(code=WATERMARK, level=Level.LOOK, why=why, parameters={"topic": topic, "stalled_s": stalled_s})
        return Finding(code=WATERMARK, level=Level.FINE, why="Event time moves on.")

    async def state(self) -> Finding:
        """Whether the state fits."""
        topic, size = max(self._tally.state_bytes.items(), key=lambda item: item[1], default=("", 0))
        limit = self._settings.state_limit_bytes
        refused = sum(figure.refused_total for figures in self._tally.figures.values() for figure in figures.values())
        known = {"topic": topic, "bytes": size, "limit_bytes": limit, "refused": refused}
        if size < _NEARLY * limit and not refused:
            return Finding(code=STATE, level=Level.FINE, why="The state of continuous queries fits.", parameters=known)
        why = (
            f"The state of the queries over '{topic}' takes {size / 1024**2:.0f} MiB of {limit / 1024**2:.0f} "
            f"(stream.state_limit_bytes), and {refused} events were not counted for it; use fewer keys or shorter windows."
        )
        return Finding(code=STATE, level=Level.ACT if refused else Level.LOOK, why=why, parameters=known)

    def _stalled_s(self, topic: str, figures: Iterable[Figure]) -> float:
        """For how long event time has not moved though events came; 0 where none came."""
        now_s, events = self._clock.steady_s(), self._tally.events_of(topic)
        watermark_us = max((figure.watermark_us for figure in figures if figure.watermark_us is not None), default=None)
        stood = self._stood.get(topic)
        if stood is None or stood[0] != watermark_us:
            self._stood[topic] = (watermark_us, events, now_s)
            return 0.0
        return now_s - stood[2] if events > stood[1] else 0.0
