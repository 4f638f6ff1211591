"""A store that is killed, or whose disk fails, at any moment goes on as if nothing had happened."""

import asyncio
import errno
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.integration.store.crash_program import PARTITIONS, PER_BATCH, batch_at
from weft.core.clock import SystemClock
from weft.core.erasure import Erasure
from weft.core.errors import StorageFull, Unavailable
from weft.core.event import Event
from weft.core.position import TopicPartition
from weft.core.times import HOUR_US
from weft.store.parquet import ParquetStore
from weft.store.parquet.disk import Disk
from weft.store.query import Filter, Select
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_log_batch, make_row

PROGRAM = Path(__file__).with_name("crash_program.py")


async def all_events(store: ParquetStore, topic: str = "events") -> list[Event]:
    events: list[Event] = []
    cursor = None
    while True:
        page = await store.select(Select(filter=Filter(topic=topic), limit=10_000, order="asc", after=cursor))
        events += page.events
        cursor = page.cursor
        if cursor is None:
            return events


def files_in(folder: Path, pattern: str = "topic=*/**/*") -> set[Path]:
    return {path for path in folder.rglob(pattern) if path.is_file()}


def expected_offsets(flushed: dict[int, int]) -> dict[tuple[str, str], set[tuple[int, int]]]:
    """By (source, id) the places an event may be stored from: more than one where a repeat came from the other partition."""
    places: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for partition, position in flushed.items():
        for number in range(position // PER_BATCH):
            batch = batch_at(partition, number)
            for index, row in enumerate(batch.event_rows):
                places.setdefault((row.source, batch.ids[index]), set()).add((partition, batch.first_offset + index))
    return places


async def check_after_crash(folder: Path, gone: set[str], perhaps: set[str]) -> None:
    """Everything below the flushed positions is there once, unless it was erased; nothing else is; every offset is counted."""
    async with ParquetStore(f"parquet://{folder}", settings=StoreSettings(), clock=SystemClock()) as store:
        flushed = {place.partition: at for place, at in (await store.flushed()).items() if place.topic == "events"}
        state = await store.state()
        events = await all_events(store)
        places = expected_offsets(flushed)
        found = {(event.source, event.id): (event.partition, event.offset) for event in events}
        assert len(found) == len(events), "an event is stored twice"
        assert found.keys() <= places.keys(), "an event is stored that was never flushed"
        assert all(place in places[key] for key, place in found.items())
        missing = {source for source, _ in places.keys() - found.keys()}
        assert missing <= gone | perhaps, f"events of {missing} vanished"
        for topic in state.topics:
            counted = topic.stored_total + topic.repeats_total + topic.expired_total + topic.ticks_total + topic.skipped_total
            assert counted == topic.position == topic.flushed_position
        stored = sum(topic.stored_total - topic.erased_total - topic.retired_total for topic in state.topics)
        assert stored == len(events)
        assert files_in(folder) == {folder / file.path for file in store._shelf.view.files}, "a crash left files behind"


def run_and_kill(folder: Path, seed: int, rng: random.Random) -> tuple[set[str], set[str]]:
    """Run the program for a random moment and kill it; returns the sources that are gone, and those that may be."""
    with subprocess.Popen([sys.executable, str(PROGRAM), str(folder), str(seed)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(rng.uniform(0.05, 0.6))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    begun = {line.split()[1] for line in lines if line.startswith("erasing") and len(line.split()) == 4}
    return {line.split()[1] for line in lines if line.startswith("erased")}, begun


async def kill_rounds(folder: Path, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    touched: set[str] = set()
    for number in range(rounds):
        gone, perhaps = run_and_kill(folder, seed + number, rng)
        touched |= gone | perhaps  # later events of an erased source are stored again, so from now on both may be
        await check_after_crash(folder, set(), touched)


async def test_a_killed_store_has_everything_it_said_it_had_flushed(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 4, seed=11)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_store_killed_200_times_has_everything_it_said_it_had_flushed(tmp_path: Path) -> None:
    for seed in range(10):
        await kill_rounds(tmp_path / str(seed), 20, seed=1000 * seed)


class FailingDisk(Disk):
    """Fails the write after `healthy` good ones, and those after it while `broken`."""

    def __init__(self) -> None:
        self.healthy: int | None = None
        self.dead = False
        self.writes = 0
        self.removals = 0

    def write(self, path, fill) -> int:
        self.writes += 1
        self._check()
        return super().write(path, fill)

    def remove(self, path) -> None:
        self.removals += 1
        self._check()
        super().remove(path)

    def _check(self) -> None:
        if self.healthy is not None:
            self.healthy -= 1
            self.dead = self.dead or self.healthy < 0
        if self.dead:
            raise OSError(errno.ENOSPC, "no space left on device")


def spread_batch(first_offset: int, count: int = 50, topic: str = "events"):
    rows = [make_row(n, id=f"g{first_offset + n}" if n % 2 else None, source=f"s{n % 3}") for n in range(count)]
    times = [NOON_US + (n % 4) * HOUR_US + first_offset + n for n in range(count)]
    return make_log_batch(rows, first_offset=first_offset, times_us=times, topic=topic)


async def test_a_full_disk_keeps_the_tail_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = FailingDisk()
    settings = StoreSettings(tail_max_bytes=20_000)
    async with ParquetStore(f"parquet://{tmp_path}", settings=settings, clock=ManualClock(), disk=disk) as store:
        disk.dead = True
        taken = 0
        told: StorageFull | None = None
        while told is None:
            try:
                await store.write([spread_batch(50 * taken)])
                taken += 1
            except StorageFull as full:
                told = full
        assert len(await all_events(store)) == 50 * taken, "what was taken can no longer be asked for"
        assert (await store.state()).details["refusal"]
        assert (await store.flushed()).get(TopicPartition("events", 0), 0) == 0
        disk.dead = False
        await store.write([spread_batch(50 * taken)])
        assert len(await all_events(store)) == 50 * (taken + 1)
        assert (await store.state()).details["refusal"] is None
    async with ParquetStore(f"parquet://{tmp_path}", settings=settings, clock=ManualClock()) as store:
        assert len(await all_events(store)) == 50 * (taken + 1)


async def work(store: ParquetStore, done: dict[str, bool]) -> None:
    """Everything that changes files: flushes, a merge, an erasure, retention."""
    for number in range(3):
        await store.write([spread_batch(50 * number), spread_batch(50 * number, 10, topic="old")])
        await store.flush()
    await store.tidy()
    done["erase"] = True
    await store.erase(Erasure(source="s1"))


@pytest.mark.parametrize("healthy", [*range(0, 60, 5)])
async def test_a_disk_that_dies_at_any_step_loses_nothing(tmp_path: Path, healthy: int) -> None:
    """The disk dies at the n-th file operation and the process with it; afterwards the log brings what was not flushed."""
    settings = StoreSettings(compact_files=2, grace_s=0, retention_by_topic_s={"old": 60})
    clock = ManualClock()
    disk = FailingDisk()
    url = f"parquet://{tmp_path}"
    done: dict[str, bool] = {}
    async with ParquetStore(url, settings=settings, clock=clock, disk=disk) as store:
        disk.healthy = healthy
        try:
            await work(store, done)
        except (Unavailable, OSError):
            disk.dead = True
    async with ParquetStore(url, settings=settings, clock=clock) as store:
        position = (await store.flushed()).get(TopicPartition("events", 0), 0)
        kept = {event.offset for event in await all_events(store)}
        every = set(range(position))
        assert kept <= every
        erasable = {offset for offset in every if offset % 50 % 3 == 1}
        assert every - kept <= (erasable if done else set()), "events vanished that nobody erased"
        for number in range(3):
            await store.write([spread_batch(50 * number)])
        await store.erase(Erasure(source="s1"))
        assert {event.offset for event in await all_events(store)} == {o for o in range(150) if o % 50 % 3 != 1}
        assert files_in(tmp_path) == {tmp_path / file.path for file in store._shelf.view.files}
        (topic,) = [topic for topic in (await store.state()).topics if topic.topic == "events"]
        assert topic.stored_total - topic.erased_total == 99


async def test_erased_bytes_are_gone_from_the_folder(tmp_path: Path) -> None:
    secret = "Wilhelmine-Kowalski-was-here"
    rows = [make_row(n, source=secret if n % 2 else "open", data={"who": secret if n % 2 else "nobody"}) for n in range(200)]
    async with ParquetStore(f"parquet://{tmp_path}", settings=StoreSettings(), clock=ManualClock()) as store:
        await store.write([make_log_batch(rows[:100])])
        await store.flush()
        await store.write([make_log_batch(rows[100:], first_offset=100)])
        assert await store.erase(Erasure(source=secret)) == 100
        for path in files_in(tmp_path):
            assert secret not in str(pq.read_table(path, partitioning=None).to_pydict())
        for path in files_in(tmp_path, "*"):
            assert secret.encode() not in path.read_bytes(), path


def test_the_program_of_this_file_makes_the_same_batch_twice() -> None:
    assert batch_at(1, 5).rows == batch_at(1, 5).rows
    assert list(batch_at(1, 5).ids) == list(batch_at(1, 5).ids)
    assert PARTITIONS == 2


async def test_questions_are_answered_while_the_owner_flushes_merges_and_erases(tmp_path: Path) -> None:
    """Somebody who asks all the time never sees an event twice, and never misses one that was there before."""
    settings = StoreSettings(compact_files=2, grace_s=0)
    async with ParquetStore(f"parquet://{tmp_path}", settings=settings, clock=ManualClock()) as store:
        written = 0

        async def change() -> None:
            nonlocal written
            for number in range(25):
                await store.write([make_log_batch(20, first_offset=20 * number)])
                written = 20 * (number + 1)
                await store.flush()
                if number % 3 == 0:
                    await store.tidy()

        task = asyncio.create_task(change())
        while not task.done():
            before = written
            offsets = [event.offset for event in await all_events(store)]
            assert sorted(offsets) == list(range(len(offsets)))
            assert len(offsets) >= before
        await task
