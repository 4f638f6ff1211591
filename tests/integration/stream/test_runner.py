"""Queries are answered while events arrive; added, changed and removed meanwhile, and taken over by another process."""

import asyncio
import dataclasses
from pathlib import Path

import msgspec
import pytest

from tests.integration.stream.conftest import (
    Analytics,
    forget_what_came_after,
    make_query,
    read_topic,
    results,
    saved_states,
    send,
    until,
    windows,
)
from weft.core.clock import SystemClock
from weft.core.times import SECOND_US
from weft.db.database import Database
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.share import GROUP
from weft.testing.factories import NOON_US, make_batch

CLOCK = SystemClock()


@pytest.fixture
def analytics(log: Log, database: Database) -> Analytics:
    return Analytics(log, database, CLOCK)


@pytest.mark.contract("SF-159", "SF-160", "SF-D26")
async def test_windows_are_half_open_aligned_to_the_epoch_and_may_overlap(analytics: Analytics, log: Log) -> None:
    async with analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.catalogue.put(make_query("sliding", window={"sliding": "10s", "slide": "5s"}), "user:ada")
        await analytics.runs("counts")
        await analytics.runs("sliding")
        await send(log, 1, 9.999999, 10, 14, 31)

        assert windows(await results(log, 2)) == [(0, 2), (10, 2)]
        assert windows(await results(log, 4, "sliding")) == [(-5, 1), (0, 2), (5, 3), (10, 2)]


@pytest.mark.contract("SF-158", "SF-161", "SF-162", "SF-163")
async def test_every_event_is_counted_added_up_and_averaged_as_it_comes(analytics: Analytics, log: Log) -> None:
    select = {"count": "count", "sum": "sum(number)", "mean": "avg(number)"}
    async with analytics:
        await analytics.catalogue.put(make_query(select=select), "user:ada")
        await analytics.runs("counts")
        await send(log, 1, 2, 3, 4)
        await send(log, 15)
        (told,) = await results(log, 1)
        await until_read(analytics, log)

    assert told["values"] == {"count": 4, "sum": 6, "mean": 1.5}
    assert 'stream_events_total{outcome="taken",topic="events"} 5.0' in analytics.metrics.exposition()[0].decode()


@pytest.mark.contract("SF-166", "SF-D24", "SF-D42")
async def test_the_figures_of_the_dashboard_are_derived_by_themselves(log: Log, database: Database) -> None:
    async with Analytics(log, database, CLOCK, built_in_queries=True) as analytics:
        await analytics.runs("error_rate")
        await send(log, 1, 2, 3, type="api.request", user_id="ada", data={"response_time": 0.5})
        await send(log, 4, type="error", user_id="grace")
        await send(log, 15)

        assert windows(await results(log, 1, "events_per_second"), "events_per_second") == [(0, 0.4)]
        assert windows(await results(log, 1, "error_rate"), "error_rate") == [(-50, 0.25)]
        assert windows(await results(log, 1, "response_time_avg"), "response_time_avg") == [(-50, 0.5)]
        assert windows(await results(log, 1, "active_users"), "active_users") == [(-290, 2)]
        by_type = {one["key"]["type"]: one["values"]["events"] for one in await results(log, 2, "events_by_type")}
        assert by_type == {"api.request": 3, "error": 1}


async def test_a_result_is_an_event_that_says_what_was_counted_where_and_when(analytics: Analytics, log: Log) -> None:
    async with analytics:
        await analytics.catalogue.put(make_query(key=["source"], select={"count": "count", "top": "max(number)"}), "user:ada")
        await analytics.runs("counts")
        await send(log, 1, 2, 3, source="thermometer")
        await send(log, 12)
        (told,) = await results(log, 1)

    assert told == {
        "query": "counts",
        "version": 1,
        "key": {"source": "thermometer"},
        "window": {
            "start": "2026-05-28T20:26:40Z",
            "end": "2026-05-28T20:26:50Z",
            "start_us": NOON_US,
            "end_us": NOON_US + 10 * SECOND_US,
        },
        "revision": 1,
        "final": True,
        "events": 3,
        "values": {"count": 3, "top": 2},
        "offsets": {"0": [0, 2]},
    }
    (batch,) = await read_topic(log, "analytics.counts")
    (row,) = batch.event_rows
    assert (row.type, row.source, row.subject) == ("weft.result", "weft/queries/counts", "thermometer")
    assert batch.times_us.tolist() == [NOON_US + 10 * SECOND_US]


async def test_a_restart_in_the_middle_of_a_window_loses_nothing_and_repeats_nothing(log: Log, database: Database) -> None:
    async with Analytics(log, database, CLOCK) as first:
        await first.catalogue.put(make_query(), "user:ada")
        await first.runs("counts")
        await send(log, 1, 11, 12)
        assert windows(await results(log, 1)) == [(0, 1)]
    await send(log, 13, 22)
    async with Analytics(log, database, CLOCK):
        await results(log, 2)
        await send(log, 33)
        assert windows(await results(log, 3)) == [(0, 1), (10, 3), (20, 1)]


async def test_what_was_told_but_not_saved_before_a_crash_is_not_told_twice(tmp_path: Path, database: Database) -> None:
    folder = f"sqlite://{tmp_path / 'log'}"
    async with SqliteLog(folder, settings=LogSettings(), clock=CLOCK) as log:
        async with Analytics(log, database, CLOCK, save_interval_s=600) as first:
            await first.catalogue.put(make_query(), "user:ada")
            await first.runs("counts")
            await send(log, 1, 12)
            assert windows(await results(log, 1)) == [(0, 1)]
            saved = await saved_states(database)
        await forget_what_came_after(database, saved)
        # whoever goes on appends to another partition, where the log does not know what it appended to this one
        async with SqliteLog(folder, settings=LogSettings(), clock=CLOCK) as other, Analytics(other, database, CLOCK):
            await send(log, 23)
            assert windows(await results(other, 2)) == [(0, 1), (10, 1)]


async def test_a_changed_query_answers_every_window_once(analytics: Analytics, log: Log) -> None:
    async with analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.runs("counts")
        await send(log, 1, 11)
        await results(log, 0)
        await until_read(analytics, log)
        await analytics.catalogue.put(make_query(select={"count": "count", "top": "max(number)"}), "user:ada")
        await analytics.runs("counts", 2)
        await send(log, 12, 21, 22, 31, 32, 41, 43)
        told = await results(log, 4)

    assert windows(told) == [(0, 1), (10, 2), (20, 2), (30, 2)]
    assert [one["version"] for one in told] == [1, 1, 2, 2]
    assert [set(one["values"]) for one in told][2:] == [{"count", "top"}, {"count", "top"}]


async def test_a_query_changed_while_nobody_computed_it_answers_every_window_once(log: Log, database: Database) -> None:
    async with Analytics(log, database, CLOCK, save_interval_s=600) as first:
        await first.catalogue.put(make_query(), "user:ada")
        await first.runs("counts")
        saved = await saved_states(database)
        await send(log, 1, 12)
        assert windows(await results(log, 1)) == [(0, 1)]
    await forget_what_came_after(database, saved)
    await first.catalogue.put(make_query(select={"count": "count", "top": "max(number)"}), "user:ada")
    async with Analytics(log, database, CLOCK) as second:
        await second.runs("counts", 2)
        await send(log, 23, 34)
        told = await results(log, 3)

    assert [(one["version"], start) for one, (start, _) in zip(told, windows(told), strict=True)] == [(1, 0), (1, 10), (2, 20)]


async def test_a_query_added_later_answers_windows_that_begin_after_it(analytics: Analytics, log: Log) -> None:
    await send(log, 1, 2, 15)
    async with analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.runs("counts")
        await send(log, 16, 21, 33, 45)

        assert windows(await results(log, 2)) == [(20, 1), (30, 1)]


async def test_a_query_may_begin_with_the_oldest_event(analytics: Analytics, log: Log) -> None:
    await send(log, 1, 2, 15)
    async with analytics:
        await analytics.catalogue.put(make_query("others"), "user:ada")
        await analytics.runs("others")
        await send(log, 16, 27)
        await until_read(analytics, log)
        await analytics.catalogue.put(make_query(start="earliest"), "user:ada")
        assert windows(await results(log, 2)) == [(0, 2), (10, 2)]

        await send(log, 38)
        assert windows(await results(log, 3)) == [(0, 2), (10, 2), (20, 1)]
        assert windows(await results(log, 1, "others")) == [(20, 1)]


async def test_a_batch_that_cannot_be_read_costs_only_itself(analytics: Analytics, log: Log) -> None:
    """Batches that follow each other are taken in as one; those beside an unreadable one still count."""
    await send(log, 1, 2)
    unreadable = make_batch(3, times_us=[NOON_US + 3 * SECOND_US] * 3, received_at_us=NOON_US + 3 * SECOND_US)
    await log.append(dataclasses.replace(unreadable, rows=b'{"source":'))
    await send(log, 4, 15)
    async with analytics:
        await analytics.catalogue.put(make_query(key=["source"], start="earliest"), "user:ada")
        assert windows(await results(log, 1)) == [(0, 3)]
        await until_read(analytics, log)

    figures = analytics.metrics.exposition()[0].decode()
    assert 'stream_events_total{outcome="taken",topic="events"} 4.0' in figures
    assert 'stream_events_total{outcome="unreadable",topic="events"} 3.0' in figures


async def test_a_removed_query_answers_no_more_and_holds_nothing_in_the_log(analytics: Analytics, log: Log) -> None:
    async with analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.catalogue.put(make_query("others"), "user:ada")
        await analytics.runs("counts")
        await analytics.runs("others")
        await send(log, 1, 12)
        await results(log, 1)
        await results(log, 1, "others")
        await analytics.catalogue.remove("counts")

        async def gone() -> bool:
            return not any(figure.name == "counts" for figure in analytics.tally.figures["events"].values())

        await until(gone)
        await send(log, 23)
        assert windows(await results(log, 2, "others")) == [(0, 1), (10, 1)]
        assert windows(await results(log, 1)) == [(0, 1)]


async def test_late_events_are_told_with_what_they_missed(analytics: Analytics, log: Log) -> None:
    async with analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.catalogue.put(make_query("patient", lateness="1m"), "user:ada")
        await analytics.runs("counts")
        await analytics.runs("patient")
        await send(log, 1, 15)
        await send(log, 2, data={"number": 7})

        async def told() -> bool:
            return bool(await read_topic(log, "events.late"))

        await until(told)
    (batch,) = await read_topic(log, "events.late")
    (row,) = batch.event_rows
    data = msgspec.json.decode(row.data)
    assert (row.type, row.id, data["queries"], data["watermark"]) == (
        "weft.late",
        "events/0/2",
        ["counts"],
        "2026-05-28T20:26:54Z",
    )
    assert (data["event"]["data"], data["event"]["time"]) == ({"number": 7}, "2026-05-28T20:26:42Z")
    assert 'weft_stream_late_total{topic="events"} 1.0' in analytics.metrics.exposition()[0].decode()


async def test_one_process_answers_and_another_one_goes_on_after_it(log: Log, database: Database) -> None:
    first, second = Analytics(log, database, CLOCK), Analytics(log, database, CLOCK, lease_s=0.2)
    await first.catalogue.put(make_query(), "user:ada")
    async with second:
        async with first:
            await first.runs("counts")
            await send(log, 1, 12)
            assert windows(await results(log, 1)) == [(0, 1)]
            assert sorted([len(first.tally.figures), len(second.tally.figures)]) == [0, 1]
        await send(log, 23)
        assert windows(await results(log, 2)) == [(0, 1), (10, 1)]


async def test_a_partition_that_nobody_fills_holds_nothing_back_for_long(tmp_path: Path, log: Log, database: Database) -> None:
    folder = f"sqlite://{tmp_path / 'log'}"
    async with Analytics(log, database, CLOCK, orphaned_partition_s=0.3) as analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.runs("counts")
        async with SqliteLog(folder, settings=LogSettings(), clock=CLOCK) as other:
            await send(other, 1)
            await send(log, 2, 12)
            await until_read(analytics, log)
        await asyncio.sleep(0.35)
        await send(log, 23, 24)

        assert windows(await results(log, 2)) == [(0, 2), (10, 1)]


async def test_what_is_read_is_committed_so_that_the_log_may_trim_it(analytics: Analytics, log: Log) -> None:
    async with analytics:
        await analytics.catalogue.put(make_query(), "user:ada")
        await analytics.runs("counts")
        await send(log, 1, 2, 3)
        await until_read(analytics, log)


async def until_read(analytics: Analytics, log: Log) -> None:
    """Wait until everything in the topic was read and that was saved."""

    async def look() -> bool:
        parts = [part for part in (await log.state()).partitions if part.topic == "events"]
        return bool(parts) and all(part.positions.get(GROUP) == part.end_offset for part in parts)

    await until(look)
