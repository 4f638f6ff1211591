"""What the query room looks at for the verdict: is anything missing, and does the store keep up?"""

from collections import deque
from collections.abc import Mapping
from typing import Final

from weft.core.clock import Clock
from weft.core.position import TopicPartition
from weft.core.verdict import Check, Finding, Level
from weft.log.port import Log, LogState
from weft.query.conservation import Conservation, balance
from weft.query.dead import DeadIndex
from weft.query.settings import QuerySettings
from weft.store.port import EventStore
from weft.store.query import StoreState

CONSERVATION: Final = "query.conservation"
LAG: Final = "query.lag"
_SAMPLE_EVERY_S: Final = 1.0
_SAMPLES: Final = 4096


def checks(log: Log, store: EventStore, clock: Clock, settings: QuerySettings, index: DeadIndex) -> dict[str, Check]:
    """The checks of this room, by code, for the register."""
    lag = Lag(settings)

    async def keeps_up() -> Finding:
        store_state = await store.state()
        return lag.finding(store_state, (await log.state()).require_current(), clock.steady_s())

    async def conservation() -> Finding:
        return conservation_finding(await balance(log, store, index))

    return {CONSERVATION: conservation, LAG: keeps_up}


def conservation_finding(conservation: Conservation) -> Finding:
    """Fine when every accepted event is somewhere that has a name."""
    wrong = [balance for balance in conservation.topics if balance.difference]
    numbers = {
        "difference_events": conservation.difference,
        "damaged_events": conservation.damaged,
        "in_flight_events": conservation.in_flight,
        "accepted_events": sum(balance.accepted for balance in conservation.topics),
        "stored_events": sum(balance.stored for balance in conservation.topics),
    }
    if wrong:
        topics = ", ".join(balance.topic for balance in wrong[:3])
        why = f"{conservation.difference} events of {topics} are not accounted for; run weft verify"
        return Finding(code=CONSERVATION, level=Level.ACT, why=why, parameters=numbers)
    if conservation.damaged:
        why = f"{conservation.damaged} events lie in damaged parts of the log; run weft verify to see which"
        return Finding(code=CONSERVATION, level=Level.ACT, why=why, parameters=numbers)
    return Finding(code=CONSERVATION, level=Level.FINE, why="every accepted event is accounted for", parameters=numbers)


class Lag:
    """Remembers where the log ended when, and so knows for how long the store has been behind."""

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._ends: deque[tuple[float, Mapping[TopicPartition, int]]] = deque(maxlen=_SAMPLES)

    def finding(self, store: StoreState, log: LogState, now_s: float) -> Finding:
        """How far the store is behind the log, in events and in seconds, from one look at both."""
        ends = {TopicPartition(state.topic, state.partition): state.end_offset for state in log.partitions}
        starts = {TopicPartition(state.topic, state.partition): state.start_offset for state in log.partitions}
        held = {TopicPartition(count.topic, count.partition): count.position for count in store.topics}
        positions = {place: max(held.get(place, 0), start) for place, start in starts.items()}
        behind = sum(max(end - positions[place], 0) for place, end in ends.items())
        behind_s = self._behind_s(positions, now_s) if behind else 0.0
        if not self._ends or now_s - self._ends[-1][0] >= _SAMPLE_EVERY_S:
            self._ends.append((now_s, ends))
        numbers = {"behind_events": behind, "behind_s": round(behind_s, 3)}
        if behind_s >= self._settings.lag_look_s:
            level = Level.ACT if behind_s >= self._settings.lag_act_s else Level.LOOK
            why = f"the store is {behind} events and at least {behind_s:.0f} s behind the log"
            return Finding(code=LAG, level=level, why=why, parameters=numbers)
        return Finding(code=LAG, level=Level.FINE, why="the store keeps up with the log", parameters=numbers)

    def _behind_s(self, positions: Mapping[TopicPartition, int], now_s: float) -> float:
        """Seconds since the oldest remembered end of the log that the store has not reached yet."""
        while self._ends and all(positions.get(place, 0) >= end for place, end in self._ends[0][1].items()):
            self._ends.popleft()
        return now_s - self._ends[0][0] if self._ends else 0.0
