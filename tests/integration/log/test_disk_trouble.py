"""Trouble with the disk is told, and what was refused never turns up later (promise P4)."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from weft.core.errors import StorageFull, TimedOut, Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_row
from weft.testing.faulty_disk import FaultyDisk, Operation
from weft.testing.log_ground import ids_of, offsets_of, read_all

# What SQLite cannot report (a failure while a file is closed) its Python layer prints; that is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

AT = TopicPartition("events", 0)
CONTROL = TopicPartition("weft.alerts", 0)


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with FaultyDisk() as disk:
        yield disk


def open_log(folder: Path, **settings: object) -> Log:
    chosen = LogSettings.model_validate({"min_free_bytes": 0, "reserve_bytes": 65_536, **settings})
    return SqliteLog(f"sqlite://{folder}/log", settings=chosen, clock=ManualClock())


def commit_fails(operation: Operation, path: str) -> type[Exception] | None:
    return apsw.IOError if operation == "sync" and path.endswith("00000001.db-wal") else None


def full(operation: Operation, path: str) -> type[Exception] | None:
    return apsw.FullError if operation == "write" and "/partition-" in path else None


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "log/partition-000").glob("0*.db"))


async def test_a_failed_flush_is_told_and_its_segment_never_trusted_again(tmp_path: Path, disk: FaultyDisk) -> None:
    async with open_log(tmp_path) as log:
        await log.append(make_batch([make_row(id="before")]))
        disk.fault = commit_fails
        with pytest.raises(Unavailable, match="not kept"):
            await log.append(make_batch([make_row(id="lost")]))
        assert "flush failed" in ((await log.state()).refusal or "")
        assert segments(tmp_path) == ["00000001.db", "00000002.db"]
        assert (await log.append(make_batch([make_row(id="after")]))).first_offset == 1
        assert (await log.state()).writable
        assert ids_of(await read_all(log, AT)) == ["before", "after"]
    async with open_log(tmp_path) as log:
        assert ids_of(await read_all(log, AT)) == ["before", "after"]


async def test_events_of_a_failed_flush_may_be_sent_again_and_are_no_repeats(tmp_path: Path, disk: FaultyDisk) -> None:
    async with open_log(tmp_path) as log:
        disk.fault = commit_fails
        with pytest.raises(Unavailable):
            await log.append(make_batch([make_row(id="again")]))
        assert not (await log.append(make_batch([make_row(id="again")]))).repeats
        assert ids_of(await read_all(log, AT)) == ["again"]


async def test_what_a_crash_finds_of_a_failed_flush_is_not_shown(tmp_path: Path, disk: FaultyDisk) -> None:
    """The bytes of a failed commit may well be on the disk; a recovery would bring them back without the next segment."""
    saved: dict[str, bytes] = {}

    def fail_and_keep(operation: Operation, path: str) -> type[Exception] | None:
        if operation != "sync" or not path.endswith("00000001.db-wal"):
            return None
        saved[path] = Path(path).read_bytes()
        return apsw.IOError

    async with open_log(tmp_path) as log:
        await log.append(make_batch([make_row(id="before")]))
        disk.fault = fail_and_keep
        with pytest.raises(Unavailable):
            await log.append(make_batch([make_row(id="lost")]))
        await log.append(make_batch([make_row(id="after")]))
    restore(saved)
    ledger = apsw.Connection(str(tmp_path / "log/partition-000/ledger.db"))
    ledger.execute("DELETE FROM sealed")
    ledger.close()
    async with open_log(tmp_path) as log:
        assert ids_of(await read_all(log, AT)) == ["before", "after"]


def restore(files: dict[str, bytes]) -> None:
    for path, content in files.items():
        Path(path).write_bytes(content)
        Path(path.replace("-wal", "-shm")).unlink(missing_ok=True)


async def test_a_full_disk_refuses_events_and_keeps_what_weft_has_to_say(tmp_path: Path, disk: FaultyDisk) -> None:
    reserve = tmp_path / "log/partition-000/reserve"
    async with open_log(tmp_path) as log:
        await log.append(make_batch([make_row(id="before")]))
        assert reserve.stat().st_size == 65_536
        disk.fault = lambda operation, path: full(operation, path) if reserve.exists() else None
        with pytest.raises(StorageFull, match="full"):
            await log.append(make_batch([make_row(id="lost")]))
        assert not reserve.exists()
        await log.append(make_batch([make_row(id="alert")], topic="weft.alerts"))
        assert ids_of(await read_all(log, AT)) == ["before"]
        assert ids_of(await read_all(log, CONTROL)) == ["alert"]


async def test_a_disk_that_takes_nothing_at_all_is_told_and_recovers(tmp_path: Path, disk: FaultyDisk) -> None:
    async with open_log(tmp_path) as log:
        await log.append(make_batch([make_row(id="before")]))
        disk.fault = full
        for _ in range(3):
            with pytest.raises(Unavailable):
                await log.append(make_batch([make_row(id="lost")]))
        state = await log.state()
        assert not state.writable
        assert state.refusal
        assert ids_of(await read_all(log, AT)) == ["before"]
        disk.fault = lambda _operation, _path: None
        assert (await log.append(make_batch([make_row(id="after")]))).first_offset == 1
        assert (await log.state()).writable


async def test_too_little_free_space_refuses_events_but_not_wefts_own(tmp_path: Path) -> None:
    async with open_log(tmp_path, min_free_bytes=2**60) as log:
        with pytest.raises(StorageFull, match=r"min_free_bytes"):
            await log.append(make_batch(1))
        await log.append(make_batch(1, topic="weft.alerts"))
        state = await log.state()
        assert not state.writable
        assert "min_free_bytes" in (state.refusal or "")


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_fails_what_was_acknowledged_is_there_once_and_what_was_refused_is_not(
    tmp_path: Path, disk: FaultyDisk, seed: int
) -> None:
    chance = random.Random(seed)
    kept: list[str] = []
    refused: list[str] = []

    def sometimes(operation: Operation, path: str) -> type[Exception] | None:
        if "/partition-" not in path or "ledger" in path or chance.random() > 0.03:
            return None
        return apsw.IOError if operation == "sync" or chance.random() < 0.5 else apsw.FullError

    async with open_log(tmp_path, segment_bytes=65_536) as log:
        disk.fault = sometimes
        for number in range(150):
            batch = make_batch([make_row(number, id=f"{number}-{n}", data={"x": "y" * 300}) for n in range(5)])
            try:
                await log.append(batch)
            except TimedOut:
                continue
            except WeftError:
                refused.extend(batch.ids)
            else:
                kept.extend(batch.ids)
        disk.fault = lambda _operation, _path: None
        await log.append(make_batch([make_row(id="last")]))
        kept.append("last")
        found = ids_of(await read_all(log, AT))
    async with open_log(tmp_path) as log:
        batches = await read_all(log, AT)
        again = ids_of(batches)
    assert offsets_of(batches) == list(range(len(again)))
    for ids in (found, again):
        assert [event_id for event_id in ids if event_id in set(kept)] == kept
        assert not set(ids) & set(refused)
    assert refused


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root; run this test as root or in a container that may mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_disk_that_is_really_full_keeps_its_promises_and_recovers(small_disk: Path) -> None:
    kept: list[str] = []
    async with open_log(small_disk, segment_bytes=2**20, reserve_bytes=2**20, min_free_bytes=0) as log:
        with pytest.raises(StorageFull):
            await fill_disk(log, kept)
        await log.append(make_batch([make_row(id="alert")], topic="weft.alerts"))
        assert ids_of(await read_all(log, CONTROL)) == ["alert"]
        assert ids_of(await read_all(log, AT)) == kept
        grow(small_disk)
        await log.append(make_batch([make_row(id="after")]))
        kept.append("after")
        assert (await log.state()).writable
    async with open_log(small_disk) as log:
        assert ids_of(await read_all(log, AT)) == kept


async def fill_disk(log: Log, kept: list[str]) -> None:
    for number in range(10_000):
        batch = make_batch([make_row(n, id=f"{number}-{n}", data={"x": os.urandom(2000).hex()}) for n in range(10)])
        await log.append(batch)
        kept.extend(batch.ids)


def grow(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
