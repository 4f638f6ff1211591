"""Several processes, one folder: each appends to a partition of its own, all read everything."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from weft.core.erasure import Erasure
from weft.core.errors import Conflict
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S, ids_of, read_all

APPENDING = Path(__file__).parent / "appending.py"


def open_log(folder: Path, *, append: bool = True, **settings: object) -> Log:
    chosen = LogSettings.model_validate({"min_free_bytes": 0, "reserve_bytes": 0, **settings})
    return SqliteLog(f"sqlite://{folder}", settings=chosen, clock=ManualClock(), append=append)


def start(folder: Path, acknowledgements: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(APPENDING), str(folder), str(acknowledgements), acknowledgements.name, "keeps"]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def test_two_processes_append_and_a_third_follows_both(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    processes = [start(folder, tmp_path / name) for name in ("one", "two")]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        seen: dict[int, list[str]] = {0: [], 1: []}
        async with open_log(folder, append=False) as log, aclosing(log.follow("group", ["*"])) as batches:
            async with asyncio.timeout(WAIT_S):
                async for batch in batches:
                    assert batch.first_offset == len(seen[batch.partition])
                    seen[batch.partition].extend(batch.ids)
                    if min(map(len, seen.values())) > 500:
                        break
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    names = {partition: {event_id.split("-")[0] for event_id in ids} for partition, ids in seen.items()}
    assert sorted(next(iter(each)) for each in names.values()) == ["one", "two"]
    assert all(len(each) == 1 for each in names.values())


async def test_a_second_appender_takes_the_next_partition(tmp_path: Path) -> None:
    async with open_log(tmp_path) as first, open_log(tmp_path) as second:
        assert (await first.append(make_batch(1))).partition == 0
        assert (await second.append(make_batch(1))).partition == 1


async def test_a_freed_partition_is_taken_again(tmp_path: Path) -> None:
    async with open_log(tmp_path):
        pass
    async with open_log(tmp_path) as log:
        assert (await log.append(make_batch(1))).partition == 0


async def test_when_every_partition_is_taken_the_holder_is_named(tmp_path: Path) -> None:
    async with open_log(tmp_path, partitions=1):
        with pytest.raises(Conflict, match=r"pid \d+"):
            async with open_log(tmp_path, partitions=1):
                pass


async def test_a_reader_before_anything_was_appended_sees_what_comes(tmp_path: Path) -> None:
    async with (
        open_log(tmp_path) as log,
        open_log(tmp_path, append=False) as reader,
        aclosing(reader.follow("group", ["*"])) as batches,
    ):
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.05)
        await log.append(make_batch(2))
        assert (await asyncio.wait_for(waiting, WAIT_S)).count == 2


async def test_a_follower_that_died_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "followers").mkdir()
    dead = tmp_path / "followers" / "1-dead.fifo"
    os.mkfifo(dead)
    async with open_log(tmp_path) as log:
        await log.append(make_batch(1))
        await log.append(make_batch(1))
        assert not dead.exists()


async def test_an_erasure_reaches_the_partitions_of_other_processes(tmp_path: Path) -> None:
    async with open_log(tmp_path) as first, open_log(tmp_path) as second, open_log(tmp_path, append=False) as reader:
        rows = [make_row(source="mine"), make_row(source="theirs")]
        await first.append(make_batch(rows))
        await second.append(make_batch(rows))
        assert len(ids_of(await read_all(reader, TopicPartition("events", 0)))) == 2
        assert await asyncio.wait_for(second.erase(Erasure(source="mine")), WAIT_S) == 2
        for log in (second, first, reader):
            async with asyncio.timeout(WAIT_S):
                # Other processes hear of it a moment later; what they had read already they may show until then.
                while await sources(log) != {"theirs"}:
                    assert await sources(log) <= {"mine", "theirs"}


async def sources(log: Log) -> set[str]:
    parts = [await read_all(log, TopicPartition("events", partition)) for partition in (0, 1)]
    return {row.source for batches in parts for batch in batches for row in batch.event_rows}


async def test_an_erasure_reaches_partitions_nobody_appends_to(tmp_path: Path) -> None:
    async with open_log(tmp_path), open_log(tmp_path) as second:
        await second.append(make_batch([make_row(source="mine"), make_row(source="theirs")]))
    async with open_log(tmp_path) as log:
        assert await log.erase(Erasure(source="mine")) == 1
        assert len(ids_of(await read_all(log, TopicPartition("events", 1)))) == 1
