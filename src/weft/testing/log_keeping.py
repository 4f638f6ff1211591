"""The promises of the port `Log` about trimming, erasing and its state."""

from weft.core.erasure import Erasure
from weft.core.position import TopicPartition
from weft.log.port import Log, Retention
from weft.testing.factories import NOON_US, make_batch, make_row
from weft.testing.log_ground import Lack, LogGround, LogTests, before_each, fill, follow_until, offsets_of, only, read_all


class LogKeeping(LogTests):
    """Trimming, erasing and the state."""

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
        self.needs(Lack.TRIM, Lack.TRIM_SIZE)
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
        self.needs(Lack.TRIM, Lack.TRIM_SIZE)
        async with ground.open() as log:
            at, total = await fill(log)
            await log.commit("group", {at: total})
            await log.trim(Retention(max_bytes=200_000))
            before = await only(log)
        async with ground.open() as log:
            assert await only(log) == before

    async def test_a_repeat_of_a_trimmed_event_is_still_a_repeat_inside_the_horizon(self, ground: LogGround) -> None:
        self.needs(Lack.TRIM, Lack.REPEATS)
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

    # Which log it is

    async def test_a_log_keeps_its_name_over_restarts_and_tells_it_to_readers(self, ground: LogGround) -> None:
        async with ground.open() as log:
            name = await log.identity()
            await log.append(make_batch(3))
            assert await log.identity() == name
        async with ground.open() as again:
            assert await again.identity() == name
        async with ground.open(append=False) as reader:
            assert await reader.identity() == name
