"""The store in PostgreSQL: the log's consumer into it, beside plain COPY of the same rows into a table with the same columns.

`python -m bench postgres_store`. Client and server share the machine.
"""

import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import asyncpg
import numpy as np
import psutil

from bench.append import event_row
from bench.peers.databases import postgresql
from weft.core.batch import LogBatch
from weft.core.clock import SystemClock
from weft.core.ids import new_ids
from weft.core.position import Positions
from weft.core.times import SECOND_US
from weft.store.postgres import PostgresStore
from weft.store.postgres.encode import HEADER, TRAILER, encode
from weft.store.postgres.schema import EVENT_COLUMNS
from weft.store.settings import PostgresSettings, StoreSettings
from weft.store.writer import StoreWriter

ROUNDS: Final = 3
PER_BATCH: Final = 1_000
BATCHES: Final = 200
PARTITIONS: Final = 2
COPY_BYTES: Final = 4 * 1024 * 1024
START_US: Final = 1_780_000_000 * SECOND_US
INDEXED: Final = ('("timestamp")', "(type)", "(source)", "(user_id)", "(id)")

Row = dict[str, float]


class _Server:
    """The server that is measured."""

    process: psutil.Process

    @classmethod
    def cpu_s(cls) -> float:
        """CPU seconds of the server and everything it started."""
        times = cls.process.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in cls.process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                own = child.cpu_times()
                total += own.user + own.system
        return total


async def run() -> dict[str, Any]:
    """Medians of interleaved rounds."""
    why = postgresql.missing()
    if why is not None:
        return {"rows": {}, "left_out": {"PostgreSQL": why}}
    cases: dict[str, Callable[[str], Awaitable[Row]]] = {
        "log consumer to the store": _store,
        "log consumer to the store, one connection": _store_alone,
        "log consumer to the store, every id given by clients": _store_given,
        "plain COPY, bare table": _copy_bare,
        "plain COPY, table with five indexes": _copy_indexed,
    }
    found: dict[str, list[Row]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory(prefix="weft-bench-pg-") as folder, postgresql.running(Path(folder)):
        pid = (Path(folder) / "postgresql" / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0]
        _Server.process = psutil.Process(int(pid))
        url = (Path(folder) / "url").read_text(encoding="utf-8").replace("+asyncpg", "")
        for _ in range(ROUNDS):
            for name, case in cases.items():
                found[name].append(await case(url))
                await _clear(url)
    rows = {
        name: {column: statistics.median(row[column] for row in rounds) for column in rounds[0]}
        for name, rounds in found.items()
    }
    store = rows["log consumer to the store"]["events_per_s"]
    return {
        "rounds": ROUNDS,
        "rows": rows,
        "ratios": {
            "store to plain COPY into a bare table": {
                "is": store / rows["plain COPY, bare table"]["events_per_s"],
                "target": 0.7,
            },
            "store to plain COPY into a table with indexes": {
                "is": store / rows["plain COPY, table with five indexes"]["events_per_s"],
                "target": 0.7,
            },
            "one connection, to plain COPY into a table with indexes": {
                "is": rows["log consumer to the store, one connection"]["events_per_s"]
                / rows["plain COPY, table with five indexes"]["events_per_s"],
                "target": 0.7,
            },
        },
    }


def _batches(*, given: bool = False) -> list[LogBatch]:
    chance = random.Random(1)
    bodies = [event_row(number, chance) for number in range(PER_BATCH)]
    made: list[LogBatch] = []
    for number in range(BATCHES):
        partition, offset = number % PARTITIONS, number // PARTITIONS * PER_BATCH
        now = START_US + number * SECOND_US
        ids = list(new_ids(PER_BATCH, now)) if given else new_ids(PER_BATCH, now)
        rows = [b'{"id":"%s",%s' % (i.encode(), body[1:]) for i, body in zip(ids, bodies, strict=True)] if given else bodies
        made.append(
            LogBatch(
                topic="events",
                partition=partition,
                first_offset=offset,
                rows=b",".join(rows),
                ids=ids,
                times_us=np.arange(now, now + PER_BATCH, dtype=np.int64),
                received_at_us=np.full(PER_BATCH, now, dtype=np.int64),
                max_time_before_us=None,
            )
        )
    return made


async def _store(url: str) -> Row:
    return await _consume(url, _batches(), StoreSettings())


async def _store_alone(url: str) -> Row:
    return await _consume(url, _batches(), StoreSettings(postgres=PostgresSettings(write_connections=1)))


async def _store_given(url: str) -> Row:
    return await _consume(url, _batches(given=True), StoreSettings())


async def _consume(url: str, batches: Sequence[LogBatch], settings: StoreSettings) -> Row:
    async def follow() -> AsyncIterator[LogBatch]:
        for batch in batches:
            yield replace(batch)  # as it comes out of the log: not decoded yet

    async def commit(positions: Positions) -> None:
        pass

    async def dead_letter(batch: LogBatch, attempts: int, reason: str) -> None:
        raise AssertionError(reason)

    async with PostgresStore(url, settings=settings, clock=SystemClock()) as store:
        began = _Began()
        await StoreWriter(store, follow(), commit=commit, dead_letter=dead_letter).run(lambda: None)
        row = _figures(began)
        state = await store.state()
        assert state.events == BATCHES * PER_BATCH, state
        return {**row, "bytes_per_event": state.size_bytes / state.events}


async def _copy_bare(url: str) -> Row:
    return await _copy(url, ())


async def _copy_indexed(url: str) -> Row:
    return await _copy(url, INDEXED)


async def _copy(url: str, indexes: Sequence[str]) -> Row:
    """COPY of rows that were encoded beforehand: all that PostgreSQL itself needs, on one connection, some megabytes each."""
    async with PostgresStore(url, settings=StoreSettings(), clock=SystemClock()):
        pass
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE plain (LIKE events)")
        for index in indexes:
            await connection.execute(f"CREATE INDEX ON plain {index}")
        pieces = [encode(batch).kept(np.ones(batch.count, dtype=np.bool_)) for batch in _batches()]
        size = sum(map(len, pieces)) // len(pieces)
        a_copy = max(1, COPY_BYTES // size)
        began = _Began()
        for first in range(0, len(pieces), a_copy):
            await connection.copy_to_table(
                "plain",
                source=_source([HEADER, *pieces[first : first + a_copy], TRAILER]),
                columns=EVENT_COLUMNS,
                format="binary",
            )
        row = _figures(began)
        size = await connection.fetchval("SELECT pg_total_relation_size('plain')")
        return {**row, "bytes_per_event": size / (BATCHES * PER_BATCH)}
    finally:
        await connection.close()


async def _source(pieces: Sequence[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    for piece in pieces:
        yield piece


class _Began:
    """When something began, by the three clocks."""

    def __init__(self) -> None:
        self.server_s, self.client_s, self.at_s = _Server.cpu_s(), time.process_time(), time.perf_counter()


def _figures(began: _Began) -> Row:
    events = BATCHES * PER_BATCH
    took_s, client_s = time.perf_counter() - began.at_s, time.process_time() - began.client_s
    return {
        "events_per_s": events / took_s,
        "client_cpu_us_per_event": 1e6 * client_s / events,
        "server_cpu_us_per_event": 1e6 * (_Server.cpu_s() - began.server_s) / events,
    }


async def _clear(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CHECKPOINT")
    finally:
        await connection.close()


if __name__ == "__main__":
    result = asyncio.run(run())
    for name, row in result["rows"].items():
        print(f"{name:55}", "  ".join(f"{column} {value:,.2f}" for column, value in row.items()))
    for name, ratio in result["ratios"].items():
        print(f"{name:55} {ratio['is']:.2f} (target {ratio['target']})")
