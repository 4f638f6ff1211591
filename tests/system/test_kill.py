"""kill -9 at any moment loses nothing that was acknowledged and invents nothing (promises P1, P2, P3, P7)."""

import json
import os
import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.system.deployment import Deployment, wait_until
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


def check_every_event(deployment: Deployment, memory: Memory) -> None:
    """Each acknowledged event is there once under its id; what else is there was sent, and is there once."""
    with deployment.client("storage") as client:

        def settled() -> bool | None:
            books = client.get("/api/v1/conservation").json()
            return all(topic["in_flight"] == 0 for topic in books["topics"]) or None

        wait_until(settled, "the store never caught up with the log")
        found: dict[str, list[str]] = {}
        with client.stream("GET", "/events", headers={"Accept": "application/x-ndjson"}) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                event = json.loads(line)
                found.setdefault(event["data"]["key"], []).append(event["id"])
    assert memory.acknowledged, f"nothing was acknowledged, so nothing is proven: {memory.refused[:3]}"
    lost = [key for key in memory.acknowledged if key not in found]
    assert not lost, f"{len(lost)} acknowledged events are gone, such as {lost[:5]}"
    renamed = [key for key, event_id in memory.acknowledged.items() if found[key] != [event_id]]
    assert not renamed, (
        f"{len(renamed)} are not there exactly once under their id, such as {[(key, found[key]) for key in renamed[:5]]}"
    )
    double = [key for key, ids in found.items() if len(ids) > 1]
    assert not double, f"{len(double)} events are there more than once, such as {double[:5]}"
    invented = found.keys() - memory.sent
    assert not invented, f"{len(invented)} events were never sent, such as {sorted(invented)[:5]}"
    assert not Counter(memory.refused).most_common(3), "a server that was up refused events"
