"""The promises of the port `Log` about reading, time, following and committing."""

import asyncio
from contextlib import aclosing

from weft.core.batch import LogBatch
from weft.core.position import TopicPartition
from weft.core.times import MINUTE_US, SECOND_US
from weft.core.watermark import watermark_after_us, watermarks_us
from weft.log.port import Log
from weft.testing.factories import NOON_US, make_batch
from weft.testing.log_ground import (
    WAIT_S,
    Lack,
    LogGround,
    LogTests,
    before_each,
    collect,
    follow_until,
    offsets_of,
    only,
    read_all,
)


class LogReading(LogTests):
    """Reading, time, following and committing."""

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
