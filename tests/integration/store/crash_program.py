"""Fills a store as fast as it can until it is killed; run by test_store_crashes.py. Prints what has been promised."""

import asyncio
import dataclasses
import random
import sys
from pathlib import Path

from weft.core.batch import LogBatch
from weft.core.clock import SystemClock
from weft.core.erasure import Erasure
from weft.core.ids import IdRange
from weft.core.times import HOUR_US
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.testing.factories import NOON_US, make_log_batch, make_row

PARTITIONS = 2
PER_BATCH = 20
SETTINGS = StoreSettings(
    flush_bytes=20_000, flush_age_s=0.02, tidy_every_s=0.01, compact_files=3, grace_s=0, retention_by_topic_s={"old": 3600}
)


def batch_at(partition: int, number: int, topic: str = "events") -> LogBatch:
    """The same batch every time it is asked for. Every third id is given; those of odd batches repeat what partition 0 has."""
    first = number * PER_BATCH
    rows = [
        make_row(n, id=f"given-{number}-{n}" if n % 3 == 0 else None, source=f"s{number % 7}", user_id=f"u{n % 5}")
        for n in range(PER_BATCH)
    ]
    times = [NOON_US + (number % 5) * HOUR_US + n for n in range(PER_BATCH)]
    batch = make_log_batch(rows, topic=topic, partition=partition, first_offset=first, times_us=times)
    generated = IdRange(f"019e7044-8800-7{partition}00-8000-", first, PER_BATCH)
    return dataclasses.replace(batch, ids=[row.id or generated[n] for n, row in enumerate(rows)])


async def main(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with ParquetStore(f"parquet://{folder}", settings=SETTINGS, clock=SystemClock()) as store:
        flushed = await store.flushed()
        numbers = {
            partition: next((at for place, at in flushed.items() if place == ("events", partition)), 0) // PER_BATCH
            for partition in range(PARTITIONS)
        }
        print("ready", flush=True)
        while True:
            partition = rng.randrange(PARTITIONS)
            await store.write([batch_at(partition, numbers[partition])])
            numbers[partition] += 1
            if rng.random() < 0.02:
                source = f"s{rng.randrange(7)}"
                print(f"erasing {source} {numbers[0]} {numbers[1]}", flush=True)
                await store.erase(Erasure(source=source))
                print(f"erased {source}", flush=True)
            if rng.random() < 0.1:
                await store.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
