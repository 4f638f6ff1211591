"""While a consumer is away the log grows, not the memory of the process that takes events in (promise P9)."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import psutil
import pytest

from tests.system.deployment import Deployment, wait_until
from tests.system.forms import deploy

EVENTS_A_REQUEST = 500
EVENT = {"type": "custom", "source": "load", "data": {"filling": "x" * 300}}
BODY = json.dumps({"events": [EVENT] * EVENTS_A_REQUEST}).encode()
WARM_UP_EVENTS = 15_000
MEBIBYTE = 1024 * 1024
MOST_GROWTH_BYTES = 8 * MEBIBYTE
SMALL_BUFFERS = {"WEFT_LOG__RECENT_BYTES": str(2 * MEBIBYTE), "WEFT_LOG__QUEUE_BYTES": str(8 * MEBIBYTE)}
"""So that they are full soon, and everything beyond them would show."""


@dataclass
class Load:
    """Three clients that send batches as fast as they are taken."""

    url: str
    taken: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, events: int) -> None:
        """Until so many were taken in all."""
        wait_until(lambda: self.taken >= events or None, f"only {self.taken} of {events} events were taken", within_s=100)

    def _send(self) -> None:
        headers = {"Content-Type": "application/json"}
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            while not self._stop.is_set():
                answer = client.post("/events/batch", content=BODY, headers=headers)
                assert answer.status_code in {201, 503}, answer.text
                if answer.status_code == 201:
                    with self._lock:
                        self.taken += EVENTS_A_REQUEST


@pytest.fixture(params=["apart", "kafka"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    deployed = deploy(request, tmp_path, request.param)
    deployed.environment.update(SMALL_BUFFERS)
    try:
        yield deployed.start()
    finally:
        deployed.kill()


def test_memory_does_not_grow_with_what_waits_for_a_consumer(deployment: Deployment) -> None:
    grown, backlog = grow(deployment, events=40_000)

    assert grown < MOST_GROWTH_BYTES, f"{grown / MEBIBYTE:.0f} MiB more for {backlog} events that wait"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_memory_does_not_grow_in_five_minutes_without_a_consumer(deployment: Deployment) -> None:
    grown, backlog = grow(deployment, seconds=300)

    assert grown < 4 * MOST_GROWTH_BYTES, f"{grown / MEBIBYTE:.0f} MiB more for {backlog} events that wait"


def grow(deployment: Deployment, *, events: int = 0, seconds: float = 0) -> tuple[int, int]:
    """By how many bytes ingestion grows, and how many events wait, while nobody plays storage."""
    deployment.processes["storage"].kill()
    process = psutil.Process(deployment.processes["ingestion"].pid)
    with Load(deployment.url("ingestion")) as load:
        load.wait_for(WARM_UP_EVENTS)
        before = process.memory_full_info().uss
        load.wait_for(WARM_UP_EVENTS + events)
        time.sleep(seconds)
        grown = process.memory_full_info().uss - before
    print(f"{load.taken} events ({load.taken * len(BODY) // EVENTS_A_REQUEST / MEBIBYTE:.0f} MiB): {grown / MEBIBYTE:+.1f} MiB")
    return grown, load.taken
