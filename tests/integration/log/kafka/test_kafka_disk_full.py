"""The disk of the broker is full: what was acknowledged before is there when it has room again."""

import asyncio
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.services.fixtures import run_server
from tests.services.install import KAFKA
from tests.services.kafka_server import KafkaServer
from weft.core.clock import SystemClock
from weft.core.errors import Unavailable
from weft.core.position import TopicPartition
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import ids_of, read_all


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system with little room."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root; run this test as root or in a container that may mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def broker(small_disk: Path) -> Generator[KafkaServer]:
    """A broker on it."""
    yield from run_server(KafkaServer(small_disk / "kafka"), KAFKA)


async def fill(log: Log, stored: list[str]) -> None:
    """Append until the disk is full; `stored` is what was acknowledged."""
    for _ in range(200):
        batch = make_batch([make_row(data={"text": os.urandom(500).hex()}) for _ in range(500)])
        await log.append(batch)
        stored.extend(batch.ids)


def make_room(place: Path) -> None:
    """As somebody would who hears of it."""
    subprocess.run(["mount", "-o", "remount,size=512m", str(place)], check=True)


async def test_what_was_acknowledged_before_the_disk_was_full_is_kept(small_disk: Path, broker: KafkaServer) -> None:
    kafka = KafkaSettings(partitions=1, compression="none", delivery_timeout_s=3.0, request_timeout_s=2.0)
    stored: list[str] = []
    async with KafkaLog(broker.url, settings=LogSettings(kafka=kafka), clock=SystemClock()) as log:
        with pytest.raises(Unavailable) as refusal:
            await fill(log, stored)
        assert refusal.value.retry_after_s > 0
        assert len(stored) > 1000
        await asyncio.to_thread(broker.kill)
        make_room(small_disk)
        await asyncio.to_thread(broker.start)
        found = ids_of(await read_all(log, TopicPartition("events", 0)))
        assert set(stored) <= set(found)
        while True:
            try:
                await log.append(make_batch(1))
                break
            except Unavailable:
                await asyncio.sleep(0.1)
