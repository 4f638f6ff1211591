"""The realtime metrics: how busy it is right now, by the events' own times.

Computed from the store at most once a second for everybody together, and less often where computing takes long, so that
watching never becomes the load.
"""

import asyncio

import msgspec

from weft.core import times
from weft.core.clock import Clock
from weft.core.event import DEFAULT_TOPIC
from weft.core.times import SECOND_US
from weft.query.gate import Gate
from weft.query.settings import QuerySettings
from weft.store.port import EventStore
from weft.store.query import Aggregate, Filter

ERROR: str = "error"
RESPONSE_TIME: str = "data.response_time"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures. Without any event the error rate is 0; a mean over nothing is null."""

    events_per_second: float
    active_users: int
    error_rate: float
    response_time_avg: float | None


class Realtime(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the realtime route and of every frame of the metrics socket."""

    metrics: Figures
    timestamp: str


class RealtimeMetrics:
    """Knows the newest figures of the default topic and when they have to be computed again."""

    def __init__(self, store: EventStore, gate: Gate, clock: Clock, settings: QuerySettings) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._settings = settings
        self._newest: bytes | None = None
        self._due_s = 0.0
        self._computing = asyncio.Lock()

    async def body(self) -> bytes:
        """The realtime body as JSON, one and the same bytes for everybody until it is due again."""
        async with self._computing:
            began_s = self._clock.steady_s()
            if self._newest is None or began_s >= self._due_s:
                realtime = await self._gate.ask(self._compute)
                took_s = self._clock.steady_s() - began_s
                self._due_s = began_s + max(self._settings.realtime_every_s, took_s / self._settings.realtime_max_share)
                self._newest = msgspec.json.encode(realtime)
            return self._newest

    async def _compute(self) -> Realtime:
        now_us = self._clock.now_us()
        look_back_us = self._settings.realtime_window_s * SECOND_US
        recent = Filter(topic=DEFAULT_TOPIC, start_us=now_us - look_back_us, end_us=now_us + 1)
        users = Filter(
            topic=DEFAULT_TOPIC, start_us=now_us - self._settings.active_users_window_s * SECOND_US, end_us=now_us + 1
        )
        by_type = await self._store.aggregate(Aggregate(filter=recent, metric="count", group_by=("type",)))
        active = await self._store.aggregate(Aggregate(filter=users, metric="distinct", field="user_id", group_by=()))
        waited = await self._store.aggregate(Aggregate(filter=recent, metric="avg", field=RESPONSE_TIME, group_by=()))
        events = sum(int(group.value or 0) for group in by_type)
        errors = sum(int(group.value or 0) for group in by_type if group.keys[0] == ERROR)
        oldest_us = (await self._store.state()).oldest_us
        return Realtime(
            metrics=Figures(
                events_per_second=round(events * SECOND_US / _span_us(now_us, look_back_us, oldest_us), 3),
                active_users=int(active[0].value or 0) if active else 0,
                error_rate=errors / events if events else 0.0,
                response_time_avg=waited[0].value if waited else None,
            ),
            timestamp=times.to_text(now_us),
        )


def _span_us(now_us: int, look_back_us: int, oldest_us: int | None) -> int:
    """How long events were counted: the whole window, or since the first event where that is shorter; a second at least."""
    since_first_us = look_back_us if oldest_us is None else now_us - oldest_us
    return max(min(look_back_us, since_first_us), SECOND_US)
