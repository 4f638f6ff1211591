"""A disk of PostgreSQL that is really full: new events wait, nothing acknowledged is lost, and it goes on by itself."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.store.postgres.conftest import store_at
from tests.services.install import POSTGRES
from tests.services.postgres import PostgresServer
from weft.core.errors import StorageFull, Unavailable
from weft.testing.factories import make_log_batch, make_row

ROOM_BYTES = 160 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    if not POSTGRES.is_there():
        pytest.skip(POSTGRES.advice)
    folder = Path(f"/tmp/weft-small-{os.getpid()}-{tmp_path.name[-8:]}")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(folder)], check=False).returncode:
        folder.rmdir()
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.soak
async def test_a_disk_that_fills_up_refuses_and_later_takes_everything_once(small_disk: Path) -> None:
    server = PostgresServer(small_disk / "server", options=("max_wal_size=48MB", "min_wal_size=32MB"))
    await asyncio.to_thread(server.start)
    try:
        url = server.create_database()
        chance = os.urandom(1_500).hex()
        batches = [
            make_log_batch([make_row(n, data={"n": n, "filler": chance[n:]}) for n in range(500)], first_offset=500 * number)
            for number in range(24)
        ]
        filler = small_disk / "filler"
        async with store_at(url) as store:
            await store.write(batches[:2])
            free = shutil.disk_usage(small_disk).free
            filler.write_bytes(bytes(free - 4 * 2**20))
            refused: list[Unavailable] = []
            done = 2
            while not refused and done < len(batches):
                try:
                    await store.write([batches[done]])
                    done += 1
                except Unavailable as full:
                    refused.append(full)
            assert refused, "the disk never filled up"
            assert isinstance(refused[0], StorageFull)
            filler.unlink()
            for batch in batches:
                while True:
                    try:
                        await store.write([batch])
                        break
                    except Unavailable:
                        if not server.answers():  # a full disk under the write-ahead log ends the server itself
                            await asyncio.to_thread(server.kill)
                            await asyncio.to_thread(server.start)
                        await asyncio.sleep(0.1)
            state = await store.state()
            assert (state.events, state.topics[0].position) == (12_000, 12_000)
    finally:
        await asyncio.to_thread(server.stop)
