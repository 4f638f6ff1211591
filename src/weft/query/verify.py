"""Verifying that nothing is missing, by reading everything: what `weft verify` does.

Works through the ports alone, on a data folder nobody uses or one a server is writing to: what moves meanwhile is allowed for,
never reported as lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.log.port import Log, LogState, PartitionState
from weft.query.conservation import Conservation, balance
from weft.query.dead import Dead, DeadIndex
from weft.query.erased import ErasedFromStore
from weft.query.lookup import Lookup, Sought
from weft.store.port import EventStore
from weft.store.query import Aggregate, Filter, StoreState, TopicCount

DEFAULT_SAMPLE: Final = 10_000
_EVENTS_A_LOOK: Final = 20_000
_LISTED: Final = 100


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: a stable code (`damaged`, `miscounted`, `missing`, `unaccounted`), where, and a sentence."""

    code: str
    place: str
    why: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification saw. It is `ok` when there is no problem. Of each code at most 100 problems are listed."""

    ok: bool
    log_events: int
    store_events: int
    looked_up: int
    problems_total: int
    problems: list[Problem]
    conservation: Conservation


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is: the step (`log`, `store`), and done of total in the step's unit (events, topics)."""

    step: str
    done: int
    total: int


Report = Callable[[Progress], None]


@dataclass(slots=True)
class Problems:
    """Problems found so far."""

    listed: list[Problem] = field(default_factory=list[Problem])
    total: int = 0
    _by_code: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, code: str, place: str, why: str) -> None:
        """Note a problem."""
        self.total += 1
        count = self._by_code[code] = self._by_code.get(code, 0) + 1
        if count <= _LISTED:
            self.listed.append(Problem(code=code, place=place, why=why))


async def verify(
    log: Log, store: EventStore, *, sample: int | None = DEFAULT_SAMPLE, report: Report | None = None
) -> Verification:
    """Read every retained batch of the log, look events up in the store, count the store, balance the books.

    About `sample` events are looked up, spread evenly; None looks up all of them.
    """
    problems = Problems()
    tell: Report = report or (lambda progress: None)
    # The store first, then the log: whatever moves in between is still on its way and cannot seem lost.
    store_before = await store.state()
    log_before = await log.state()
    index = DeadIndex(log)
    dead = await index.look(log_before)
    erased = await ErasedFromStore.read(log, log_before)
    reading = LogReading(log, store, store_before, log_before, Excused(dead, erased), problems, sample, tell)
    log_events = await reading.run()
    store_events = await _count_store(store, store_before, problems, tell)
    conservation = await balance(log, store, index)
    for topic in conservation.topics:
        if topic.difference:
            why = f"{topic.difference} of {topic.accepted} accepted events are nowhere"
            problems.add("unaccounted", topic.topic, why)
    return Verification(
        ok=problems.total == 0,
        log_events=log_events,
        store_events=store_events,
        looked_up=reading.looked_up,
        problems_total=problems.total,
        problems=problems.listed,
        conservation=conservation,
    )


@dataclass(frozen=True, slots=True)
class Excused:
    """Events of the log that the store need not have."""

    dead: Dead
    erased: ErasedFromStore


class LogReading:
    """One pass over everything the log still has, with every so-many-th event looked up in the store."""

    def __init__(
        self,
        log: Log,
        store: EventStore,
        store_state: StoreState,
        log_state: LogState,
        excused: Excused,
        problems: Problems,
        sample: int | None,
        report: Report,
    ) -> None:
        self._log = log
        self._state = log_state
        self._positions = {TopicPartition(count.topic, count.partition): count.position for count in store_state.topics}
        self._retains_us = _oldest_kept_us(store_state)
        self._dead = excused.dead
        self._erased = excused.erased
        self._problems = problems
        self._report = report
        self._total = sum(_readable(partition) for partition in log_state.partitions)
        self._every = 1 if sample is None else max(self._total // max(sample, 1), 1)
        self._done = 0
        self._sought: list[Sought] = []
        self._lookup = Lookup(store, self._every)

    @property
    def looked_up(self) -> int:
        """How many events were looked up in the store."""
        return self._lookup.done

    async def run(self) -> int:
        """Read every partition; returns how many events were read."""
        for partition in self._state.partitions:
            await self._read_partition(partition)
        return self._done

    async def _read_partition(self, state: PartitionState) -> None:
        place = TopicPartition(state.topic, state.partition)
        offset, counted, damaged = state.start_offset, 0, 0
        while offset < state.end_offset:
            try:
                batches = await self._log.read(place, offset)
            except Corrupt as damage:
                next_offset = _after(damage, offset)
                self._problems.add("damaged", f"{place.topic}/{place.partition}/{offset}", damage.message)
                damaged += next_offset - offset
                offset = next_offset
                continue
            if not batches:
                break
            for batch in batches:
                counted += max(min(batch.count, state.end_offset - batch.first_offset), 0)
                await self._collect(place, batch)
            offset = batches[-1].next_offset
        await self._look_up()
        await self._compare(state, counted, damaged)

    async def _compare(self, before: PartitionState, counted: int, damaged: int) -> None:
        """Hold what was read against what the log says it has; what was trimmed or erased meanwhile may be missing."""
        after = next(
            state
            for state in (await self._log.state()).partitions
            if (state.topic, state.partition) == (before.topic, before.partition)
        )
        gone = after.events_trimmed + after.events_erased - before.events_trimmed - before.events_erased
        expected = _readable(before)
        if not expected - gone - damaged <= counted <= expected:
            self._problems.add(
                "miscounted",
                f"{before.topic}/{before.partition}",
                f"{counted} events could be read, the log says {expected}",
            )

    async def _collect(self, place: TopicPartition, batch: LogBatch) -> None:
        """Note the sampled events of a batch, and look them up when enough have come together."""
        first = -self._done % self._every
        self._done += batch.count
        self._report(Progress("log", min(self._done, self._total), self._total))
        limit = min(batch.count, self._positions.get(place, 0) - batch.first_offset)
        chosen = range(first, max(limit, 0), self._every)
        if chosen and self._can_be_read(place, batch):
            self._sought += [
                Sought(place, offset, batch.ids[index], batch.event_rows[index].source, int(batch.times_us[index]))
                for index in chosen
                if not self._dead.has(place, offset := batch.first_offset + index)
            ]
        if len(self._sought) * self._every >= _EVENTS_A_LOOK:
            await self._look_up()

    async def _look_up(self) -> None:
        sought, self._sought = self._sought, []
        if not sought:
            return
        try:
            missing = await self._lookup.missing(sought)
        except Corrupt as damage:
            self._problems.add("damaged", f"store/{sought[0].place.topic}", damage.message)
            return
        for event in missing:
            if self._retains_us is not None and event.time_us < self._retains_us:
                continue
            if await self._is_owed(event.place, event.offset):
                why = f"event {event.id} of {event.source} stands in the log and the store does not have it"
                self._problems.add("missing", f"{event.place.topic}/{event.place.partition}/{event.offset}", why)

    def _can_be_read(self, place: TopicPartition, batch: LogBatch) -> bool:
        """Whether a batch can be decoded. One that cannot has to be a dead letter, or is a problem."""
        try:
            return bool(batch.event_rows)
        except Corrupt as damage:
            if not self._dead.has(place, batch.first_offset):
                self._problems.add("damaged", f"{place.topic}/{place.partition}/{batch.first_offset}", damage.message)
            return False

    async def _is_owed(self, place: TopicPartition, offset: int) -> bool:
        """Whether an event is still in the log and not erased: one that was trimmed or erased meanwhile is not missing."""
        for batch in await self._log.read(place, offset, max_bytes=1):
            if batch.first_offset <= offset < batch.next_offset:
                index = offset - batch.first_offset
                time_us, received_at_us = int(batch.times_us[index]), int(batch.received_at_us[index])
                return not self._erased.covers(batch.event_rows[index], time_us=time_us, received_at_us=received_at_us)
        return False


async def _count_store(store: EventStore, before: StoreState, problems: Problems, report: Report) -> int:
    """Count every topic of the store and hold it against the store's own books, before and after."""
    topics = sorted({count.topic for count in before.topics})
    total = 0
    for done, topic in enumerate(topics):
        report(Progress("store", done, len(topics)))
        try:
            counted = await _count(store, topic)
        except Corrupt as damage:
            problems.add("damaged", f"store/{topic}", damage.message)
            continue
        total += counted
        after = await store.state()
        stored_before, gone_before = _books(before.topics, topic)
        stored_after, gone_after = _books(after.topics, topic)
        if not stored_before - gone_after <= counted <= stored_after - gone_before:
            why = f"{counted} events could be counted, the store's books say {stored_after - gone_after}"
            problems.add("miscounted", f"store/{topic}", why)
    report(Progress("store", len(topics), len(topics)))
    return total


async def _count(store: EventStore, topic: str) -> int:
    """Count the ids of a topic: counting events alone could be answered from the books this is held against."""
    counted = await store.aggregate(Aggregate(filter=Filter(topic=topic), metric="count", field="id", group_by=()))
    return int(counted[0].value or 0) if counted else 0


def _books(counts: Sequence[TopicCount], topic: str) -> tuple[int, int]:
    """Of a topic, how many events were ever stored and how many of those are gone again."""
    held = [count for count in counts if count.topic == topic]
    return sum(count.stored_total for count in held), sum(count.erased_total + count.retired_total for count in held)


def _readable(state: PartitionState) -> int:
    return state.events_total - state.events_trimmed - state.events_erased


def _after(damage: Corrupt, offset: int) -> int:
    next_offset = damage.details.get("next_offset")
    return max(next_offset if isinstance(next_offset, int) else 0, offset + 1)


def _oldest_kept_us(state: StoreState) -> int | None:
    """Events older than this may be past the store's retention; None where it has let none go."""
    has_let_go = any(count.expired_total or count.retired_total for count in state.topics)
    return state.oldest_us if has_let_go else None
