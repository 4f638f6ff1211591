"""A process that appends until it is killed and writes down what was acknowledged. Run by the tests beside it."""

import asyncio
import random
import sys
from pathlib import Path

from weft.core.clock import SystemClock
from weft.core.position import TopicPartition
from weft.log.port import Log, Retention
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.factories import make_batch, make_row


async def main(folder: str, acknowledgements: str, name: str, trims: bool) -> None:
    settings = LogSettings(segment_bytes=65_536, checkpoint_interval_s=0.01, min_free_bytes=0, reserve_bytes=0)
    clock = SystemClock()
    with Path(acknowledgements).open("a", encoding="ascii") as written:  # noqa: ASYNC230 - it is a few bytes
        async with SqliteLog(f"sqlite://{folder}", settings=settings, clock=clock) as log, asyncio.TaskGroup() as tasks:
            print("ready", flush=True)
            for caller in range(6):
                tasks.create_task(append(log, f"{name}-{caller}", written.write, written.flush, clock))
            if trims:
                tasks.create_task(trim(log))


async def append(log: Log, name: str, write, flush, clock) -> None:
    number = 0
    while True:
        ids = [f"{name}-{number}-{n}" for n in range(random.choice((1, 1, 3, 40)))]
        batch = make_batch([make_row(id=event_id, data={"x": random.randbytes(40).hex()}) for event_id in ids])
        appended = await log.append(batch)
        for index, event_id in enumerate(ids):
            write(f"{appended.partition} {appended.first_offset + index} {event_id}\n")
        flush()
        number += 1


async def trim(log: Log) -> None:
    while True:
        for state in (await log.state()).partitions:
            await log.commit("group", {TopicPartition(state.topic, state.partition): state.end_offset})
        await log.trim(Retention(max_bytes=400_000))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "trims"))
