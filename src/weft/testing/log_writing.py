"""The promises of the port `Log` about appending: durability, order, repeats."""

import asyncio

import pytest

from weft.core.batch import Batch
from weft.core.errors import Conflict, Unavailable
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import (
    Lack,
    LogGround,
    LogTests,
    ids_of,
    offset_of,
    offsets_of,
    only,
    read_all,
)


class LogWriting(LogTests):
    """Appending and repeats."""

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
        self.needs(Lack.REPEATS)
        await log.append(make_batch([make_row(1, id="a"), make_row(2, id="b")]))
        answer = await log.append(make_batch([make_row(3, id="c"), make_row(1, id="a"), make_row(4, id="d")]))
        assert list(answer.repeats) == [1]
        assert answer.first_offset == 2
        assert ids_of(await read_all(log, TopicPartition("events", answer.partition))) == ["a", "b", "c", "d"]

    async def test_a_batch_of_repeats_has_no_offset(self, log: Log) -> None:
        self.needs(Lack.REPEATS)
        await log.append(make_batch([make_row(1, id="a")]))
        answer = await log.append(make_batch([make_row(1, id="a")]))
        assert (answer.first_offset, list(answer.repeats)) == (None, [0])

    async def test_a_repeat_inside_one_batch_is_found(self, log: Log) -> None:
        self.needs(Lack.REPEATS)
        answer = await log.append(make_batch([make_row(1, id="a"), make_row(2, id="a"), make_row(3, id="b")]))
        assert list(answer.repeats) == [1]
        assert ids_of(await read_all(log, TopicPartition("events", answer.partition))) == ["a", "b"]

    async def test_of_concurrent_repeats_one_is_stored(self, log: Log) -> None:
        self.needs(Lack.REPEATS)
        answers = await asyncio.gather(*(log.append(make_batch([make_row(1, id="a")])) for _ in range(20)))
        assert sum(answer.first_offset is not None for answer in answers) == 1

    async def test_a_repeat_is_found_after_opening_again(self, ground: LogGround) -> None:
        self.needs(Lack.REPEATS)
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
        self.needs(Lack.REPEATS)
        for _ in range(3):
            await log.append(make_batch([make_row(1, id="a")]))
        state = await only(log)
        assert (state.events_total, state.repeats_total) == (1, 2)
