"""One supervised process: started again when it dies, given up when that is no use. The processes here are small scripts."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from weft.app.crew import Replicas
from weft.app.plan import roles_of
from weft.app.supervise import SHORT_LIFE_S, SHORT_LIVES_MOST, Child, CrewFailed
from weft.core.clock import Clock, SystemClock
from weft.testing.clock import ManualClock

UP = "import os, sys, time; fd = int(sys.argv[-1]); os.write(fd, b'{}\\n')"


def child(script: str, *arguments: str, clock: Clock | None = None) -> Child:
    replicas = Replicas(roles=roles_of(("ingestion",)), count=1, port=0)
    return Child(replicas, [sys.executable, "-c", script, *arguments], clock or SystemClock(), first_pause_s=0.001)


def lives(file: Path) -> list[int]:
    """The process ids that a script wrote down, one for each life."""
    return [int(line) for line in file.read_text(encoding="utf-8").split()] if file.exists() else []


async def wait_for_lives(file: Path, count: int) -> list[int]:
    for _ in range(3000):
        if len(lives(file)) >= count:
            return lives(file)
        await asyncio.sleep(0.01)
    raise AssertionError(f"there never were {count} lives")


WRITES_AND_WAITS = f"{UP}; open(sys.argv[1], 'a').write(f'{{os.getpid()}}\\n'); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_process_that_dies_is_started_again(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "lives"
    kept = child(WRITES_AND_WAITS, str(file))
    task = asyncio.create_task(kept.keep())

    (first,) = await wait_for_lives(file, 1)
    os.kill(first, number)
    _, second = await wait_for_lives(file, 2)

    assert second != first
    kept.kill()
    with pytest.raises(CrewFailed, match="did not end in order, but with -9"):
        await task


async def test_a_process_that_keeps_dying_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "lives"
    kept = child(f"{UP}; open(sys.argv[1], 'a').write(f'{{os.getpid()}}\\n'); sys.exit(7)", str(file))

    with pytest.raises(
        CrewFailed, match=f"ingestion ended {SHORT_LIVES_MOST} times in a row soon after its start, last with 7"
    ):
        await kept.keep()

    assert len(lives(file)) == SHORT_LIVES_MOST


async def test_a_process_that_lived_long_enough_may_die_again_and_again(tmp_path: Path) -> None:
    file = tmp_path / "lives"
    clock = ManualClock()
    kept = child(WRITES_AND_WAITS, str(file), clock=clock)
    task = asyncio.create_task(kept.keep())

    for number in range(1, SHORT_LIVES_MOST + 2):
        pids = await wait_for_lives(file, number)
        for _ in range(5):  # what it told its supervisor before it wrote that line has arrived by now
            await asyncio.sleep(0)
        clock.advance(SHORT_LIFE_S)
        os.kill(pids[-1], signal.SIGKILL)
    await wait_for_lives(file, SHORT_LIVES_MOST + 2)

    assert not task.done()
    kept.kill()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_process_that_never_comes_up_is_not_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "lives"
    kept = child("import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); sys.exit(2)", str(file))

    with pytest.raises(CrewFailed, match="ingestion could not start and ended with 2"):
        await kept.keep()

    assert len(lives(file)) == 1
    assert not kept.up.is_set()


async def test_a_process_that_was_asked_to_end_by_somebody_else_is_replaced_at_once(tmp_path: Path) -> None:
    file = tmp_path / "lives"
    ends_well = f"import signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(0)); {WRITES_AND_WAITS}"
    kept = child(f"import os; {ends_well}", str(file))
    task = asyncio.create_task(kept.keep())

    for number in range(1, SHORT_LIVES_MOST + 2):  # more often than a process may die
        pids = await wait_for_lives(file, number)
        os.kill(pids[-1], signal.SIGTERM)
    await wait_for_lives(file, SHORT_LIVES_MOST + 2)

    kept.end()
    await task


async def test_the_end_comes_to_a_process_that_is_waiting_to_be_started_again(caplog: pytest.LogCaptureFixture) -> None:
    replicas = Replicas(roles=roles_of(("ingestion",)), count=1, port=0)
    kept = Child(replicas, [sys.executable, "-c", f"{UP}; sys.exit(1)"], SystemClock(), first_pause_s=60)
    task = asyncio.create_task(kept.keep())
    for _ in range(3000):
        if any(record.message == "process_ended" for record in caplog.records):
            break
        await asyncio.sleep(0.01)

    kept.end()

    await asyncio.wait_for(task, 30)
