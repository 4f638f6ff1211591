"""A PostgreSQL that dies, hangs, fills up or is shared: nothing acknowledged is lost, nothing is stored twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.integration.store.postgres.conftest import store_at
from tests.services.postgres import PostgresServer
from tests.services.proxy import TcpProxy
from weft.core.batch import LogBatch
from weft.core.errors import Corrupt, NotAllowed, StorageFull, TimedOut, Unavailable
from weft.core.position import Positions, TopicPartition
from weft.core.times import HOUR_US
from weft.store.postgres import PostgresStore
from weft.store.query import Aggregate, Filter, Select
from weft.store.writer import StoreWriter
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_model import events_of
from weft.testing.store_suite import given_batch


def stream(batches: int, *, partition: int = 0, size: int = 50) -> list[LogBatch]:
    """Batches of one partition: half of the ids made by doors, half given by clients, who send each five times."""
    made: list[LogBatch] = []
    for number in range(batches):
        offset = number * size
        if number % 2:
            made.append(
                given_batch([f"g{(offset + n) // 5 * 5}" for n in range(size)], partition=partition, first_offset=offset)
            )
        else:
            made.append(make_log_batch(size, partition=partition, first_offset=offset))
    return made


async def offsets_of(store: PostgresStore, partition: int = 0) -> list[int]:
    """Offsets of the stored events of a partition, sorted."""
    page = await store.select(Select(filter=Filter(), limit=10_000))
    assert page.cursor is None
    return sorted(event.offset or 0 for event in page.events if event.partition == partition)


async def keep_writing(store: PostgresStore, batches: list[LogBatch]) -> None:
    """Fill a store as the storage role does: what cannot be taken now is handed in again."""

    async def follow() -> AsyncIterator[LogBatch]:
        for batch in batches:
            yield batch
            await asyncio.sleep(0)

    async def commit(positions: Positions) -> None:
        pass

    async def dead_letter(batch: LogBatch, attempts: int, reason: str) -> None:
        raise AssertionError(reason)

    await StoreWriter(store, follow(), commit=commit, dead_letter=dead_letter).run(lambda: None)


async def test_a_server_killed_while_it_commits_loses_nothing_and_doubles_nothing(own_server: PostgresServer) -> None:
    url = own_server.create_database()
    batches = stream(60)
    unharmed = store_at(url, postgres={"schema_name": "unharmed"})
    async with unharmed:
        await unharmed.write(batches)
        expected = await offsets_of(unharmed)
    async with store_at(url, postgres={"write_bytes": 1}) as store:
        writing = asyncio.create_task(keep_writing(store, batches))
        chance = random.Random(4)
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0.05, 0.3))  # somewhere in the middle of the work
            await asyncio.to_thread(own_server.kill)
            await asyncio.to_thread(own_server.start)
        await asyncio.wait_for(writing, 60)
        assert await offsets_of(store) == expected
        (topic,) = (await store.state()).topics
        assert (topic.position, topic.stored_total) == (3000, len(expected))
        assert topic.stored_total + topic.repeats_total == 3000


async def test_a_line_that_swallows_everything_is_told_in_time_and_harms_nothing(
    url: str, postgres_server: PostgresServer
) -> None:
    with TcpProxy(postgres_server.port) as proxy:
        through = url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        brief = {"connect_timeout_s": 1, "write_timeout_s": 0.5}
        async with store_at(through, postgres=brief, question_timeout_s=0.5) as store:
            await store.write(stream(2))
            proxy.black_hole()
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable) as told:
                await store.write(stream(4))
            with pytest.raises(Unavailable):
                await store.state()
            assert told.value.retry_after_s > 0
            assert asyncio.get_running_loop().time() - began < 20
            proxy.heal()
            await keep_writing(store, stream(4))
            (topic,) = (await store.state()).topics
            assert (topic.position, topic.stored_total + topic.repeats_total) == (200, 200)
            proxy.cut()
            with pytest.raises(Unavailable):
                await store.get("anything")
            proxy.heal()
            assert await store.get("anything") is None


async def test_two_writers_of_the_same_partitions_store_every_event_once(url: str) -> None:
    streams = [stream(20, partition=partition) for partition in range(3)]
    async with store_at(url) as one, store_at(url) as two:

        async def write(store: PostgresStore, seed: int) -> None:
            chance = random.Random(seed)
            at = [0, 0, 0]
            while any(position < 20 for position in at):  # each goes its own way, and now and then a step back
                partition = chance.choice([p for p in range(3) if at[p] < 20])
                count = chance.randint(1, 4)
                await store.write(streams[partition][at[partition] : at[partition] + count])
                at[partition] = max(0, at[partition] + count - (chance.random() < 0.2))

        await asyncio.gather(write(one, 1), write(two, 2))
        state = await one.state()
        assert [count.position for count in state.topics] == [1000] * 3
        assert sum(count.stored_total + count.repeats_total for count in state.topics) == 3000
        counted = await one.aggregate(Aggregate(filter=Filter(), metric="distinct", field="id", group_by=()))
        assert counted[0].value == state.events == len((await one.select(Select(filter=Filter(), limit=10_000))).events)


async def test_a_partition_that_is_handed_over_goes_on_where_it_stood(url: str) -> None:
    batches = stream(6)
    async with store_at(url) as before, store_at(url) as after:
        await before.write(batches[:4])
        assert (await after.flushed())[TopicPartition("events", 0)] == 200
        await after.write(batches[2:])  # the log begins at what the group had committed
        await before.write(batches[3:5])  # a process that does not know yet
        (topic,) = (await before.state()).topics
        assert (topic.position, topic.stored_total + topic.repeats_total, topic.skipped_total) == (300, 300, 0)


async def test_the_same_given_id_from_two_writers_at_once_is_stored_once(url: str) -> None:
    async with store_at(url) as one, store_at(url) as two:
        ids = [f"id-{n}" for n in range(200)]
        await asyncio.gather(one.write([given_batch(ids)]), two.write([given_batch(list(reversed(ids)), partition=1)]))
        state = await one.state()
        assert (state.events, sum(count.repeats_total for count in state.topics)) == (200, 200)


async def test_a_repeat_in_another_month_is_a_repeat(url: str) -> None:
    async with store_at(url) as store:
        await store.write([given_batch(["a", "b"])])
        again = replace(given_batch(["b", "c"], partition=1), times_us=make_log_batch(2).times_us + 50 * 24 * HOUR_US)
        await store.write([again])
        state = await store.state()
        assert (state.events, sum(count.repeats_total for count in state.topics)) == (3, 1)


ODD_DATA = [
    b'{"text":"a\\u0000b","n":1}',
    b'{"text":"\\ud83d\\ude00","n":2}',
    b'{"number":1e300,"n":3}',
    b'{"number":123456789012345678901234567890,"n":4}',
    b'{"number":1e-310,"n":5}',
    b'{"number":1.0,"zero":-0.0,"n":6}',
    b'{"path":"\\\\u0000","n":7}',
    b'{"number":1e20,"n":8}',
]


async def test_what_jsonb_cannot_hold_comes_back_all_the_same(url: str) -> None:
    rows = [make_row(n) for n in range(len(ODD_DATA))]
    batch = make_log_batch(rows)
    encoded = b",".join(b'{"type":"custom","source":"test","data":' + data + b"}" for data in ODD_DATA)
    batch = replace(batch, rows=encoded)
    async with store_at(url) as store:
        await store.write([batch])
        assert list((await store.select(Select(filter=Filter(), order="asc"))).events) == events_of(batch)
        found = await store.select(Select(filter=Filter(data=(("n", 1.0),))))
        assert [event.id for event in found.events] == [batch.ids[0]]
        for metric in ("sum", "avg", "max", "min", "p95", "distinct"):
            await store.aggregate(Aggregate(filter=Filter(), metric=metric, field="data.number", group_by=()))


async def test_a_number_that_only_jsonb_refuses_is_kept_as_it_was_sent(url: str) -> None:
    digits = "0." + "1" * 17_000
    batch = replace(make_log_batch(1), rows=b'{"type":"custom","source":"test","data":{"n":%s}}' % digits.encode())
    async with store_at(url) as store:
        await store.write([make_log_batch(3, partition=1), batch])
        assert await store.get(batch.ids[0]) == events_of(batch)[0]
        assert (await store.state()).events == 4


async def test_a_source_too_long_for_an_index_is_stored_and_found(url: str) -> None:
    chance = random.Random(1)
    long = ["".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(1024)) for _ in range(2)]
    batch = make_log_batch([make_row(n, id="same", source=source, subject=source) for n, source in enumerate(long)])
    async with store_at(url) as store:
        await store.write([batch])
        await store.write([replace(batch, partition=1)])
        assert (await store.state()).events == 2
        assert await store.get("same", source=long[0]) == events_of(batch)[0]
        found = await store.select(Select(filter=Filter(sources=(long[1],), subject=long[1])))
        assert list(found.events) == [events_of(batch)[1]]


async def test_a_batch_that_cannot_be_stored_is_named_and_the_others_are_stored(url: str) -> None:
    broken = replace(make_log_batch(2, partition=1), rows=b"[]")
    async with store_at(url) as store:
        with pytest.raises(Corrupt) as told:
            await store.write([make_log_batch(3), broken, make_log_batch(3, partition=2)])
        assert (told.value.details["partition"], (await store.state()).events) == (1, 6)


async def test_data_nested_beyond_what_anybody_can_read_is_named_and_holds_nobody_up(url: str) -> None:
    deep = b'{"type":"custom","source":"test","data":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    async with store_at(url) as store:
        with pytest.raises(Corrupt) as told:
            await store.write([make_log_batch(3), replace(make_log_batch(1, first_offset=3), rows=deep)])
        assert told.value.details == {"topic": "events", "partition": 0, "offset": 3}
        await store.write([make_log_batch(2, first_offset=4)])
        assert (await store.state()).events == 5


async def test_a_question_that_takes_too_long_is_stopped(url: str, postgres_server: PostgresServer) -> None:
    database = url.rpartition("/")[2]
    async with store_at(url, question_timeout_s=0.2) as store:
        await store.write([make_log_batch(10)])
        postgres_server.psql("CREATE VIEW slow AS SELECT pg_sleep(30)::text", database=database)
        with pytest.raises(TimedOut):
            await store._ask(lambda link: link.rows("SELECT * FROM slow"))
        assert (await store.state()).events == 10


async def test_questions_share_as_many_connections_as_are_set_and_wait_in_line(
    url: str, postgres_server: PostgresServer
) -> None:
    connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weft store questions'"
    asked = f"{connections} AND datname = current_database()"
    async with store_at(url, postgres={"pool_size": 2}) as store:
        slowly = [store._ask(lambda link: link.rows("SELECT pg_sleep(0.1)::text")) for _ in range(6)]
        answers = asyncio.gather(*slowly)
        while not answers.done():
            assert int(await asyncio.to_thread(postgres_server.psql, asked, database=url.rpartition("/")[2])) <= 2
        assert len(await answers) == 6


async def test_a_full_disk_is_told_as_such_and_the_store_goes_on_later(url: str, postgres_server: PostgresServer) -> None:
    """PostgreSQL's own words for it; filling a real disk is a long test."""
    database = url.rpartition("/")[2]
    async with store_at(url) as store:
        postgres_server.psql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;"
            " CREATE TRIGGER full_disk BEFORE INSERT ON events_2026_05 FOR EACH ROW EXECUTE FUNCTION full_disk()",
            database=database,
        )
        with pytest.raises(StorageFull):
            await store.write([make_log_batch(3)])
        assert "full" in (await store.state()).details["refusal"]
        postgres_server.psql("DROP TRIGGER full_disk ON events_2026_05", database=database)
        await store.write([make_log_batch(3)])
        state = await store.state()
        assert (state.events, state.details["refusal"]) == (3, None)


async def test_a_wrong_password_and_a_missing_database_are_told_at_once(postgres_server: PostgresServer) -> None:
    for url in (postgres_server.url.replace("for%20tests%20only", "wrong"), postgres_server.url_of("nowhere")):
        with pytest.raises(NotAllowed) as told:
            await store_at(url).__aenter__()
        assert "wrong" not in told.value.message


async def test_a_server_that_is_away_is_told_at_once(free_port: int) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store_at(f"postgresql://nobody:secret@127.0.0.1:{free_port}/events").__aenter__()


async def test_events_lie_where_their_time_says_whatever_the_server_thinks_of_time_zones(
    url: str, postgres_server: PostgresServer
) -> None:
    postgres_server.psql(f"ALTER DATABASE {url.rpartition('/')[2]} SET TimeZone = 'Pacific/Kiritimati'")
    async with store_at(url) as store:
        await store.write([make_log_batch(3)])
        (group,) = await store.aggregate(Aggregate(filter=Filter(), group_by=("hour",)))
        assert group.keys == (NOON_US // HOUR_US * HOUR_US,)
