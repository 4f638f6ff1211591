"""The log's own workers and checks, and clocks that jump."""

import asyncio
from pathlib import Path

import pytest

from weft.core.errors import Busy, TooLarge
from weft.core.position import TopicPartition
from weft.core.times import DAY_US, SECOND_US
from weft.core.verdict import Finding, Level
from weft.log import checks as log_checks
from weft.log.dead_letter import set_aside
from weft.log.port import Log, Retention
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.log.ticker import Ticker
from weft.log.trimmer import Trimmer
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_log_batch, make_row
from weft.testing.log_ground import fill, only, read_all

AT = TopicPartition("events", 0)


async def test_an_idle_topic_is_ticked_and_a_busy_one_is_not(log: Log, clock: ManualClock) -> None:
    ticker = Ticker(log, settings=LogSettings(tick_idle_s=10), clock=clock)
    await log.append(make_batch(1, topic="idle", received_at_us=clock.now_us()))
    clock.advance(30)
    await log.append(make_batch(1, topic="busy", received_at_us=clock.now_us()))
    await ticker.look()
    assert (await only(log, "idle")).end_offset == 2
    assert (await only(log, "idle")).max_time_us == clock.now_us() - 10 * SECOND_US
    assert (await only(log, "busy")).end_offset == 1


async def test_a_topic_idle_for_long_is_ticked_ever_more_rarely(log: Log, clock: ManualClock) -> None:
    ticker = Ticker(log, settings=LogSettings(tick_idle_s=10), clock=clock)
    await log.append(make_batch(1, received_at_us=clock.now_us()))
    for _ in range(360):
        clock.advance(10)
        await ticker.look()
    assert 10 < (await only(log)).end_offset < 30


async def test_internal_topics_and_dead_letters_are_not_ticked(log: Log, clock: ManualClock) -> None:
    ticker = Ticker(log, settings=LogSettings(tick_idle_s=10), clock=clock)
    await log.append(make_batch(1, topic="weft.alerts", received_at_us=clock.now_us()))
    await set_aside(log, make_log_batch(1), attempts=1, reason="poison", clock=clock)
    clock.advance(100)
    await ticker.look()
    assert {state.end_offset for state in (await log.state()).partitions} == {1}


async def test_the_trimmer_applies_the_retention(log: Log, clock: ManualClock) -> None:
    at, total = await fill(log)
    await log.commit("group", {at: total})
    clock.advance(100)
    await Trimmer(log, settings=LogSettings(retention_age_s=50)).look()
    assert (await only(log)).start_offset == total


async def test_the_workers_start_and_end_when_they_are_cancelled(log: Log, clock: ManualClock) -> None:
    for worker in (Trimmer(log, settings=LogSettings()), Ticker(log, settings=LogSettings(), clock=clock)):
        started = asyncio.Event()
        running = asyncio.create_task(worker.run(started.set))
        await asyncio.wait_for(started.wait(), 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_clock_that_jumps_ahead_makes_nothing_old(log: Log, clock: ManualClock) -> None:
    at, total = await fill(log)
    await log.commit("group", {at: total})
    clock.jump(10 * 365 * 86_400)
    assert await log.trim(Retention(max_age_s=3600)) == 0


async def test_a_clock_that_jumps_back_breaks_neither_offsets_nor_repeats_nor_trimming(log: Log, clock: ManualClock) -> None:
    batch = make_batch([make_row(id="a")], received_at_us=clock.now_us())
    await log.append(batch)
    clock.jump(-10 * 86_400)
    again = make_batch([make_row(id="a")], received_at_us=clock.now_us())
    assert list((await log.append(again)).repeats) == [0]
    assert (await log.append(make_batch(2, received_at_us=clock.now_us()))).first_offset == 1
    at, total = await fill(log)
    await log.commit("group", {at: total})
    assert await log.trim(Retention(max_bytes=100_000)) > 0
    assert (await read_all(log, AT, 0))[-1].next_offset == total


async def test_beyond_the_horizon_nothing_is_kept_of_a_trimmed_event(tmp_path: Path, clock: ManualClock) -> None:
    settings = LogSettings(repeat_age_s=60, min_free_bytes=0, reserve_bytes=0)
    async with SqliteLog(f"sqlite://{tmp_path}/log", settings=settings, clock=clock) as log:
        await log.append(make_batch([make_row(id="a")], received_at_us=clock.now_us()))
        await log.commit("group", {AT: 1})
        clock.advance(DAY_US // SECOND_US)
        assert await log.trim(Retention(max_age_s=60)) == 1
    async with SqliteLog(f"sqlite://{tmp_path}/log", settings=settings, clock=clock) as log:
        assert not (await log.append(make_batch([make_row(id="a")], received_at_us=clock.now_us()))).repeats


async def test_a_full_queue_is_answered_busy_and_takes_events_again_later(tmp_path: Path, clock: ManualClock) -> None:
    settings = LogSettings(queue_bytes=20_000, min_free_bytes=0, reserve_bytes=0)
    async with SqliteLog(f"sqlite://{tmp_path}/log", settings=settings, clock=clock) as log:
        waiting = [asyncio.ensure_future(log.append(make_batch(50))) for _ in range(20)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        busy = [answer for answer in answers if isinstance(answer, Busy)]
        assert 0 < len(busy) < 20
        assert (await log.append(make_batch(50))).first_offset == 50 * (20 - len(busy))
        with pytest.raises(TooLarge, match="queue_bytes"):
            await log.append(make_batch(1000))


async def finding(log: Log, clock: ManualClock, code: str, **options: object) -> Finding:
    return await log_checks.checks(log, clock=clock, **options)[code]()


async def test_a_healthy_log_is_fine_in_every_respect(log: Log, clock: ManualClock, tmp_path: Path) -> None:
    await log.append(make_batch(1))
    found = log_checks.checks(log, clock=clock, folder=tmp_path)
    assert set(found) == {
        "log.writable",
        "log.flush_time",
        "log.damage",
        "log.lag",
        "log.dead_letters",
        "log.disk_forecast",
        "log.clock",
    }
    for code, check in found.items():
        seen = await check()
        assert (seen.code, seen.level) == (code, Level.FINE)


async def test_dead_letters_are_worth_a_look(log: Log, clock: ManualClock) -> None:
    await set_aside(log, make_log_batch(1), attempts=1, reason="poison", clock=clock)
    assert (await finding(log, clock, "log.dead_letters")).level is Level.LOOK


async def test_a_group_that_is_behind_and_stands_still_is_worth_a_look(log: Log, clock: ManualClock) -> None:
    await log.append(make_batch(5))
    await log.commit("group", {AT: 2})
    check = log_checks.checks(log, clock=clock)["log.lag"]
    assert (await check()).level is Level.FINE
    clock.advance(61)
    stalled = await check()
    assert (stalled.level, stalled.parameters["behind"]) == (Level.LOOK, {"group": 3})
    await log.commit("group", {AT: 3})
    assert (await check()).level is Level.FINE


async def test_a_clock_jump_is_worth_a_look_for_an_hour(log: Log, clock: ManualClock) -> None:
    check = log_checks.checks(log, clock=clock)["log.clock"]
    clock.advance(100)
    assert (await check()).level is Level.FINE
    clock.jump(-30)
    assert "back by 30.0 s" in (await check()).why
    clock.advance(1800)
    assert (await check()).level is Level.LOOK
    clock.advance(1900)
    assert (await check()).level is Level.FINE


async def test_a_log_that_refuses_events_needs_somebody_to_act(tmp_path: Path, clock: ManualClock) -> None:
    settings = LogSettings(min_free_bytes=2**60)
    async with SqliteLog(f"sqlite://{tmp_path}/log", settings=settings, clock=clock) as log:
        seen = await finding(log, clock, "log.writable")
        assert seen.level is Level.ACT
        assert "min_free_bytes" in seen.why
