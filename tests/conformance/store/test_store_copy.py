"""Events can be carried from any store to any other, and the digest proves it or tells where it failed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from weft.core.erasure import Erasure
from weft.core.errors import Conflict
from weft.core.position import TopicPartition
from weft.core.times import DAY_US
from weft.store.copy import Compared, Progress, copy_store
from weft.store.parquet import ParquetStore
from weft.store.port import EventStore
from weft.store.postgres import PostgresStore
from weft.store.query import Filter, Select
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_questions import some_rows
from weft.testing.store_suite import given_batch, tick_at

Open = Callable[[str, str], "AsyncIterator[EventStore]"]
DIRECTIONS = [("parquet", "postgres"), ("postgres", "parquet"), ("postgres", "postgres"), ("parquet", "parquet")]


@pytest.fixture
def address(tmp_path: Path, postgres_server: PostgresServer) -> Callable[[str, str], str]:
    """The address of a store by its kind and a name; the same for the same name."""
    known: dict[tuple[str, str], str] = {}

    def give(kind: str, name: str) -> str:
        if (kind, name) not in known:
            known[kind, name] = postgres_server.create_database() if kind == "postgres" else f"parquet://{tmp_path / name}"
        return known[kind, name]

    return give


def store_at(url: str, *, write: bool = True) -> EventStore:
    adapter = ParquetStore if url.startswith("parquet") else PostgresStore
    return adapter(url, settings=StoreSettings(), clock=ManualClock(), write=write)


async def fill(url: str) -> None:
    """Three topics, two partitions, three months, repeats, a tick, an erasure, odd numbers and texts."""
    rows = some_rows()
    odd = [
        make_row(0, id="odd", data={"big": 2**70, "float": 1e300, "nul": "a\0b", "ä": "€", "deep": [{"n": 1.0}, None]}),
        make_row(1, tags=("x", "y"), metadata={"small": 1e-300, "whole": 1e15}),
    ]
    async with store_at(url) as store:
        await store.write([make_log_batch(rows[:60], times_us=[NOON_US + n * DAY_US for n in range(60)])])
        await store.write([given_batch(["a", "b", "a"], partition=1), tick_at(60), make_log_batch(5, first_offset=70)])
        await store.write([make_log_batch(odd, topic="readings"), make_log_batch(3, topic="readings", first_offset=9)])
        await store.write([make_log_batch(rows[60:], topic="gone")])
        await store.erase(Erasure(source="s2"))


async def copied(source_url: str, target_url: str, **options: bool) -> list[Compared]:
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(store_at(source_url, write=False))
        target = await stack.enter_async_context(store_at(target_url))
        steps: list[Progress] = []
        compared = await copy_store(source, target, as_history=options.get("as_history", False), report=steps.append)
        assert {step.step for step in steps} == {"copying", "reading back"}
        return compared


@pytest.mark.parametrize(("kind", "other"), DIRECTIONS)
async def test_every_event_and_the_books_are_carried_over(kind: str, other: str, address: Callable[[str, str], str]) -> None:
    one, two = address(kind, "one"), address(other, "two")
    await fill(one)
    compared = await copied(one, two)
    assert all(part.same for part in compared)
    assert len({part.month for part in compared}) == 3
    async with store_at(one, write=False) as source, store_at(two) as target:
        before, after = await source.state(), await target.state()
        assert [replace(count, flushed_position=0) for count in after.topics] == [
            replace(count, flushed_position=0) for count in before.topics
        ]
        assert after.events == before.events == sum(part.target.events for part in compared)
        for topic in ("events", "readings", "gone"):
            asked = Select(filter=Filter(topic=topic), limit=1000)
            assert (await target.select(asked)).events == (await source.select(asked)).events
        await target.write([given_batch(["b", "new"], first_offset=75)])  # the log goes on, and a client repeats itself
        assert (await target.state()).events == before.events + 1


async def test_a_copy_that_was_cut_short_goes_on_when_started_again(address: Callable[[str, str], str]) -> None:
    one, two = address("parquet", "one"), address("postgres", "two")
    await fill(one)
    async with store_at(one, write=False) as source, store_at(two) as target:
        async for events in source.replay(TopicPartition("events", 0)):
            from weft.store.copy import batch_of

            await target.write([batch_of(events[:7], 0)])
            break
    for _ in range(2):
        assert all(part.same for part in await copied(one, two))


async def test_a_damaged_copy_is_caught_and_named(address: Callable[[str, str], str], postgres_server: PostgresServer) -> None:
    one, two = address("parquet", "one"), address("postgres", "two")
    await fill(one)
    await copied(one, two)
    database = two.rpartition("/")[2]
    for damage in (
        "UPDATE events SET data = data || '{\"n\": 1000}' WHERE \"offset\" = 4 AND topic = 'events'",
        "DELETE FROM events WHERE topic = 'readings' AND \"offset\" = 1",
        "INSERT INTO events SELECT * FROM events WHERE topic = 'gone' ORDER BY \"offset\" LIMIT 1",
    ):
        postgres_server.psql(damage, database=database)
    different = [(part.topic, part.source.events, part.target.events) for part in await copied(one, two) if not part.same]
    assert [topic for topic, _, _ in different] == ["events", "gone", "readings"]
    assert [there - here for _, there, here in different] == [0, -1, 1]


async def test_history_leaves_the_offsets_to_the_new_log(address: Callable[[str, str], str]) -> None:
    one, two = address("postgres", "one"), address("parquet", "two")
    await fill(one)
    assert all(part.same for part in await copied(one, two, as_history=True))
    async with store_at(two) as target:
        assert {count.partition for count in (await target.state()).topics} == {-1, -2}
        events = (await target.state()).events
        await target.write([given_batch(["a", "z"])])
        assert (await target.state()).events == events + 1  # 'a' was stored under the old log


async def test_a_store_that_is_in_use_already_is_not_copied_over(address: Callable[[str, str], str]) -> None:
    one, two = address("parquet", "one"), address("postgres", "two")
    await fill(one)
    async with store_at(two) as target:
        await target.write([make_log_batch(200)])
    with pytest.raises(Conflict, match="in use already"):
        await copied(one, two)
