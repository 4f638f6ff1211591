"""The embedded log against a simple model, under whatever sequence of operations Hypothesis thinks of."""

import asyncio
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from weft.core.batch import LogBatch
from weft.core.erasure import Erasure
from weft.core.position import TopicPartition
from weft.core.times import SECOND_US
from weft.log.port import Log, Retention
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S, read_all

TOPICS = st.sampled_from(["one", "two"])
SOURCES = st.sampled_from(["mine", "theirs"])
GROUPS = st.sampled_from(["fast", "slow"])


@dataclass
class Topic:
    """What should be there: at each offset (source, id), or None for a tick, or gone."""

    entries: list[tuple[str, str] | None] = field(default_factory=list)
    erased: set[int] = field(default_factory=set)
    start: int = 0
    repeats: int = 0
    max_time: int | None = None
    keys: set[tuple[str, str]] = field(default_factory=set)
    positions: dict[str, int] = field(default_factory=dict)

    def readable(self, offset: int = 0) -> list[tuple[int, str]]:
        return [
            (at, entry[1])
            for at, entry in enumerate(self.entries)
            if entry is not None and at >= max(self.start, offset) and at not in self.erased
        ]


class LogMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.settings = LogSettings(segment_bytes=65_536, min_free_bytes=0, reserve_bytes=0, recent_bytes=20_000)
        self.topics: dict[str, Topic] = {}
        self.number = 0
        self.log = self.open()

    def open(self) -> Log:
        log = SqliteLog(f"sqlite://{Path(self.folder.name)}", settings=self.settings, clock=self.clock)
        return self.run(log.__aenter__())

    def run(self, work):
        return self.loop.run_until_complete(asyncio.wait_for(work, WAIT_S))

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.run(self.log.__aexit__(None, None, None))
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            self.folder.cleanup()

    @rule(topic=TOPICS, ids=st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=1, max_size=6), source=SOURCES)
    def append(self, topic: str, ids: list[int | None], source: str) -> None:
        rows = [make_row(source=source, id=None if number is None else f"id-{number}") for number in ids]
        now = self.clock.now_us()
        times = [now + number for number in range(len(rows))]
        batch = make_batch(rows, topic=topic, times_us=times, received_at_us=now)
        known = self.topics.setdefault(topic, Topic())
        kept: list[int] = []
        repeats: list[int] = []
        for index, row in enumerate(rows):
            key = (source, row.id or "")
            if row.id is not None and key in known.keys:
                repeats.append(index)
            else:
                kept.append(index)
                known.keys |= {key} if row.id is not None else set()
        answer = self.run(self.log.append(batch))
        assert list(answer.repeats) == repeats
        assert answer.first_offset == (len(known.entries) if kept else None)
        known.repeats += len(repeats)
        known.entries.extend((source, batch.ids[index]) for index in kept)
        if kept:
            known.max_time = max(known.max_time or 0, times[kept[-1]])

    @rule(topic=TOPICS)
    def append_much(self, topic: str) -> None:
        """Enough to fill a segment now and then."""
        self.number += 1
        rows = [make_row(source="theirs", data={"text": f"{self.number}-{n}-{hash((n, self.number))}"}) for n in range(400)]
        now = self.clock.now_us()
        batch = make_batch(rows, topic=topic, times_us=[now] * 400, received_at_us=now)
        known = self.topics.setdefault(topic, Topic())
        assert self.run(self.log.append(batch)).first_offset == len(known.entries)
        known.entries.extend(("theirs", event_id) for event_id in batch.ids)
        known.max_time = max(known.max_time or 0, now)

    @rule(topic=TOPICS, ahead_s=st.integers(0, 30))
    def tick(self, topic: str, ahead_s: int) -> None:
        time_us = self.clock.now_us() + ahead_s * SECOND_US
        self.run(self.log.tick(topic, time_us))
        known = self.topics.get(topic)
        if known is not None and known.entries and (known.max_time or 0) < time_us:
            known.entries.append(None)
            known.max_time = time_us

    @rule(seconds=st.integers(1, 600))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-86_400, -60, 60, 86_400]))
    def jump(self, seconds: int) -> None:
        """The wall clock is set; nothing that is kept may depend on it."""
        self.clock.jump(seconds)

    @rule(topic=TOPICS, group=GROUPS, share=st.floats(0, 1))
    def commit(self, topic: str, group: str, share: float) -> None:
        known = self.topics.get(topic)
        if known is not None:
            offset = int(len(known.entries) * share)
            self.run(self.log.commit(group, {TopicPartition(topic, 0): offset}))
            known.positions[group] = max(known.positions.get(group, 0), offset)

    @rule()
    def reopen(self) -> None:
        self.run(self.log.__aexit__(None, None, None))
        self.log = self.open()

    @rule(max_bytes=st.sampled_from([1, 100_000, 2**40]))
    def trim(self, max_bytes: int) -> None:
        removed = self.run(self.log.trim(Retention(max_bytes=max_bytes)))
        gone = 0
        for state in self.run(self.log.state()).partitions:
            known = self.topics[state.topic]
            assert state.start_offset >= known.start
            before = known.readable()
            known.start = state.start_offset
            lost = [at for at, _ in before if at < known.start]
            # What was erased whole may go at any time; what can be read goes only when every group had it.
            assert not lost or max(lost) < min(known.positions.values(), default=0)
            gone += len(lost)
        assert removed == gone

    @rule(source=SOURCES, first=st.floats(0, 1))
    def erase(self, source: str, first: float) -> None:
        """Everything of a source in both topics, or nothing of an unknown one."""
        wanted = source if first < 0.3 else "nobody"
        matching = {
            name: {at for at, _ in known.readable() if (known.entries[at] or ("", ""))[0] == wanted}
            for name, known in self.topics.items()
        }
        erased = self.run(self.log.erase(Erasure(source=wanted)))
        assert erased == sum(map(len, matching.values()))
        for name, offsets in matching.items():
            known = self.topics[name]
            known.erased |= offsets
            known.keys -= {entry for at in offsets if (entry := known.entries[at]) is not None}

    @rule(topic=TOPICS, share=st.floats(0, 1))
    def read(self, topic: str, share: float) -> None:
        known = self.topics.get(topic, Topic())
        offset = int(len(known.entries) * share)
        batches = self.run(read_all(self.log, TopicPartition(topic, 0), offset))
        assert [pair for pair in flat(batches) if pair[0] >= offset] == known.readable(offset)

    @rule(topic=TOPICS, group=GROUPS)
    def follow(self, topic: str, group: str) -> None:
        known = self.topics.get(topic)
        if known is not None:
            start = known.positions.get(group, 0)
            wanted = known.readable(start)
            found = self.run(self.some(group, topic, len(wanted), start))
            assert found == wanted

    async def some(self, group: str, topic: str, count: int, start: int) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        async with aclosing(self.log.follow(group, [topic])) as batches:
            while len(found) < count:
                found.extend(pair for pair in flat([await anext(batches)]) if pair[0] >= start)
        return found

    @invariant()
    def figures_hold(self) -> None:
        if not hasattr(self, "log"):
            return
        for state in self.run(self.log.state()).partitions:
            known = self.topics[state.topic]
            events = sum(entry is not None for entry in known.entries)
            assert (state.end_offset, state.events_total) == (len(known.entries), events)
            assert state.repeats_total == known.repeats
            assert state.events_total - state.events_trimmed - state.events_erased == len(known.readable())
            assert state.max_time_us == known.max_time
            assert state.positions == known.positions


def flat(batches: list[LogBatch]) -> list[tuple[int, str]]:
    return [(batch.first_offset + index, event_id) for batch in batches for index, event_id in enumerate(batch.ids)]


TestLogModel = LogMachine.TestCase
TestLogModel.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes; the steps are printed as they are
)
