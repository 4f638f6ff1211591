"""The promises of the store's port, one test each. An adapter's test subclasses `StoreSuite` and gives `open_store`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import numpy as np
import pytest

from weft.core.batch import LogBatch
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Corrupt, Invalid
from weft.core.ids import new_id
from weft.core.position import TopicPartition
from weft.store.port import EventStore
from weft.store.query import Aggregate, Filter, Select
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_model import events_of
from weft.testing.store_questions import StoreQuestions

OpenStore = Callable[[], AbstractAsyncContextManager[EventStore]]
"""Opens the store; every call of one test opens the same one, so that closing and opening again is a restart."""

PLACE = TopicPartition("events", 0)


def given_batch(
    ids: Sequence[str], *, partition: int = 0, first_offset: int = 0, topic: str = "events", source: str = "test"
) -> LogBatch:
    """A log batch of events whose ids the client gave."""
    rows = [make_row(number, id=name, source=source) for number, name in enumerate(ids)]
    return make_log_batch(rows, partition=partition, first_offset=first_offset, topic=topic)


def tick_at(offset: int) -> LogBatch:
    """A tick."""
    nothing = np.empty(0, dtype=np.int64)
    return replace(
        make_log_batch(1), first_offset=offset, rows=b"", ids=(), times_us=nothing, received_at_us=nothing, tick_us=NOON_US
    )


async def count(store: EventStore, topic: str = "events") -> int:
    """How many events of a topic the store has."""
    groups = await store.aggregate(Aggregate(filter=Filter(topic=topic), group_by=()))
    return int(groups[0].value or 0)


class StoreSuite(StoreQuestions):
    """What every event store promises."""

    async def test_what_was_written_is_found_as_soon_as_write_returns(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            batch = make_log_batch(20)
            await store.write([batch])
            assert await store.get(batch.ids[7]) == events_of(batch)[7]
            assert (await store.select(Select(filter=Filter(), order="asc"))).events == events_of(batch)
            assert await count(store) == 20

    async def test_an_event_comes_back_with_every_field_it_was_given(self, open_store: OpenStore) -> None:
        row = make_row(
            id="order-1",
            type="api.request",
            source="shop/till-3",
            subject="basket",
            severity="critical",
            user_id="ada",
            session_id="s-1",
            correlation_id="c-1",
            tags=("eu", "b", "eu"),
            data={"n": 1, "deep": {"list": [1, None, "ä"]}, "big": 2**53 + 1},
            metadata={"agent": "x"},
        )
        batch = make_log_batch([row], times_us=[NOON_US - 5], received_at_us=NOON_US)
        async with open_store() as store:
            await store.write([batch])
        async with open_store() as store:
            await store.write([batch])
            assert await store.get("order-1") == events_of(batch)[0]

    async def test_a_batch_below_the_position_is_ignored(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            batch = make_log_batch(10)
            await store.write([batch, batch])
            await store.write([batch])
            assert await count(store) == 10

    async def test_of_a_batch_that_overlaps_the_position_only_the_new_part_is_taken(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            batch = make_log_batch(10)
            rows = batch.rows.split(b"},{")
            head = replace(
                batch,
                rows=b"},{".join(rows[:4]) + b"}",
                ids=batch.ids[:4],
                times_us=batch.times_us[:4],
                received_at_us=batch.received_at_us[:4],
            )
            await store.write([head])
            await store.write([batch])
            assert [event.offset for event in (await store.select(Select(filter=Filter(), order="asc"))).events] == [*range(10)]

    async def test_a_repeated_id_is_stored_once_and_counted(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([given_batch(["a", "b", "a"])])
            await store.write([given_batch(["b", "c"], first_offset=3)])
            (topic,) = (await store.state()).topics
            assert (await count(store), topic.stored_total, topic.repeats_total) == (3, 3, 2)

    async def test_a_repeat_from_another_partition_is_stored_once(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([given_batch(["a", "b"]), given_batch(["b", "c"], partition=1)])
            assert await count(store) == 3

    async def test_a_repeat_is_known_after_a_restart(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([given_batch(["a", "b"])])
        async with open_store() as store:
            await store.write([given_batch(["a", "b"])])  # the log may bring again what was not flushed
            await store.write([given_batch(["b", "c"], partition=1)])
            assert await count(store) == 3

    async def test_an_id_made_of_a_retry_key_repeats_and_is_found_like_a_given_one(self, open_store: OpenStore) -> None:
        ids = ["6ba7b810-9dad-81d1-80b4-00c04fd430c8", new_id(NOON_US)]
        batch = replace(make_log_batch(2), ids=ids)
        async with open_store() as store:
            await store.write([batch])
        async with open_store() as store:
            await store.write([replace(batch, partition=1, ids=[ids[0], new_id(NOON_US)])])
            assert await count(store) == 3
            assert [(await store.get(event_id)) is not None for event_id in ids] == [True, True]

    async def test_the_same_id_of_another_source_is_another_event(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([given_batch(["a"], source="one"), given_batch(["a"], source="two", first_offset=1)])
            assert await count(store) == 2

    async def test_the_same_id_in_another_topic_is_another_event(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([given_batch(["a"]), given_batch(["a"], topic="events.late")])
            assert (await count(store), await count(store, "events.late")) == (1, 1)

    async def test_topics_are_kept_apart(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([make_log_batch(3), make_log_batch(5, topic="readings")])
            assert (await count(store), await count(store, "readings"), await count(store, "nothing")) == (3, 5, 0)

    async def test_every_offset_is_accounted_for(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.write([given_batch(["a", "a"]), tick_at(2), make_log_batch(3, first_offset=7)])
            (topic,) = (await store.state()).topics
            assert topic.position == 10
            assert (topic.stored_total, topic.repeats_total, topic.ticks_total, topic.skipped_total) == (4, 1, 1, 4)

    async def test_an_empty_batch_moves_its_partition_on(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            empty = replace(tick_at(5), tick_us=None)
            await store.write([empty])
            (topic,) = (await store.state()).topics
            assert (topic.position, topic.skipped_total, topic.stored_total) == (5, 5, 0)

    async def test_an_unreadable_batch_is_named_and_changes_nothing(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            broken = replace(make_log_batch(2, first_offset=3), rows=b'{"type":')
            with pytest.raises(Corrupt) as told:
                await store.write([make_log_batch(3), broken])
            assert told.value.details == {"topic": "events", "partition": 0, "offset": 3}
            assert (await count(store), (await store.state()).topics[0].position) == (3, 3)

    async def test_what_flushed_names_survives_without_the_log(self, open_store: OpenStore) -> None:
        batches = [make_log_batch(10), make_log_batch(10, first_offset=10)]
        async with open_store() as store:
            await store.write(batches)
        async with open_store() as store:
            flushed = (await store.flushed()).get(PLACE, 0)
            offsets = {event.offset for event in (await store.select(Select(filter=Filter()))).events}
            assert offsets == set(range(flushed))
            await store.write(batches)
            assert await count(store) == 20

    async def test_an_erasure_removes_matching_events_and_no_others(self, open_store: OpenStore) -> None:
        rows = [make_row(n, source=f"s{n % 2}", subject=f"p{n % 3}", user_id=f"u{n % 5}") for n in range(60)]
        async with open_store() as store:
            batch = make_log_batch(rows)
            await store.write([batch])
            erasure = Erasure(source="s1", subject="p2", start_us=NOON_US + 10, end_us=NOON_US + 50)
            gone = {n for n in range(10, 50) if n % 2 == 1 and n % 3 == 2}
            assert await store.erase(erasure) == len(gone)
            left = {event.offset for event in (await store.select(Select(filter=Filter()))).events}
            assert left == set(range(60)) - gone
            assert await store.get(batch.ids[11]) is None
            (topic,) = (await store.state()).topics
            assert (topic.stored_total, topic.erased_total) == (60, len(gone))

    async def test_what_was_erased_stays_away_after_a_restart(self, open_store: OpenStore) -> None:
        batch = make_log_batch([make_row(n, user_id=f"u{n % 4}") for n in range(40)])
        async with open_store() as store:
            await store.write([batch])
            assert await store.erase(Erasure(user_id="u3")) == 10
        async with open_store() as store:
            await store.write([batch])
            assert await count(store) == 30

    async def test_an_erasure_of_nothing_in_particular_is_refused(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            with pytest.raises(Invalid):
                await store.erase(Erasure())

    async def test_the_state_tells_how_much_there_is_and_from_when_to_when(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            empty = await store.state()
            assert (empty.events, empty.oldest_us, empty.newest_us) == (0, None, None)
            await store.write([make_log_batch(10, partition=2)])
            state = await store.state()
            assert (state.events, state.oldest_us, state.newest_us) == (10, NOON_US, NOON_US + 9)
            assert [(topic.partition, topic.position) for topic in state.topics] == [(2, 10)]

    # Which log its positions are of

    async def test_a_store_belongs_to_the_log_it_was_first_bound_to(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.bind("one log")
            await store.bind("one log")
            await store.write([make_log_batch(3)])
        async with open_store() as store:
            await store.bind("one log")
            with pytest.raises(Conflict, match="another log"):
                await store.bind("another log")
            assert await count(store) == 3
