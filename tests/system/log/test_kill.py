"""kill -9 at random moments: what was acknowledged is there exactly once (promise P1)."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from time import sleep

import pytest

from weft.core.position import TopicPartition
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock
from weft.testing.log_ground import ids_of, only, read_all

APPENDING = Path(__file__).parent / "appending.py"


def start(folder: Path, acknowledgements: Path, name: str, how: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(APPENDING), str(folder), str(acknowledgements), name, how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        pytest.fail(f"the appending process did not start: {process.communicate()[1]}")
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it ended by itself: {errors}"


def acknowledged(path: Path) -> Iterable[tuple[int, int, str]]:
    for line in path.read_text("ascii").splitlines():
        parts = line.split(" ")
        if len(parts) == 3:  # the last line may be torn by the kill as well
            yield int(parts[0]), int(parts[1]), parts[2]


async def check(folder: Path, acknowledgements: Path) -> int:
    """Every acknowledged event stands at its offset, once, unless it was trimmed. Returns how many are readable."""
    settings = LogSettings(min_free_bytes=0, reserve_bytes=0, segment_bytes=65_536)
    async with SqliteLog(f"sqlite://{folder}", settings=settings, clock=ManualClock()) as log:
        if not (await log.state()).partitions:
            assert not list(acknowledged(acknowledgements))
            return 0
        state = await only(log)
        batches = await read_all(log, TopicPartition("events", 0))
        assert (await log.state()).damages == []
    ids = ids_of(batches)
    assert len(set(ids)) == len(ids)
    assert state.end_offset - state.start_offset == len(ids) == state.events_total - state.events_trimmed
    for _, offset, event_id in acknowledged(acknowledgements):
        if offset >= state.start_offset:
            assert ids[offset - state.start_offset] == event_id
    return len(ids)


async def rounds(tmp_path: Path, count: int, how: str, seed: int) -> None:
    folder, acknowledgements = tmp_path / "log", tmp_path / "acknowledged"
    chance = random.Random(seed)
    for number in range(count):
        process = start(folder, acknowledgements, f"round-{number}", how)
        sleep(chance.random() ** 2 * 0.5)  # noqa: ASYNC251 - the moment of the kill is random on purpose
        kill(process)
        await check(folder, acknowledgements)


@pytest.mark.parametrize("how", ["keeps", "trims"])
async def test_after_kill_9_every_acknowledged_event_is_there_once(tmp_path: Path, how: str) -> None:
    await rounds(tmp_path, 4, how, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", ["keeps", "trims"])
async def test_after_kill_9_every_acknowledged_event_is_there_once_in_many_rounds(tmp_path: Path, how: str) -> None:
    await rounds(tmp_path, 200, how, seed=2)
