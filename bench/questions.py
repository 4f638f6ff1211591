"""Questions to the store, beside a DuckDB file, SQLite and PostgreSQL over the same rows in the same run.

`python -m bench.questions 10000000` for the full size. The events lie in one day; 95 % have generated ids, 5 % the client's.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from bench.peers.stores import DuckDBFile, Peer, Postgres, Sqlite
from weft.core.batch import LogBatch
from weft.core.clock import SystemClock
from weft.core.ids import new_ids
from weft.core.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from weft.store.parquet import ParquetStore
from weft.store.query import Aggregate, Filter, Select
from weft.store.settings import StoreSettings

DAY = 1_780_000_000 * SECOND_US // DAY_US * DAY_US
LAST_HOUR = DAY + 23 * HOUR_US
PER_BATCH = 1_000
ROUNDS = 5
ARRIVING_PER_S = 200_000
TYPES = (
    "web.click",
    "web.pageview",
    "api.request",
    "api.response",
    "user.login",
    "user.logout",
    "error",
    "metric",
    "custom",
    "system.metric",
)
SHARES = (0.25, 0.2, 0.15, 0.15, 0.05, 0.03, 0.02, 0.1, 0.03, 0.02)


@dataclass(frozen=True, slots=True)
class Question:
    """One question: for the store, and as SQL for a peer. `group` says which target it belongs to."""

    group: str
    weft: Callable[[ParquetStore], Awaitable[object]]
    sql: Callable[[Peer], str]


def batches(rows: int, start_us: int, span_us: int, first_offset: int = 0, seed: int = 1) -> Iterator[LogBatch]:
    """Log batches of made-up events, evenly spread over a span of time."""
    rng = np.random.default_rng(seed)
    sessions = rng.integers(0, 20_000, 50_000)
    severities = ("low", "medium", "high", "critical")
    for first in range(0, rows, PER_BATCH):
        count = min(PER_BATCH, rows - first)
        times = start_us + np.sort(rng.integers(first * span_us // rows, max((first + count) * span_us // rows, 1), count))
        ids = list(new_ids(count, int(times[0])))
        kinds = rng.choice(len(TYPES), count, p=SHARES).tolist()
        sources = rng.integers(0, 50, count).tolist()
        users = (rng.zipf(1.3, count) % 100_000).tolist()
        grades = rng.choice(4, count, p=(0.1, 0.85, 0.04, 0.01)).tolist()
        durations = rng.gamma(2, 60, count).tolist()
        codes = rng.choice((200, 201, 204, 404, 500), count, p=(0.8, 0.1, 0.05, 0.04, 0.01)).tolist()
        sizes = rng.integers(100, 20_000, count).tolist()
        lines: list[str] = []
        for n in range(count):
            given = ""
            if n % 20 == 0:
                ids[n] = str(UUID(int=random.getrandbits(128), version=4))
                given = f'"id":"{ids[n]}",'
            lines.append(
                f'{{{given}"type":"{TYPES[kinds[n]]}","source":"service-{sources[n]:02d}","severity":"{severities[grades[n]]}",'
                f'"user_id":"user-{users[n]}","session_id":"s-{sessions[(first + n) % 50_000]:06d}","tags":["prod","eu"],'
                f'"data":{{"path":"/api/v1/items/{sizes[n] % 200}","status":{codes[n]},"duration_ms":{durations[n]:.2f},'
                f'"bytes":{sizes[n]}}}}}'
            )
        yield LogBatch(
            topic="events",
            partition=0,
            first_offset=first_offset + first,
            rows=",".join(lines).encode(),
            ids=ids,
            times_us=times,
            received_at_us=times + 2_000,
            max_time_before_us=None,
        )


def questions(generated: list[str], given: list[str], page_2: str) -> dict[str, Question]:
    """The questions of a day's work. Those by id ask for another id each time."""
    half_day = Filter(start_us=DAY + 12 * HOUR_US, end_us=DAY + DAY_US, types=("api.request",))
    sql_half_day = f"type = 'api.request' AND time_us >= {DAY + 12 * HOUR_US} AND time_us < {DAY + DAY_US}"
    newest = "ORDER BY time_us DESC, id DESC LIMIT 51"
    day = f"time_us >= {DAY} AND time_us < {DAY + DAY_US}"
    odd = f"time_us >= {DAY + 7} AND time_us < {DAY + DAY_US - 7}"

    def aggregate(**asked: Any) -> Callable[[ParquetStore], Awaitable[object]]:
        return lambda store: store.aggregate(Aggregate(**asked))

    return {
        "count by type, one day": Question(
            "aggregate",
            aggregate(filter=Filter(start_us=DAY, end_us=DAY + DAY_US)),
            lambda peer: f"SELECT type, count(*) FROM events WHERE {day} GROUP BY type",
        ),
        "count by severity, one day less 14 µs": Question(
            "aggregate",
            aggregate(filter=Filter(start_us=DAY + 7, end_us=DAY + DAY_US - 7), group_by=("severity",)),
            lambda peer: f"SELECT severity, count(*) FROM events WHERE {odd} GROUP BY severity",
        ),
        "hourly histogram of one type": Question(
            "aggregate",
            aggregate(filter=Filter(start_us=DAY, end_us=DAY + DAY_US, types=("api.request",)), group_by=("hour",)),
            lambda peer: f"SELECT {peer.hour}, count(*) FROM events WHERE {day} AND type = 'api.request' GROUP BY 1",
        ),
        "p95 by source and minute, last hour": Question(
            "aggregate",
            aggregate(
                filter=Filter(start_us=LAST_HOUR, end_us=DAY + DAY_US),
                metric="p95",
                field="data.duration_ms",
                group_by=("source", "interval"),
                interval_us=MINUTE_US,
            ),
            lambda peer: (
                f"SELECT source, {peer.minute}, {peer.p95.format(peer.duration)} FROM events"
                f" WHERE time_us >= {LAST_HOUR} AND time_us < {DAY + DAY_US} GROUP BY 1, 2"
            ),
        ),
        "distinct users per hour": Question(
            "aggregate",
            aggregate(filter=Filter(start_us=DAY, end_us=DAY + DAY_US), metric="distinct", field="user_id", group_by=("hour",)),
            lambda peer: f"SELECT {peer.hour}, count(DISTINCT user_id) FROM events WHERE {day} GROUP BY 1",
        ),
        "by generated id": Question(
            "id",
            lambda store: store.get(random.choice(generated)),
            lambda peer: f"SELECT * FROM events WHERE id = '{random.choice(generated)}'",
        ),
        "by id of the client": Question(
            "id",
            lambda store: store.get(random.choice(given)),
            lambda peer: f"SELECT * FROM events WHERE id = '{random.choice(given)}'",
        ),
        "page 1 of one type": Question(
            "page",
            lambda store: store.select(Select(filter=half_day, limit=50)),
            lambda peer: f"SELECT * FROM events WHERE {sql_half_day} {newest}",
        ),
        "next page by cursor": Question(
            "page",
            lambda store: store.select(Select(filter=half_day, limit=50, after=page_2)),
            lambda peer: f"SELECT * FROM events WHERE {sql_half_day} AND time_us < {DAY + DAY_US - 1_000_000} {newest}",
        ),
        "page 401 by skip": Question(
            "deep page",
            lambda store: store.select(Select(filter=half_day, limit=50, skip=20_000)),
            lambda peer: f"SELECT * FROM events WHERE {sql_half_day} {newest} OFFSET 20000",
        ),
    }


async def run(rows: int = 1_000_000) -> dict[str, Any]:
    """Load, ask everybody the same, ask the store again while events arrive."""
    sys.setswitchinterval(0.0005)  # as `weft start` does, so that questions and writing take turns as there
    with tempfile.TemporaryDirectory(prefix="weft-bench-store-") as temporary:
        folder = Path(temporary)
        left_out: dict[str, str] = {}
        async with ParquetStore(f"parquet://{folder}/store", settings=StoreSettings(grace_s=0), clock=SystemClock()) as store:
            load = {"Weft": await _load(store, rows)}
            asked = await _questions(store)
            peers = _peers(folder, left_out)
            try:
                for peer in peers:
                    started = time.perf_counter()
                    peer.load(f"{folder}/store/topic=events/**/*.parquet")
                    load[peer.name] = rows / (time.perf_counter() - started)
                table, size = await _race(store, peers, asked), await _sizes(store, peers, rows)
            finally:
                for peer in peers:
                    peer.close()
            arrived = await _while_arriving(store, asked, rows, table)
        return {
            "rounds": ROUNDS,
            "rows": {
                **table,
                "bytes an event on disk": size,
                "load, events/s": load,
                "arriving meanwhile, events/s": {"Weft meanwhile": arrived},
            },
            "ratios": _ratios(table, size),
            "left_out": left_out,
            "events": rows,
        }


def _peers(folder: Path, left_out: dict[str, str]) -> list[Peer]:
    peers: list[Peer] = [DuckDBFile(folder), Sqlite(folder)]
    try:
        peers.append(Postgres())
    except FileNotFoundError as missing:
        left_out["PostgreSQL"] = str(missing)
    return peers


async def _load(store: ParquetStore, rows: int) -> float:
    """Load through the store's own door; the time to make the events is not counted."""
    spent = 0.0
    some: list[LogBatch] = []
    for batch in batches(rows, DAY, DAY_US):
        some.append(batch)
        if len(some) == 20:
            spent += await _timed(store.write(some))
            some = []
    spent += await _timed(store.write(some))
    spent += await _timed(store.flush())
    spent += await _timed(store.tidy())
    return rows / spent


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _questions(store: ParquetStore) -> dict[str, Question]:
    rng = random.Random(7)
    generated: list[str] = []
    given: list[str] = []
    for _ in range(20):
        moment = DAY + rng.randrange(DAY_US - HOUR_US)
        page = await store.select(Select(filter=Filter(start_us=moment), limit=40, order="asc"))
        for event in page.events:
            (generated if UUID(event.id).version == 7 else given).append(event.id)
    first = await store.select(Select(filter=Filter(end_us=DAY + DAY_US, types=("api.request",)), limit=50))
    return questions(generated, given, first.cursor or "")


async def _race(store: ParquetStore, peers: list[Peer], asked: dict[str, Question]) -> dict[str, dict[str, Any]]:
    times: dict[str, dict[str, list[float]]] = {name: {} for name in asked}
    for number in range(ROUNDS + 1):
        for name, question in asked.items():
            taken = {"Weft": await _timed(question.weft(store)) * 1000, **{p.name: p.ask(question.sql(p)) for p in peers}}
            for engine, taken_ms in taken.items():
                if number:  # the first round warms everybody up
                    times[name].setdefault(engine, []).append(taken_ms)
    return {f"{name}, ms": {engine: statistics.median(some) for engine, some in row.items()} for name, row in times.items()}


async def _sizes(store: ParquetStore, peers: list[Peer], rows: int) -> dict[str, float]:
    return {"Weft": (await store.state()).size_bytes / rows, **{peer.name: peer.size_bytes() / rows for peer in peers}}


async def _while_arriving(
    store: ParquetStore, asked: dict[str, Question], rows: int, table: dict[str, dict[str, Any]], seconds: float = 8
) -> float:
    """Ask while events of the next day are written at a steady rate; returns the rate reached."""
    prepared = list(batches(int(ARRIVING_PER_S * seconds), DAY + DAY_US, 8 * SECOND_US, rows, seed=2))
    started = time.perf_counter()
    written = 0

    async def arrive() -> None:
        nonlocal written
        for number in range(0, len(prepared), 10):
            await asyncio.sleep(max(0.0, number * PER_BATCH / ARRIVING_PER_S - (time.perf_counter() - started)))
            await store.write(prepared[number : number + 10])
            written += sum(batch.count for batch in prepared[number : number + 10])

    arriving = asyncio.create_task(arrive())
    times: dict[str, list[float]] = {name: [] for name in asked}
    while not arriving.done():
        for name, question in asked.items():
            times[name].append(await _timed(question.weft(store)) * 1000)
    await arriving
    rate = written / (time.perf_counter() - started)
    for name, some in times.items():
        table[f"{name}, ms"]["Weft meanwhile"] = statistics.median(some)
    return rate


def _ratios(table: dict[str, dict[str, Any]], size: dict[str, float]) -> dict[str, dict[str, Any]]:
    aggregates = [row for name, row in table.items() if not name.startswith(("by", "page", "next"))]
    found: dict[str, dict[str, Any]] = {
        "slowest aggregate ÷ DuckDB file": {
            "is": max(row["Weft"] / row["DuckDB file"] for row in aggregates),
            "target": 2,
            "at_most": True,
        },
        "slowest id, ms": {
            "is": max(row["Weft"] for name, row in table.items() if name.startswith("by")),
            "target": 2,
            "at_most": True,
        },
        "slowest page, ms": {
            "is": max(table[f"{name}, ms"]["Weft"] for name in ("page 1 of one type", "next page by cursor")),
            "target": 10,
            "at_most": True,
        },
        "bytes an event": {"is": size["Weft"], "target": 45, "at_most": True},
    }
    if all("PostgreSQL" in row for row in aggregates):
        found["PostgreSQL ÷ Weft, least of the aggregates"] = {
            "is": min(row["PostgreSQL"] / row["Weft"] for row in aggregates),
            "target": 5,
        }
    return found


if __name__ == "__main__":
    import json

    print(json.dumps(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)), indent=2, ensure_ascii=False))
