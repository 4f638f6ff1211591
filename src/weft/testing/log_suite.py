"""The promises of the port `Log`, one test each. An adapter's test subclasses `LogSuite` and supplies the fixture `ground`.

class TestKafkaLog(LogSuite):
    lacks = frozenset({Lack.ERASE})

    @pytest.fixture
    def ground(self, broker) -> LogGround: ...
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum
from hashlib import shake_128
from typing import ClassVar, Protocol

import pytest

from weft.core.batch import Batch, LogBatch, split_rows
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Unavailable
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.core.times import MINUTE_US, SECOND_US
from weft.core.watermark import watermark_after_us, watermarks_us
from weft.log.port import Log, PartitionState, Retention
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_batch, make_row

WAIT_S = 20.0
"""Longer than anything here takes: a test that waits this long has found a hang."""


class Lack(StrEnum):
    """What an adapter may declare that it cannot do."""

    TRIM = "trim"
    ERASE = "erase"
    TICK = "tick"
    READERS = "readers"


class LogGround(Protocol):
    """Where the tests of one adapter take place: at first empty, and the same however often it is opened."""

    @property
    def clock(self) -> ManualClock:
        """The clock of every log opened here."""
        ...

    def open(self, *, append: bool = True) -> Log:
        """A log on this ground, not entered yet. Segments, where there are such, hold at most about 64 KiB."""
        ...


class LogSuite:
    """One test per promise. `lacks` names what the adapter declares it cannot do."""

    lacks: ClassVar[frozenset[Lack]] = frozenset()

    @pytest.fixture
    def ground(self) -> LogGround:
        """Supplied by the adapter's test."""
        raise NotImplementedError

    @pytest.fixture
    async def log(self, ground: LogGround) -> AsyncGenerator[Log, None]:
        """An open, empty log."""
        async with ground.open() as log:
            yield log

    def needs(self, *lacks: Lack) -> None:
        """Skip where the adapter declares that it cannot do this."""
        missing = self.lacks & frozenset(lacks)
        if missing:
            pytest.skip(f"this log declares that it cannot {', '.join(sorted(missing))}")

    # Appending

    async def test_what_was_appended_is_read_back_unchanged(self, log: Log) -> None:
        batch = make_batch([make_row(n, id=f"id-{n}", tags=("a",)) for n in range(5)], times_us=[5, 3, 4, 1, 2])
        appended = await log.append(batch)
        (found,) = await log.read(TopicPartition("events", appended.partition), 0)
        assert (found.topic, found.first_offset, found.count) == ("events", appended.first_offset, 5)
        assert found.rows == batch.rows
        assert list(found.ids) == list(batch.ids)
        assert found.times_us.tolist() == [5, 3, 4, 1, 2]
        assert found.received_at_us.tolist() == [batch.received_at_us] * 5
        assert found.columns.num_rows == 5

    async def test_generated_ids_are_read_back_unchanged(self, log: Log) -> None:
        batch = make_batch(300)
        appended = await log.append(batch)
        assert ids_of(await read_all(log, TopicPartition("events", appended.partition))) == list(batch.ids)

    async def test_times_far_apart_are_read_back_unchanged(self, log: Log) -> None:
        times = [0, 2**62, -(2**61), 7, 2**62]
        appended = await log.append(make_batch(5, times_us=times))
        (found,) = await read_all(log, TopicPartition("events", appended.partition))
        assert found.times_us.tolist() == times

    async def test_offsets_are_consecutive_and_follow_the_order_of_appends(self, log: Log) -> None:
        answers = [await log.append(make_batch(count)) for count in (3, 1, 7)]
        assert [answer.first_offset for answer in answers] == [0, 3, 4]
        batches = await read_all(log, TopicPartition("events", answers[0].partition))
        assert offsets_of(batches) == list(range(11))

    async def test_each_topic_has_offsets_of_its_own(self, log: Log) -> None:
        await log.append(make_batch(2, topic="a"))
        assert (await log.append(make_batch(2, topic="b"))).first_offset == 0

    async def test_an_answer_names_its_durability(self, log: Log) -> None:
        assert (await log.append(make_batch(1))).durability in {"fsync", "replicated"}

    async def test_an_empty_batch_is_nothing(self, log: Log) -> None:
        assert (await log.append(make_batch(0))).first_offset is None

    async def test_what_was_acknowledged_is_there_after_opening_again(self, ground: LogGround) -> None:
        async with ground.open() as log:
            batch = make_batch(10)
            appended = await log.append(batch)
        async with ground.open() as log:
            batches = await read_all(log, TopicPartition("events", appended.partition))
            assert ids_of(batches) == list(batch.ids)

    async def test_offsets_go_on_after_opening_again(self, ground: LogGround) -> None:
        async with ground.open() as log:
            await log.append(make_batch(4))
        async with ground.open() as log:
            assert (await log.append(make_batch(1))).first_offset == 4

    async def test_many_concurrent_appends_are_all_kept_and_each_knows_its_place(self, log: Log) -> None:
        batches = [make_batch(1 + n % 3) for n in range(200)]
        answers = await asyncio.gather(*(log.append(batch) for batch in batches))
        at = TopicPartition("events", answers[0].partition)
        ids = ids_of(await read_all(log, at))
        for batch, answer in zip(batches, answers, strict=True):
            first = answer.first_offset
            assert first is not None
            assert ids[first : first + batch.count] == list(batch.ids)
        assert len(ids) == sum(batch.count for batch in batches)

    async def test_events_of_one_caller_keep_their_order(self, log: Log) -> None:
        async def call(name: str) -> list[int]:
            return [offset_of(await log.append(make_batch([make_row(source=name)]))) for _ in range(30)]

        for offsets in await asyncio.gather(*(call(f"caller-{n}") for n in range(5))):
            assert offsets == sorted(offsets)

    async def test_closing_drains_what_was_accepted(self, ground: LogGround) -> None:
        async with ground.open() as log:
            waiting = [asyncio.ensure_future(log.append(make_batch(50))) for _ in range(20)]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*waiting)
        async with ground.open() as log:
            batches = await read_all(log, TopicPartition("events", answers[0].partition))
            assert sum(batch.count for batch in batches) == 1000

    async def test_a_log_opened_for_reading_takes_nothing(self, ground: LogGround) -> None:
        self.needs(Lack.READERS)
        async with ground.open(), ground.open(append=False) as reader:
            with pytest.raises(Conflict):
                await reader.append(make_batch(1))

    async def test_a_closed_log_takes_nothing(self, ground: LogGround) -> None:
        async with ground.open() as log:
            pass
        with pytest.raises(Unavailable):
            await log.append(make_batch(1))

    # Repeats

    async def test_a_repeat_is_not_stored_again(self, log: Log) -> None:
        await log.append(make_batch([make_row(1, id="a"), make_row(2, id="b")]))
        answer = await log.append(make_batch([make_row(3, id="c"), make_row(1, id="a"), make_row(4, id="d")]))
        assert list(answer.repeats) == [1]
        assert answer.first_offset == 2
        assert ids_of(await read_all(log, TopicPartition("events", answer.partition))) == ["a", "b", "c", "d"]

    async def test_a_batch_of_repeats_has_no_offset(self, log: Log) -> None:
        await log.append(make_batch([make_row(1, id="a")]))
        answer = await log.append(make_batch([make_row(1, id="a")]))
        assert (answer.first_offset, list(answer.repeats)) == (None, [0])

    async def test_a_repeat_inside_one_batch_is_found(self, log: Log) -> None:
        answer = await log.append(make_batch([make_row(1, id="a"), make_row(2, id="a"), make_row(3, id="b")]))
        assert list(answer.repeats) == [1]
        assert ids_of(await read_all(log, TopicPartition("events", answer.partition))) == ["a", "b"]

    async def test_of_concurrent_repeats_one_is_stored(self, log: Log) -> None:
        answers = await asyncio.gather(*(log.append(make_batch([make_row(1, id="a")])) for _ in range(20)))
        assert sum(answer.first_offset is not None for answer in answers) == 1

    async def test_a_repeat_is_found_after_opening_again(self, ground: LogGround) -> None:
        async with ground.open() as log:
            await log.append(make_batch([make_row(n, id=f"id-{n}") for n in range(100)]))
        async with ground.open() as log:
            answer = await log.append(make_batch([make_row(0, id="new"), make_row(7, id="id-7")]))
            assert list(answer.repeats) == [1]

    async def test_the_same_id_from_another_source_is_another_event(self, log: Log) -> None:
        await log.append(make_batch([make_row(1, id="a", source="one")]))
        assert not (await log.append(make_batch([make_row(1, id="a", source="two")]))).repeats

    async def test_the_same_event_in_another_topic_is_another_event(self, log: Log) -> None:
        await log.append(make_batch([make_row(1, id="a")], topic="one"))
        assert not (await log.append(make_batch([make_row(1, id="a")], topic="two"))).repeats

    async def test_equal_keys_with_different_texts_are_different_events(self, log: Log) -> None:
        first = make_batch([make_row(1, id="a")])
        other = make_batch([make_row(2, id="b")])
        collision = Batch(
            topic=other.topic,
            rows=other.rows,
            ids=other.ids,
            times_us=other.times_us,
            received_at_us=other.received_at_us,
            repeat_keys=first.repeat_keys,
        )
        await log.append(first)
        assert not (await log.append(collision)).repeats
        assert not (await log.append(make_batch([make_row(3, id="c")]))).repeats

    async def test_events_without_ids_of_their_own_never_repeat(self, log: Log) -> None:
        batch = make_batch([make_row(1)])
        answers = [await log.append(batch), await log.append(batch)]
        assert [answer.first_offset for answer in answers] == [0, 1]

    async def test_repeats_are_counted(self, log: Log) -> None:
        for _ in range(3):
            await log.append(make_batch([make_row(1, id="a")]))
        state = await only(log)
        assert (state.events_total, state.repeats_total) == (1, 2)

    # Reading

    async def test_the_end_reads_as_nothing(self, log: Log) -> None:
        appended = await log.append(make_batch(3))
        assert list(await log.read(TopicPartition("events", appended.partition), 3)) == []

    async def test_an_unknown_topic_reads_as_nothing(self, log: Log) -> None:
        assert list(await log.read(TopicPartition("nowhere", 0), 0)) == []

    async def test_an_offset_inside_a_batch_gives_the_whole_batch(self, ground: LogGround) -> None:
        async with ground.open() as log:
            appended = await log.append(make_batch(10))
            at = TopicPartition("events", appended.partition)
            assert (await log.read(at, 7))[0].first_offset == 0
        async with ground.open() as log:
            assert (await log.read(at, 7))[0].first_offset == 0

    async def test_reading_stops_at_about_max_bytes_but_gives_at_least_one(self, ground: LogGround) -> None:
        async with ground.open() as log:
            appends = [await log.append(make_batch(100)) for _ in range(10)]
        at = TopicPartition("events", appends[0].partition)
        async with ground.open() as log:
            assert 1 < len(await log.read(at, 0, max_bytes=30_000)) < 10
            assert len(await log.read(at, 900, max_bytes=1)) == 1

    async def test_readers_of_one_process_share_a_batch(self, log: Log) -> None:
        appended = await log.append(make_batch(10))
        at = TopicPartition("events", appended.partition)
        assert (await log.read(at, 0))[0] is (await log.read(at, 0))[0]

    # The watermark's raw material

    async def test_the_largest_time_before_a_batch_is_known(self, log: Log) -> None:
        appends = [await log.append(make_batch(len(times), times_us=times)) for times in ([50, 10], [20], [70], [30])]
        batches = await read_all(log, TopicPartition("events", appends[0].partition))
        assert before_each(batches) == [None, 50, 50, 70]

    async def test_an_event_too_far_ahead_moves_nobody_elses_time(self, log: Log) -> None:
        ahead = NOON_US + 6 * MINUTE_US
        appends = [await log.append(make_batch(1, times_us=[time])) for time in (NOON_US, ahead, NOON_US + SECOND_US)]
        batches = await read_all(log, TopicPartition("events", appends[0].partition))
        assert before_each(batches) == [None, NOON_US, NOON_US]
        assert (await only(log)).max_time_us == NOON_US + SECOND_US

    async def test_the_watermark_is_the_same_however_appends_were_grouped(self, ground: LogGround) -> None:
        times = [NOON_US + offset for offset in (5, 1, 9, 400 * SECOND_US, 2, 12, 3)]
        async with ground.open() as log:
            await asyncio.gather(*(log.append(make_batch(1, topic="a", times_us=[time])) for time in times))
            for time in times:
                await log.append(make_batch(1, topic="b", times_us=[time]))
            appended = await log.append(make_batch(len(times), topic="c", times_us=times))
            marks: list[list[int]] = []
            for topic in "abc":
                batches = await read_all(log, TopicPartition(topic, appended.partition))
                marks.append([mark for batch in batches for mark in watermarks_us(batch, 0).tolist()])
        assert marks[0] == marks[1] == marks[2]

    async def test_a_tick_takes_one_offset_and_moves_time_on(self, log: Log) -> None:
        self.needs(Lack.TICK)
        await log.append(make_batch(2, times_us=[10, 20]))
        await log.tick("events", 500)
        appended = await log.append(make_batch(1, times_us=[30]))
        batches = await read_all(log, TopicPartition("events", appended.partition))
        tick = batches[-2]
        assert (tick.count, tick.first_offset, tick.next_offset, tick.tick_us) == (0, 2, 3, 500)
        assert appended.first_offset == 3
        assert batches[-1].max_time_before_us == 500
        assert watermark_after_us(tick, 0) == 500
        state = await only(log)
        assert (state.events_total, state.end_offset) == (3, 4)

    async def test_a_tick_that_moves_nothing_is_not_stored(self, log: Log) -> None:
        self.needs(Lack.TICK)
        await log.append(make_batch(1, times_us=[100]))
        await log.tick("events", 100)
        await log.tick("nowhere", 100)
        assert (await only(log)).end_offset == 1

    async def test_a_tick_is_there_after_opening_again(self, ground: LogGround) -> None:
        self.needs(Lack.TICK)
        async with ground.open() as log:
            await log.append(make_batch(1, times_us=[100]))
            await log.tick("events", 900)
        async with ground.open() as log:
            state = await only(log)
            assert (state.max_time_us, state.appended_at_us, state.end_offset) == (900, NOON_US, 2)

    # Following and committing

    async def test_a_new_group_begins_at_the_oldest_event(self, log: Log) -> None:
        await log.append(make_batch(3))
        batches = await follow_until(log, "group", ["events"], 3)
        assert offsets_of(batches) == [0, 1, 2]

    async def test_a_follower_is_woken_by_an_append(self, log: Log) -> None:
        async with aclosing(log.follow("group", ["events"])) as batches:
            waiting = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await log.append(make_batch(1))
            assert (await asyncio.wait_for(waiting, WAIT_S)).first_offset == 0

    async def test_a_follower_is_woken_by_an_append_of_another_process(self, ground: LogGround) -> None:
        self.needs(Lack.READERS)
        async with (
            ground.open() as log,
            ground.open(append=False) as reader,
            aclosing(reader.follow("group", ["*"])) as batches,
        ):
            for offset in range(3):
                waiting = asyncio.ensure_future(anext(batches))
                await asyncio.sleep(0.02)
                await log.append(make_batch(1))
                assert (await asyncio.wait_for(waiting, WAIT_S)).first_offset == offset

    async def test_a_follower_sees_only_its_topics(self, log: Log) -> None:
        for topic in ("one", "two", "three"):
            await log.append(make_batch(1, topic=topic))
        batches = await follow_until(log, "group", ["one", "three"], 2)
        assert {batch.topic for batch in batches} == {"one", "three"}

    async def test_a_star_follows_topics_that_come_later_too(self, log: Log) -> None:
        async with aclosing(log.follow("group", ["*"])) as batches:
            for topic in ("one", "two"):
                await log.append(make_batch(1, topic=topic))
                assert (await asyncio.wait_for(anext(batches), WAIT_S)).topic == topic

    async def test_a_group_goes_on_where_it_committed(self, ground: LogGround) -> None:
        async with ground.open() as log:
            appends = [await log.append(make_batch(2)) for _ in range(3)]
            await log.commit("group", {TopicPartition("events", appends[0].partition): 4})
        async with ground.open() as log:
            assert offsets_of(await follow_until(log, "group", ["events"], 2)) == [4, 5]

    async def test_what_was_not_committed_comes_again(self, log: Log) -> None:
        await log.append(make_batch(2))
        first = await follow_until(log, "group", ["events"], 2)
        assert offsets_of(await follow_until(log, "group", ["events"], 2)) == offsets_of(first)

    async def test_a_given_start_counts_more_than_what_was_committed(self, log: Log) -> None:
        appends = [await log.append(make_batch(1)) for _ in range(3)]
        at = TopicPartition("events", appends[0].partition)
        await log.commit("group", {at: 3})
        batches: list[LogBatch] = []
        async with aclosing(log.follow("group", ["events"], start={at: 1})) as following:
            async for batch in following:
                batches.append(batch)
                if batch.next_offset == 3:
                    break
        assert offsets_of(batches) == [1, 2]

    async def test_groups_are_independent(self, log: Log) -> None:
        appended = await log.append(make_batch(2))
        await log.commit("one", {TopicPartition("events", appended.partition): 2})
        assert offsets_of(await follow_until(log, "two", ["events"], 2)) == [0, 1]

    async def test_a_position_never_moves_back(self, log: Log) -> None:
        appended = await log.append(make_batch(5))
        at = TopicPartition("events", appended.partition)
        await log.commit("group", {at: 4})
        await log.commit("group", {at: 2})
        assert (await only(log)).positions == {"group": 4}

    async def test_followers_end_when_the_log_is_closed(self, ground: LogGround) -> None:
        async with ground.open() as log:
            waiting = asyncio.ensure_future(collect(log))
            await asyncio.sleep(0.02)
        assert await asyncio.wait_for(waiting, WAIT_S) == []

    # Trimming

    async def test_what_every_group_consumed_and_is_old_is_trimmed(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        async with ground.open() as log:
            at, total = await fill(log)
            await log.commit("group", {at: total})
            ground.clock.advance(3600)
            removed = await log.trim(Retention(max_age_s=60))
            state = await only(log)
            assert removed == total
            assert (state.start_offset, state.events_trimmed, state.events_total) == (total, total, total)
            assert (await log.append(make_batch(1))).first_offset == total
            assert (await log.read(at, 0))[0].first_offset == total

    async def test_what_a_group_has_not_consumed_is_kept(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        async with ground.open() as log:
            at, total = await fill(log)
            await log.commit("fast", {at: total})
            await log.commit("slow", {at: total // 2})
            ground.clock.advance(3600)
            await log.trim(Retention(max_age_s=60, max_bytes=1))
            state = await only(log)
            assert 0 < state.start_offset <= total // 2
            assert offsets_of(await read_all(log, at, state.start_offset)) == list(range(state.start_offset, total))

    async def test_what_is_young_and_fits_is_kept(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        async with ground.open() as log:
            at, total = await fill(log)
            await log.commit("group", {at: total})
            assert await log.trim(Retention(max_age_s=3600, max_bytes=2**40)) == 0

    async def test_what_is_too_much_and_consumed_is_trimmed_though_it_is_young(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        async with ground.open() as log:
            at, total = await fill(log)
            await log.commit("group", {at: total})
            removed = await log.trim(Retention(max_bytes=200_000))
            state = await only(log)
            assert 0 < removed == state.events_trimmed < total
            assert offsets_of(await read_all(log, at, 0)) == list(range(state.start_offset, total))

    async def test_what_no_group_consumes_is_kept_until_it_is_old(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        async with ground.open() as log:
            _, total = await fill(log)
            assert await log.trim(Retention(max_age_s=3600, max_bytes=1)) == 0
            ground.clock.advance(7200)
            assert await log.trim(Retention(max_age_s=3600)) == total

    async def test_a_trimmed_log_opens_again_with_the_same_figures(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        async with ground.open() as log:
            at, total = await fill(log)
            await log.commit("group", {at: total})
            await log.trim(Retention(max_bytes=200_000))
            before = await only(log)
        async with ground.open() as log:
            assert await only(log) == before

    async def test_a_repeat_of_a_trimmed_event_is_still_a_repeat_inside_the_horizon(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM)
        known = make_batch([make_row(n, id=f"id-{n}") for n in range(10)])
        async with ground.open() as log:
            appended = await log.append(known)
            at, total = await fill(log)
            await log.commit("group", {at: total})
            ground.clock.advance(60)
            assert await log.trim(Retention(max_age_s=1)) == total
            assert list((await log.append(known)).repeats) == list(range(10))
            assert appended.first_offset == 0
        async with ground.open() as log:
            assert list((await log.append(known)).repeats) == list(range(10))
            assert not (await log.append(make_batch([make_row(1, id="other")]))).repeats

    # Erasing

    async def test_erased_events_are_gone_and_the_others_keep_their_offsets(self, ground: LogGround) -> None:
        self.needs(Lack.ERASE)
        rows = [make_row(n, source="mine" if n % 3 == 0 else "theirs") for n in range(10)]
        async with ground.open() as log:
            appended = await log.append(make_batch(rows))
            at = TopicPartition("events", appended.partition)
            assert await log.erase(Erasure(source="mine")) == 4
            await self._only_theirs_are_left(log, at)
        async with ground.open() as log:
            await self._only_theirs_are_left(log, at)

    async def _only_theirs_are_left(self, log: Log, at: TopicPartition) -> None:
        batches = await read_all(log, at)
        assert offsets_of(batches) == [1, 2, 4, 5, 7, 8]
        assert all(row.source == "theirs" for batch in batches for row in batch.event_rows)
        state = await only(log)
        assert (state.events_total, state.events_erased, state.end_offset) == (10, 4, 10)

    async def test_every_given_condition_must_hold(self, log: Log) -> None:
        self.needs(Lack.ERASE)
        rows = [make_row(n, source="s", subject="a" if n < 5 else "b") for n in range(10)]
        await log.append(make_batch(rows, times_us=list(range(10))))
        assert await log.erase(Erasure(subject="a", start_us=2, end_us=7)) == 3

    async def test_erasing_again_finds_nothing(self, log: Log) -> None:
        self.needs(Lack.ERASE)
        await log.append(make_batch([make_row(1, source="mine")]))
        assert await log.erase(Erasure(source="mine")) == 1
        assert await log.erase(Erasure(source="mine")) == 0

    async def test_followers_step_over_what_was_erased(self, log: Log) -> None:
        self.needs(Lack.ERASE)
        for source in ("a", "mine", "mine", "b"):
            await log.append(make_batch([make_row(source=source)]))
        await log.erase(Erasure(source="mine"))
        assert offsets_of(await follow_until(log, "group", ["events"], 2)) == [0, 3]

    async def test_events_erased_at_the_end_leave_the_end_where_it_was(self, ground: LogGround) -> None:
        self.needs(Lack.ERASE)
        async with ground.open() as log:
            await log.append(make_batch([make_row(source="a"), make_row(source="mine")]))
            await log.erase(Erasure(source="mine"))
        async with ground.open() as log:
            assert (await log.append(make_batch(1))).first_offset == 2

    async def test_erased_events_still_count_for_the_watermark(self, log: Log) -> None:
        self.needs(Lack.ERASE)
        rows = [make_row(source=source) for source in ("a", "mine", "b", "c")]
        appended = await log.append(make_batch(rows, times_us=[1, 90, 3, 4]))
        await log.erase(Erasure(source="mine"))
        batches = await read_all(log, TopicPartition("events", appended.partition))
        assert before_each(batches) == [None, 90]

    async def test_what_was_erased_is_trimmed_once_and_not_counted_twice(self, ground: LogGround) -> None:
        self.needs(Lack.ERASE, Lack.TRIM)
        async with ground.open() as log:
            appended = await log.append(make_batch([make_row(source="a"), make_row(source="mine"), make_row(source="b")]))
            await log.erase(Erasure(source="mine"))
            await log.commit("group", {TopicPartition("events", appended.partition): 3})
            ground.clock.advance(3600)
            assert await log.trim(Retention(max_age_s=60)) == 2
            state = await only(log)
            assert (state.events_total, state.events_trimmed, state.events_erased) == (3, 2, 1)

    # State

    async def test_the_state_knows_ends_totals_and_times(self, log: Log) -> None:
        await log.append(make_batch(3, times_us=[5, 9, 7]))
        state = await only(log)
        assert (state.start_offset, state.end_offset, state.events_total) == (0, 3, 3)
        assert (state.max_time_us, state.appended_at_us) == (9, NOON_US)
        whole = await log.state()
        assert whole.writable
        assert whole.refusal is None
        assert whole.size_bytes > 0
        assert whole.flush_p50_s is not None

    async def test_the_state_is_the_same_after_opening_again(self, ground: LogGround) -> None:
        async with ground.open() as log:
            appended = await log.append(make_batch([make_row(1, id="a"), make_row(1, id="a")]))
            await log.append(make_batch(5, topic="other"))
            await log.commit("group", {TopicPartition("events", appended.partition): 1})
            before = (await log.state()).partitions
        async with ground.open() as log:
            assert (await log.state()).partitions == before

    async def test_a_reader_sees_the_same_state(self, ground: LogGround) -> None:
        self.needs(Lack.READERS)
        async with ground.open() as log, ground.open(append=False) as reader:
            await log.append(make_batch(5))
            assert (await reader.state()).partitions == (await log.state()).partitions
            assert not (await reader.state()).writable


async def read_all(log: Log, at: TopicPartition, offset: int = 0) -> list[LogBatch]:
    """Every batch of a partition from an offset on."""
    found: list[LogBatch] = []
    while batches := await log.read(at, offset):
        found.extend(batches)
        offset = batches[-1].next_offset
    return found


async def follow_until(log: Log, group: str, topics: list[str], count: int) -> list[LogBatch]:
    """The batches a group gets until they hold `count` events."""
    found: list[LogBatch] = []

    async def follow() -> None:
        async with aclosing(log.follow(group, topics)) as batches:
            async for batch in batches:
                found.append(batch)
                if sum(batch.count for batch in found) >= count:
                    return

    await asyncio.wait_for(follow(), WAIT_S)
    return found


async def collect(log: Log) -> list[LogBatch]:
    """Everything a follower gets until it ends."""
    return [batch async for batch in log.follow("group", ["*"])]


async def fill(log: Log, batches: int = 12, events: int = 300) -> tuple[TopicPartition, int]:
    """Several segments full; returns the partition and its end."""
    for number in range(batches):
        texts = (shake_128(f"{number}/{n}".encode()).hexdigest(60) for n in range(events))
        rows: list[EventRow] = [make_row(n, data={"text": text}) for n, text in enumerate(texts)]
        await log.append(make_batch(rows))
    state = await only(log)
    return TopicPartition("events", state.partition), state.end_offset


async def only(log: Log, topic: str = "events") -> PartitionState:
    """The state of the one partition of a topic."""
    (state,) = [state for state in (await log.state()).partitions if state.topic == topic]
    return state


def ids_of(batches: list[LogBatch]) -> list[str]:
    """All ids in order."""
    return [event_id for batch in batches for event_id in batch.ids]


def offsets_of(batches: list[LogBatch]) -> list[int]:
    """All offsets of events in order; each batch is checked to hold as many rows as it says."""
    for batch in batches:
        assert len(split_rows(batch.rows)) == batch.count
    return [offset for batch in batches for offset in range(batch.first_offset, batch.first_offset + batch.count)]


def before_each(batches: list[LogBatch]) -> list[int | None]:
    """What each batch says of the time before it."""
    return [batch.max_time_before_us for batch in batches]


def offset_of(appended: object) -> int:
    """The first offset of an answer that has one."""
    offset = getattr(appended, "first_offset", None)
    assert isinstance(offset, int)
    return offset
