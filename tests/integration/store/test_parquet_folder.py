"""The folder of the embedded store: readable by any program, owned by one process, read by many, tidied up."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest

from weft.core.columns import EVENT_SCHEMA
from weft.core.erasure import Erasure
from weft.core.errors import Conflict, Invalid, Unavailable
from weft.core.event import Event
from weft.core.position import TopicPartition
from weft.core.times import HOUR_US
from weft.store.parquet import ParquetStore
from weft.store.query import Aggregate, Filter, Select
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_log_batch, make_row
from weft.testing.store_suite import given_batch

PROGRAM = Path(__file__).with_name("crash_program.py")


def open_store(folder: Path, clock: ManualClock | None = None, write: bool = True, **settings: object) -> ParquetStore:
    chosen = StoreSettings(flush_age_s=3600, tidy_every_s=3600, **settings)
    return ParquetStore(f"parquet://{folder}", settings=chosen, clock=clock or ManualClock(), write=write)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ParquetStore]:
    async with open_store(tmp_path) as opened:
        yield opened


async def every_offset(store: ParquetStore) -> list[tuple[int | None, int | None]]:
    page = await store.select(Select(filter=Filter(), limit=10_000, order="asc"))
    return sorted((event.partition, event.offset) for event in page.events)


async def test_other_programs_read_the_files_while_the_store_is_open(store: ParquetStore) -> None:
    times = [NOON_US + n * HOUR_US // 4 for n in range(40)]
    await store.write([make_log_batch([make_row(n, tags=("a", "b")) for n in range(40)], times_us=times)])
    await store.flush()
    rows = duckdb.sql(
        f"SELECT topic, hour, count(*), min(epoch_us(time)), sum((data->>'$.number')::INT)"
        f" FROM read_parquet('{store.folder}/topic=*/**/*.parquet', hive_partitioning = true) GROUP BY ALL ORDER BY 4"
    ).fetchall()
    assert sum(row[2] for row in rows) == 40
    assert sum(row[4] for row in rows) == sum(range(40))
    assert all(row[3] // HOUR_US % 24 == int(row[1]) for row in rows), "an event lies in the folder of another hour"
    dataset = ds.dataset(store.folder / "topic=events", partitioning="hive", exclude_invalid_files=True)
    table = dataset.to_table(columns=EVENT_SCHEMA.names)
    assert table.schema.names == EVENT_SCHEMA.names
    assert table.schema.types == EVENT_SCHEMA.types
    assert sorted(table["offset"].to_pylist()) == list(range(40))


async def test_only_one_owner_may_have_the_folder(store: ParquetStore) -> None:
    with pytest.raises(Conflict):
        async with open_store(store.folder):
            pass
    async with open_store(store.folder, write=False) as reader:
        with pytest.raises(Conflict):
            await reader.erase(Erasure(source="x"))
        with pytest.raises(Conflict):
            await reader.flush()


@pytest.mark.parametrize(
    "url", ["parquet://relative/path", "/no/scheme", "duckdb:///x", "parquet:///x?y=1", "parquet:///x/[1]", ""]
)
def test_an_address_that_is_not_a_folder_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        ParquetStore(url, settings=StoreSettings(), clock=ManualClock())


async def test_a_reader_sees_what_the_owner_flushed_and_what_it_was_given_once_each(store: ParquetStore) -> None:
    first, second, third = (make_log_batch(5, first_offset=5 * n) for n in range(3))
    await store.write([first])
    await store.flush()
    async with open_store(store.folder, write=False) as reader:
        assert await every_offset(reader) == [(0, n) for n in range(5)]
        await reader.write([first, second])
        await store.write([second, third])
        assert await every_offset(reader) == [(0, n) for n in range(10)]
        await store.flush()
        assert await every_offset(reader) == [(0, n) for n in range(15)], "the reader lags behind the manifest"
        await reader.write([second, third])
        assert await every_offset(reader) == [(0, n) for n in range(15)]
        assert await reader.flushed() == {TopicPartition("events", 0): 15}


async def test_a_reader_that_saw_a_repeat_in_another_order_agrees_with_the_owner(store: ParquetStore) -> None:
    """Owner and reader may keep different copies of one event until the owner's is in a file; never two and never none."""
    one, other = given_batch(["a", "b"]), given_batch(["b", "a", "c"], partition=1)
    async with open_store(store.folder, write=False) as reader:
        await store.write([one, other])
        await reader.write([other, one])
        for flushes in range(2):
            found = await reader.select(Select(filter=Filter()))
            assert sorted(event.id for event in found.events) == ["a", "b", "c"], flushes
            await store.flush()
        state = await reader.state()
        for topic in state.topics:
            assert topic.stored_total + topic.repeats_total == topic.position


async def test_a_reader_whose_owner_never_flushes_is_bounded(tmp_path: Path) -> None:
    async with open_store(tmp_path, write=False, tail_max_bytes=20_000) as reader:
        with pytest.raises(Unavailable):
            await reader.write([make_log_batch(50, first_offset=50 * n) for n in range(100)])


async def test_a_reader_in_another_process_never_counts_twice_or_misses(tmp_path: Path) -> None:
    """The owner flushes, merges and erases in a process of its own while this one asks."""
    owner = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), str(tmp_path), "3", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert owner.stdout is not None
        assert await owner.stdout.readline() == b"ready\n"
        async with open_store(tmp_path, write=False) as reader:
            for _ in range(25):
                page = await reader.select(Select(filter=Filter(), limit=10_000, order="asc"))
                keys = [(event.source, event.id) for event in page.events]
                assert len(keys) == len(set(keys)), "an event was counted twice"
    finally:
        owner.kill()
        await owner.wait()


async def test_small_files_are_merged_and_the_old_ones_removed_after_the_grace(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_store(tmp_path, clock, compact_files=4, grace_s=30.0) as store:
        for number in range(9):
            await store.write([make_log_batch(10, first_offset=10 * number)])
            await store.flush()
        await store.tidy()
        assert (await store.state()).files == 1
        assert len(parquet_files(tmp_path)) == 10, "files were removed while other processes may read them"
        clock.advance(31)
        await store.tidy()
        assert len(parquet_files(tmp_path)) == 1
        assert await every_offset(store) == [(0, n) for n in range(90)]


async def test_the_last_few_files_of_an_hour_that_is_over_are_merged_too(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_store(tmp_path, clock, compact_files=6, grace_s=0) as store:
        for number in range(3):
            await store.write([make_log_batch(10, first_offset=10 * number)])
            await store.flush()
        await store.tidy()
        assert (await store.state()).files == 3, "an hour that still grows is rewritten for a few files"
        clock.advance(3 * 3600)
        await store.tidy()
        assert (await store.state()).files == 1
        assert await every_offset(store) == [(0, n) for n in range(30)]


async def test_events_past_retention_are_retired_and_later_ones_not_taken(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_store(tmp_path, clock, retention_by_topic_s={"events": 7200.0}) as store:
        old = make_log_batch(10, times_us=[NOON_US - HOUR_US] * 10)
        await store.write([old, make_log_batch(10, first_offset=10, times_us=[NOON_US] * 10)])
        await store.write([make_log_batch(5, topic="kept", times_us=[NOON_US - 900 * HOUR_US] * 5)])
        await store.flush()
        clock.advance(5400)
        await store.tidy()
        assert await every_offset(store) == [(0, n) for n in range(10, 20)]
        await store.write([make_log_batch(3, first_offset=20, times_us=[NOON_US - HOUR_US] * 3)])
        events, kept = (await store.state()).topics
        assert (events.stored_total, events.retired_total, events.expired_total, events.position) == (20, 10, 3, 23)
        assert (kept.stored_total, kept.retired_total) == (5, 0)


async def test_events_of_many_years_make_a_bounded_number_of_files(store: ParquetStore) -> None:
    times = [n * 40 * HOUR_US for n in range(2000)]
    await store.write([make_log_batch(2000, times_us=times)])
    await store.flush()
    state = await store.state()
    assert state.files <= 256
    groups = await store.aggregate(Aggregate(filter=Filter(start_us=times[100], end_us=times[200]), group_by=()))
    assert groups[0].value == 100
    assert len(await every_offset(store)) == 2000


async def test_the_tail_is_flushed_when_it_is_large_or_old(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ParquetStore(
        f"parquet://{tmp_path}", settings=StoreSettings(flush_bytes=50_000, flush_age_s=0.05), clock=clock
    ) as store:
        await store.write([make_log_batch(500)])
        await flushed_to(store, 500)
        await store.write([make_log_batch(1, first_offset=500)])
        clock.advance(1)
        await flushed_to(store, 501)


async def flushed_to(store: ParquetStore, offset: int) -> None:
    async with asyncio.timeout(20):
        while (await store.state()).topics[0].flushed_position < offset:
            pass


async def test_an_id_given_by_a_client_is_found_in_files_of_any_hour(store: ParquetStore) -> None:
    """Also where the id looks like a generated one of another time."""
    ids = [f"019e7044-8800-7abc-8000-{n:012x}" for n in range(30)]
    batch = given_batch(ids)
    batch = replace(batch, times_us=batch.times_us - 100 * HOUR_US * (batch.times_us % 3))
    await store.write([batch])
    await store.flush()
    found = [await store.get(event_id) for event_id in ids]
    assert [event.id for event in found if isinstance(event, Event)] == ids


def parquet_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.parquet"))


async def test_counts_by_severity_are_those_of_the_events_also_of_files_that_were_not_counted_by_it(tmp_path: Path) -> None:
    grades = ("low", "medium", "high", "medium", "critical")
    batches = [
        make_log_batch(
            [make_row(n, type="error" if n % 3 else "metric", severity=grades[n % 5]) for n in range(first, first + 20)],
            first_offset=first,
            times_us=[NOON_US + n * HOUR_US // 20 for n in range(first, first + 20)],
        )
        for first in (0, 20, 40)
    ]
    asked = [
        Aggregate(filter=Filter(), group_by=("severity",)),
        Aggregate(filter=Filter(), group_by=("severity", "type", "hour")),
        Aggregate(filter=Filter(severities=("low", "high"), types=("error",)), group_by=("type",)),
        Aggregate(filter=Filter(start_us=NOON_US + 7, end_us=NOON_US + 2 * HOUR_US + 7), group_by=("severity",)),
    ]
    async with open_store(tmp_path) as store:
        await store.write(batches)
        from_tail = [await store.aggregate(question) for question in asked]
        await store.flush()
        assert [await store.aggregate(question) for question in asked] == from_tail
    manifest = sqlite3.connect(tmp_path / "manifest.db")
    for file_id, types in manifest.execute("SELECT file_id, types FROM file").fetchall()[:2]:
        by_type = {name: sum(counts.values()) for name, counts in json.loads(types).items()}
        manifest.execute("UPDATE file SET types = ? WHERE file_id = ?", (json.dumps(by_type).encode(), file_id))
    manifest.commit()
    manifest.close()
    async with open_store(tmp_path) as store:
        assert [await store.aggregate(question) for question in asked] == from_tail
