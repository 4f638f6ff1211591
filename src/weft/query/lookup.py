"""Looking events of the log up in the store: which of them are not there?

Where many are asked for, whole stretches of time are read from the store and ticked off; the few that remain, and those
strewn far apart, are asked for one by one.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from weft.core.position import TopicPartition
from weft.store.port import EventStore
from weft.store.query import Filter, Select

_AT_ONCE: Final = 8
_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Sought:
    """An event of the log: where it stands, and what names it."""

    place: TopicPartition
    offset: int
    id: str
    source: str
    time_us: int


class Lookup:
    """Collects events of one topic and tells which of them the store does not have.

    `spread` is about how many stored events lie in time between two that are sought.
    """

    def __init__(self, store: EventStore, spread: int) -> None:
        self.done = 0
        self._store = store
        self._spread = spread

    async def missing(self, sought: list[Sought]) -> list[Sought]:
        """Those the store does not have, in the order given. All must be of one topic."""
        self.done += len(sought)
        left = {(event.source, event.id): event for event in sought}
        if self._spread <= _PAGE // 10 and len(sought) > _AT_ONCE:
            await self._tick_off(left)
        remaining = list(left.values())
        found: set[tuple[str, str]] = set()
        for start in range(0, len(remaining), _AT_ONCE):
            some = remaining[start : start + _AT_ONCE]
            answers = await asyncio.gather(*(self._store.get(event.id, source=event.source) for event in some))
            found |= {(event.source, event.id) for event, answer in zip(some, answers, strict=True) if answer is not None}
        return [event for event in remaining if (event.source, event.id) not in found]

    async def _tick_off(self, left: dict[tuple[str, str], Sought]) -> None:
        """Read the stretch of time the events lie in, as long as that is worth it."""
        events = list(left.values())
        within = Filter(
            topic=events[0].place.topic,
            start_us=min(event.time_us for event in events),
            end_us=max(event.time_us for event in events) + 1,
        )
        pages = 2 + 2 * len(events) * self._spread // _PAGE
        select = Select(filter=within, limit=_PAGE, order="asc")
        for _ in range(pages):
            page = await self._store.select(select)
            for event in page.events:
                left.pop((event.source, event.id), None)
            if page.cursor is None or not left:
                return
            select = Select(filter=within, limit=_PAGE, order="asc", after=page.cursor)
