"""kill -9 at any moment loses nothing that was acknowledged and invents nothing (promises P1, P2, P3, P7)."""

import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

from tests.system.deployment import Deployment, wait_until
from tests.system.every_event import check_every_event
from tests.system.load import Clients, Memory

# Everything that happens in the background happens all the time, so that the kill falls into it.
RESTLESS = {
    "WEFT_LOG__SEGMENT_BYTES": "65536",
    "WEFT_LOG__CHECKPOINT_INTERVAL_S": "0.05",
    "WEFT_LOG__RETENTION_BYTES": "200000",
    "WEFT_LOG__TRIM_INTERVAL_S": "0.1",
    "WEFT_LOG__TICK_IDLE_S": "0.2",
    "WEFT_STORE__FLUSH_BYTES": "60000",
    "WEFT_STORE__FLUSH_AGE_S": "0.15",
    "WEFT_STORE__TIDY_EVERY_S": "0.1",
    "WEFT_STORE__COMPACT_FILES": "2",
    "WEFT_STORE__GRACE_S": "0",
}


@pytest.mark.parametrize(("topology", "rounds"), [("together", 8), ("apart", 4)])
@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_in_a_few_kills(tmp_path: Path, topology: str, rounds: int) -> None:
    kill_and_check(tmp_path, topology, rounds)


@pytest.mark.soak
@pytest.mark.parametrize(("topology", "rounds"), [("together", 200), ("apart", 100)])
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_in_hundreds_of_kills(tmp_path: Path, topology: str, rounds: int) -> None:
    kill_and_check(tmp_path, topology, rounds)


def kill_and_check(folder: Path, topology: str, rounds: int) -> None:
    """Kill a server under load `rounds` times, then look at every event it has."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"KILL_SEED={seed}")
    chance = random.Random(seed)
    memory = Memory()
    deployment = Deployment(folder, topology, RESTLESS)
    killed_while_starting = 0
    for _ in range(rounds):
        deployment.start_missing()
        if chance.random() < 0.15:
            time.sleep(chance.uniform(0.0, 1.5))
            killed_while_starting += 1
        else:
            clients = Clients(deployment.url("ingestion"), memory, chance)
            before = len(memory.acknowledged)
            clients.start()
            if chance.random() < 0.8:  # else also before the first answer
                wait_until(partial(_acknowledged_more_than, memory, before + 10), "the clients got nowhere")
            time.sleep(chance.uniform(0.0, 0.8))
            for process in deployment.choose(chance):
                process.kill()
            clients.stop()
            continue
        deployment.kill()
    deployment.start_missing()
    try:
        check_every_event(deployment, memory)
        assert set(deployment.stop()) == {0}
    finally:
        deployment.kill()
    done = deployment.weft("verify", "--all", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(
        f"{topology}: {rounds} kills ({killed_while_starting} while starting), {len(memory.sent)} events sent, "
        f"{len(memory.acknowledged)} acknowledged, {len(memory.refused)} requests refused; {done.stdout.strip()}"
    )


def _acknowledged_more_than(memory: Memory, number: int) -> bool | None:
    return len(memory.acknowledged) > number or None
