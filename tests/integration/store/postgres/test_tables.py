"""The tables in PostgreSQL: what is in the catalogue, who makes it, and what lies in which month."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.integration.store.postgres.conftest import store_at
from tests.services.postgres import PostgresServer
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Unavailable, Unsupported
from weft.core.times import DAY_US, from_datetime
from weft.store.postgres import timescale
from weft.store.postgres.months import AFTER, BEFORE, month_of, months_of, name_of
from weft.store.query import Aggregate, Filter, Select
from weft.store.settings import PostgresSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_model import events_of
from weft.testing.store_suite import given_batch


def database_of(url: str) -> str:
    return url.rpartition("/")[2]


def at(year: int, month: int = 1, day: int = 1) -> int:
    return from_datetime(datetime(year, month, day, tzinfo=UTC))


@pytest.mark.contract("SF-316")
async def test_the_catalogue_has_the_four_indexes(url: str, postgres_server: PostgresServer) -> None:
    async with store_at(url):
        pass
    listed = postgres_server.psql(
        "SELECT indexname || ' ' || substring(indexdef from '\\(.*\\)') FROM pg_indexes WHERE tablename = 'events'",
        database=database_of(url),
    ).splitlines()

    assert {
        'idx_events_timestamp ("timestamp")',
        "idx_events_type (type)",
        "idx_events_source (source)",
        "idx_events_user_id (user_id)",
    } <= set(listed)


@pytest.mark.contract("SF-317")
async def test_the_table_is_partitioned_by_month_and_months_are_made_ahead(url: str, postgres_server: PostgresServer) -> None:
    async with store_at(url, postgres={"months_ahead": 3}) as store:
        await store.write([make_log_batch(2, times_us=[at(2023, 12, 31), at(2024, 1, 1)])])
    listed = postgres_server.psql(
        "SELECT c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid) FROM pg_class c"
        " JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'events'::regclass ORDER BY 1",
        database=database_of(url),
    ).splitlines()

    assert [line.split()[0] for line in listed] == [
        *("events_2023_12", "events_2024_01"),
        *("events_2026_05", "events_2026_06", "events_2026_07", "events_2026_08"),
    ]
    assert listed[0] == ("events_2023_12 FOR VALUES FROM ('2023-12-01 00:00:00+00') TO ('2024-01-01 00:00:00+00')")


async def test_data_and_metadata_are_jsonb(url: str, postgres_server: PostgresServer) -> None:
    async with store_at(url) as store:
        await store.write([make_log_batch([make_row(1, data={"deep": {"n": 4}}, metadata={"agent": "x"})])])
    asked = "SELECT data -> 'deep' ->> 'n', metadata ->> 'agent' FROM events"

    assert postgres_server.psql(asked, database=database_of(url)) == "4|x"


async def test_old_and_future_times_have_their_place_and_are_found(url: str) -> None:
    times = [at(1, 1, 3), at(1969, 12, 31), at(1999, 12, 31), at(2000), at(2001, 6), at(2099, 12, 31), at(2100), at(9999, 6)]
    batch = make_log_batch(len(times), times_us=times)
    async with store_at(url) as store:
        await store.write([batch])
        assert list((await store.select(Select(filter=Filter(), order="asc"))).events) == events_of(batch)
        found = await store.select(Select(filter=Filter(start_us=times[2], end_us=times[4])))
        assert [event.time_us for event in found.events] == [times[3], times[2]]
        state = await store.state()
        assert (state.oldest_us, state.newest_us) == (times[0], times[-1])
        by_day = await store.aggregate(Aggregate(filter=Filter(), group_by=("day",)))
        assert [group.keys[0] for group in by_day] == [time // DAY_US * DAY_US for time in times]


def test_every_time_has_exactly_one_partition() -> None:
    assert months_of(make_log_batch(3, times_us=[at(1, 1, 3), at(2026, 5, 31), at(2100)]).times_us) == [BEFORE, 676, AFTER]
    for month in (BEFORE, 360, 676, AFTER - 1, AFTER):
        assert month_of(name_of(month)) == month
    assert [month_of(name) for name in ("events", "events_2026_13", "events_late", "event_ids")] == [None] * 4


async def test_many_processes_may_start_at_once_on_an_empty_database(url: str) -> None:
    stores = [store_at(url) for _ in range(6)]
    await asyncio.gather(*(store.__aenter__() for store in stores))
    try:
        await asyncio.gather(*(store.write([make_log_batch(5, partition=n)]) for n, store in enumerate(stores)))
        assert [(await store.state()).events for store in stores] == [30] * 6
    finally:
        await asyncio.gather(*(store.__aexit__(None, None, None) for store in stores))


async def test_writers_that_meet_a_new_month_at_once_make_it_once(url: str) -> None:
    async with store_at(url) as one, store_at(url) as two:
        times = [at(2010 + n, 1 + n) for n in range(8)]
        await asyncio.gather(
            one.write([make_log_batch(8, times_us=times)]), two.write([make_log_batch(8, partition=1, times_us=times)])
        )
        assert (await one.state()).events == 16


async def test_tables_of_a_newer_weft_are_left_alone(url: str, postgres_server: PostgresServer) -> None:
    async with store_at(url):
        pass
    postgres_server.psql("UPDATE event_store SET version = 99", database=database_of(url))

    with pytest.raises(Unsupported, match="newer Weft"):
        await store_at(url).__aenter__()


async def test_a_reader_makes_nothing_and_says_who_does(url: str, postgres_server: PostgresServer) -> None:
    async with store_at(url, write=False) as reader:
        with pytest.raises(Unavailable, match="plays storage"):
            await reader.state()
        assert (
            postgres_server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=database_of(url)) == "0"
        )
        async with store_at(url) as writer:
            await writer.write([make_log_batch(3)])
            assert (await reader.state()).events == 3
        with pytest.raises(Conflict):
            await reader.write([make_log_batch(3, first_offset=3)])
        with pytest.raises(Conflict):
            await reader.erase(Erasure(source="test"))


async def test_a_month_past_retention_is_dropped_with_its_ids(url: str, postgres_server: PostgresServer) -> None:
    clock = ManualClock(NOON_US)
    async with store_at(url, clock=clock, retention_s=40 * 86_400) as store:
        await store.write([given_batch(["a", "b"])])
        clock.advance(100 * 86_400)
        await store.write([make_log_batch(3, first_offset=2, times_us=[clock.now_us()] * 3)])
        await store.tidy()
        state = await store.state()
        assert (state.events, state.topics[0].retired_total, state.topics[0].stored_total) == (3, 2, 5)
        assert postgres_server.psql("SELECT count(*) FROM event_ids", database=database_of(url)) == "0"
        assert "events_2026_05" not in postgres_server.psql("\\dt", database=database_of(url))
        await store.write([make_log_batch(2, first_offset=5)])  # of the dropped month: past retention
        assert (await store.state()).topics[0].expired_total == 2


async def test_of_a_month_that_is_partly_past_retention_only_old_events_go(url: str) -> None:
    clock = ManualClock(NOON_US)
    async with store_at(url, clock=clock, retention_by_topic_s={"events": 86_400}) as store:
        await store.write([make_log_batch(2, times_us=[NOON_US - 1000, NOON_US]), make_log_batch(2, topic="kept")])
        clock.advance(86_400)
        await store.tidy()
        state = await store.state()
        assert {(count.topic, count.retired_total) for count in state.topics} == {("events", 1), ("kept", 0)}
        assert state.events == 3


async def test_a_month_that_another_process_dropped_is_made_again(url: str, postgres_server: PostgresServer) -> None:
    async with store_at(url) as store:
        await store.write([make_log_batch(2)])
        postgres_server.psql("DROP TABLE events_2026_05", database=database_of(url))
        await store.write([make_log_batch(2, first_offset=2)])
        page = await store.select(Select(filter=Filter(), order="asc"))
        assert [event.offset for event in page.events] == [2, 3]


async def test_an_erasure_leaves_no_bytes_in_the_tables(url: str, postgres_server: PostgresServer) -> None:
    database = database_of(url)
    rows = [make_row(n, user_id="ada" if n % 3 else "bob", data={"secret": f"xyzzy-{n}" if n % 3 else "-"}) for n in range(300)]
    async with store_at(url) as store:
        await store.write([make_log_batch(rows)])
        assert await store.erase(Erasure(user_id="ada")) == 200
        assert (await store.state()).events == 100
    postgres_server.psql("CHECKPOINT", database=database)
    where = postgres_server.psql("SELECT pg_relation_filepath('events_2026_05')", database=database)
    data = postgres_server.folder / "data"
    files = [path for path in (data / where).parent.iterdir() if path.is_file()]

    assert not [path.name for path in files if b"xyzzy-" in path.read_bytes()]


@pytest.mark.parametrize("mode", ["auto", "off"])
async def test_without_the_extension_the_table_has_monthly_partitions(
    mode: str, url: str, postgres_server: PostgresServer
) -> None:
    async with store_at(url, postgres={"timescale": mode}) as store:
        await store.write([make_log_batch(3)])
    kind = "SELECT relkind FROM pg_class WHERE relname = 'events'"

    assert postgres_server.psql(kind, database=database_of(url)) == "p"


async def test_an_extension_that_is_demanded_and_not_there_is_told(url: str, postgres_server: PostgresServer) -> None:
    with pytest.raises(Unsupported, match="CREATE EXTENSION timescaledb"):
        await store_at(url, postgres={"timescale": "on"}).__aenter__()

    assert not postgres_server.psql("\\dt", database=database_of(url))


@pytest.mark.contract("LM-7")
def test_with_the_extension_the_statements_make_a_compressed_hypertable_and_hourly_figures() -> None:
    """The text alone: the extension is not to be had here. docs/how-to/use-postgresql.md says so."""
    settings = PostgresSettings(schema_name="lab", timescale_chunk_days=1, timescale_compress_days=14)

    assert timescale.hypertable_sql(settings) == (
        "SELECT create_hypertable('\"lab\".events', 'timestamp', chunk_time_interval => INTERVAL '1 days',"
        " create_default_indexes => false);\n"
        "ALTER TABLE \"lab\".events SET (timescaledb.compress, timescaledb.compress_segmentby = 'topic, source',"
        " timescaledb.compress_orderby = '\"timestamp\" DESC');\n"
        "SELECT add_compression_policy('\"lab\".events', INTERVAL '14 days');\n"
    )
    hourly = timescale.hourly_sql(settings)
    assert hourly.startswith('CREATE MATERIALIZED VIEW "lab".events_hourly WITH (timescaledb.continuous) AS')
    assert "WITH NO DATA" in hourly  # the only form that a transaction may hold
