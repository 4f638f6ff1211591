"""`weft store copy`, as a shell sees it."""

import asyncio
import json
from pathlib import Path

from tests.services.postgres import PostgresServer
from tests.system.deployment import Process, run_weft
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_log_batch


def test_a_store_is_carried_to_postgresql_with_everything_that_is_needed_to_go_on_there(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.create_database()
    database = url.rpartition("/")[2]
    server = Process(tmp_path)
    try:
        server.url()
        run_weft("send-event", "--count", "120", "--source", "till", "--data-dir", str(server.data_dir), cwd=tmp_path)
    finally:
        server.stop()
    copy = ("store", "copy", "--to", url, "--data-dir", str(server.data_dir))
    told = json.loads(run_weft(*copy, "--format", "json", cwd=tmp_path).stdout)
    assert told["same"] is True
    assert sum(part["events_copied"] for part in told["parts"]) >= 120
    moved = {"WEFT_APP__STORE_URL": url}
    assert (
        "Everything is there"
        in run_weft("verify", "--all", "--data-dir", str(server.data_dir), cwd=tmp_path, extra=moved).stdout
    )

    postgres_server.psql("UPDATE events SET subject = 'x' WHERE source = 'till'", database=database)
    damaged = run_weft(*copy, cwd=tmp_path, check=False)
    assert damaged.returncode == 1
    assert "differs from the original in: events" in damaged.stderr


def test_events_that_only_the_log_has_are_not_left_behind(tmp_path: Path) -> None:
    async def fill() -> None:
        clock = ManualClock()
        async with SqliteLog(f"sqlite://{tmp_path / 'd' / 'log'}", settings=LogSettings(), clock=clock) as log:
            await log.append(make_batch(50))
        async with ParquetStore(f"parquet://{tmp_path / 'd' / 'store'}", settings=StoreSettings(), clock=clock):
            pass

    asyncio.run(fill())
    to = ("--to", f"parquet://{tmp_path / 'copy'}", "--new-log")
    refused = run_weft("store", "copy", *to, "--data-dir", str(tmp_path / "d"), cwd=tmp_path, check=False)

    assert refused.returncode == 1
    assert "50 offsets of events/0 stand in the log and not in the store yet" in refused.stderr


def test_a_store_is_not_copied_onto_itself_or_to_nowhere(tmp_path: Path) -> None:
    async def fill() -> None:
        url = f"parquet://{tmp_path / 'd' / 'store'}"
        async with ParquetStore(url, settings=StoreSettings(), clock=ManualClock()) as store:
            await store.write([make_log_batch(3)])

    asyncio.run(fill())
    for to in (f"parquet://{tmp_path / 'd' / 'store'}", "carrier-pigeon://x", "postgresql://host-without-database"):
        done = run_weft("store", "copy", "--to", to, "--data-dir", str(tmp_path / "d"), cwd=tmp_path, check=False)
        assert done.returncode == 2, done.stderr
