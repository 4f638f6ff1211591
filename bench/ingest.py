"""Ingest over HTTP, durable, beside servers that check the same and store nothing, the seeds' design, and two databases.

`python -m bench.ingest [rounds] [case …]` prints the table; `run()` returns it. Every server is a process of its own, the load
comes from wrk, rounds are interleaved. Databases that are not installed are left out and named.
"""

import importlib.util
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from bench.load import UNIQUE, Load, finish, start, write_script
from bench.machine import describe
from bench.peers.databases import influxdb, postgresql, victoria_metrics
from bench.peers.databases.lines import line_of

BATCH: Final = 500
BATCH_CONNECTIONS: Final = 8
SINGLE_CONNECTIONS: Final = 64
_BODIES: Final = 24
_START_TIMEOUT_S: Final = 30


def make_events(count: int, *, with_ids: bool, seed: int = 1) -> list[dict[str, Any]]:
    """Events of about 330 bytes, like those of a web service."""
    pick = random.Random(seed)
    began = datetime.now(UTC) - timedelta(minutes=10)
    events: list[dict[str, Any]] = []
    for number in range(count):
        event: dict[str, Any] = {
            "type": pick.choice(["api.request", "web.click", "user.login", "error"]),
            "source": f"web-{pick.randrange(50)}",
            "severity": pick.choice(["low", "medium", "high"]),
            "timestamp": (began + timedelta(microseconds=pick.randrange(60_000_000))).isoformat().replace("+00:00", "Z"),
            "correlation_id": str(uuid.UUID(int=pick.getrandbits(128))),
            "session_id": f"s-{pick.getrandbits(32):08x}",
            "user_id": f"u-{pick.randrange(10_000)}",
            "tags": ["prod", "eu"],
            "data": {
                "path": f"/api/v1/items/{pick.randrange(10_000)}",
                "method": "GET",
                "status": pick.choice([200, 200, 200, 404, 500]),
                "response_time": round(pick.random(), 4),
            },
        }
        if with_ids:
            event = {"id": f"{number:08x}-0000-7000-8000-{UNIQUE}", **event}
        events.append(event)
    return events


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def batches(*, with_ids: bool) -> Load:
    """Batches of 500."""
    bodies = [_text({"events": make_events(BATCH, with_ids=with_ids, seed=seed)}) for seed in range(_BODIES)]
    return Load("/events/batch", tuple(bodies), BATCH_CONNECTIONS)


def singles(*, with_ids: bool) -> Load:
    """One event a request."""
    bodies = [_text(event) for event in make_events(_BODIES * 8, with_ids=with_ids)]
    return Load("/events", tuple(bodies), SINGLE_CONNECTIONS)


def lines(path: str) -> Load:
    """The same events, all their fields, as line protocol."""
    bodies = ["\n".join(map(line_of, make_events(BATCH, with_ids=False, seed=seed))) for seed in range(_BODIES)]
    return Load(path, tuple(bodies), BATCH_CONNECTIONS, content_type="text/plain", headers=())


@dataclass(frozen=True, slots=True)
class Server:
    """What to start: a command for a port and a folder, and how many of it share the folder."""

    command: Callable[[int, Path], list[str]]
    environment: Callable[[Path], dict[str, str]] = lambda folder: {}
    processes: int = 1
    beside: Callable[[Path], Any] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    server: Server
    load: Load
    events_per_request: int
    note: str = ""
    missing: str | None = None


def uvicorn(app: str) -> Callable[[int, Path], list[str]]:
    """A uvicorn process of one app."""
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error", "--lifespan", "on"]
    return lambda port, folder: [sys.executable, "-m", "uvicorn", app, "--port", str(port), *options]


def weft(*, discard: bool = False, processes: int = 1) -> Server:
    """Our doors, with the log or with one that throws away."""
    return Server(
        lambda port, folder: [sys.executable, "-m", "bench.peers.weft_app", str(port)],
        lambda folder: {"PEER_LOG": "discard" if discard else str(folder / "log")},
        processes,
    )


def cases() -> list[Case]:
    """Every row, those that cannot run here included."""
    plain, named = batches(with_ids=False), batches(with_ids=True)
    one, one_named = singles(with_ids=False), singles(with_ids=True)
    seeds = uvicorn("bench.peers.sqlalchemy_app:app")
    sqlite = Server(seeds, lambda folder: {"PEER_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/events.db"})
    on_postgresql = Server(seeds, lambda folder: {"PEER_DATABASE_URL": (folder / "url").read_text()}, 1, postgresql.running)
    no_postgresql = postgresql.missing() or (None if importlib.util.find_spec("asyncpg") else "no asyncpg")
    fastapi = Server(uvicorn("bench.peers.fastapi_app:app"))
    influx, victoria = Server(influxdb.command), Server(victoria_metrics.command)
    return [
        Case("weft, 1 process", weft(), plain, BATCH, "durable"),
        Case("weft, 1 process, client ids", weft(), named, BATCH, "durable, repeats looked for"),
        Case("weft, 2 processes", weft(processes=2), plain, BATCH, "durable"),
        Case("the same, stores nothing, 1 process", weft(discard=True), plain, BATCH, "checked, thrown away"),
        Case("the same, stores nothing, client ids", weft(discard=True), named, BATCH, "checked, thrown away"),
        Case("the same, stores nothing, 2 processes", weft(discard=True, processes=2), plain, BATCH, "checked, thrown away"),
        Case("FastAPI + Pydantic, stores nothing", fastapi, plain, BATCH, "checked, thrown away"),
        Case("FastAPI + SQLAlchemy, SQLite", sqlite, plain, BATCH, "WAL off, default flush"),
        Case("FastAPI + SQLAlchemy, PostgreSQL", on_postgresql, plain, BATCH, "durable", no_postgresql),
        Case("InfluxDB 1.6, all fields", influx, lines("/write?db=bench"), BATCH, "durable", influxdb.missing()),
        Case(
            "VictoriaMetrics, all fields",
            victoria,
            lines("/write"),
            BATCH,
            "acknowledged before the flush, texts not kept",
            victoria_metrics.missing(),
        ),
        Case("weft, singles", weft(), one, 1, "durable"),
        Case("weft, singles, client ids", weft(), one_named, 1, "durable, repeats looked for"),
        Case("the same, stores nothing, singles", weft(discard=True), one, 1, "checked, thrown away"),
        Case("FastAPI + Pydantic, stores nothing, singles", fastapi, one, 1, "checked, thrown away"),
        Case("FastAPI + SQLAlchemy, SQLite, singles", sqlite, one, 1, "WAL off, default flush"),
    ]


@dataclass(slots=True)
class Row:
    """What the rounds of one case gave."""

    events_per_s: list[float] = field(default_factory=list[float])
    p50_ms: list[float] = field(default_factory=list[float])
    p99_ms: list[float] = field(default_factory=list[float])
    cpu_us_per_event: list[float] = field(default_factory=list[float])
    load_cpu_share: list[float] = field(default_factory=list[float])
    memory_mib: list[float] = field(default_factory=list[float])
    disk_bytes_per_event: list[float] = field(default_factory=list[float])

    def medians(self) -> dict[str, float]:
        """The median of each column."""
        return {name: round(statistics.median(getattr(self, name)), 3) for name in self.__slots__}


def measure(case: Case, seconds: float, row: Row) -> None:
    """One round of one case, on fresh processes and an empty folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="weft-bench-")))
        script = folder / "load.lua"
        write_script(case.load, script)
        if case.server.beside is not None:
            stack.enter_context(case.server.beside(folder))
        servers = [stack.enter_context(serving(case.server, folder)) for _ in range(case.server.processes)]
        connections = max(1, case.load.connections // len(servers))
        for _, port in servers:
            finish(start(script, port, connections, 1, 1))  # warm
        stored_before = _size(folder)
        processes = [process for pid, _ in servers for process in _family(pid)]
        before_s = sum(_spent_s(process) for process in processes)
        began = time.perf_counter()
        clients = [start(script, port, connections, seconds, 100 + number) for number, (_, port) in enumerate(servers)]
        loads = [psutil.Process(client.pid) for client in clients]
        time.sleep(seconds * 0.8)
        load_share = sum(_spent_s(load) for load in loads) / (time.perf_counter() - began)
        results = [finish(client) for client in clients]
        took_s = time.perf_counter() - began
        spent_s = sum(_spent_s(process) for process in processes) - before_s
        rate = sum(result.requests_per_s for result in results) * case.events_per_request
        count = rate * took_s
        row.events_per_s.append(rate)
        row.p50_ms.append(statistics.mean(result.p50_ms for result in results))
        row.p99_ms.append(max(result.p99_ms for result in results))
        row.cpu_us_per_event.append(spent_s * 1e6 / count)
        row.load_cpu_share.append(load_share)
        row.memory_mib.append(sum(process.memory_info().rss for process in processes) / 2**20)
        row.disk_bytes_per_event.append((_size(folder) - stored_before) / count)


@contextmanager
def serving(server: Server, folder: Path) -> Iterator[tuple[int, int]]:
    """A server process that answers; its pid and port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {**os.environ, **server.environment(folder)}
    with (folder / f"server-{port}.log").open("wb") as log:
        process = subprocess.Popen(server.command(port, folder), env=environment, stdout=log, stderr=log)
    try:
        _wait(process, port, folder)
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    """Until the server answers anything at all."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError((folder / f"server-{port}.log").read_text()[-2000:])
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
        except urllib.error.HTTPError:
            pass
        except OSError:
            time.sleep(0.05)
            continue
        if (folder / "influxdb").exists():
            influxdb.create(port)
        return
    raise RuntimeError(f"nothing answers on port {port}")


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _spent_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return spent.user + spent.system


def _size(folder: Path) -> int:
    """Bytes on disk of what the servers stored."""
    stored = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".lua", ".log"})
    return sum(path.stat().st_blocks * 512 for path in stored)


_TWO: Final = "weft, 2 processes"
RATIOS: Final = {
    "durable / stores nothing, 1 process": ("weft, 1 process", "the same, stores nothing, 1 process", 0.6),
    "durable / stores nothing, client ids": ("weft, 1 process, client ids", "the same, stores nothing, client ids", 0.6),
    "durable / stores nothing, 2 processes": ("weft, 2 processes", "the same, stores nothing, 2 processes", 0.6),
    "2 processes / VictoriaMetrics": ("weft, 2 processes", "VictoriaMetrics, all fields", 1.0),
    "1 process / VictoriaMetrics": ("weft, 1 process", "VictoriaMetrics, all fields", 1.0),
    "1 process / InfluxDB 1.6": ("weft, 1 process", "InfluxDB 1.6, all fields", 5.0),
    "1 process / seeds' design on PostgreSQL": ("weft, 1 process", "FastAPI + SQLAlchemy, PostgreSQL", 40.0),
    "1 process / seeds' design on SQLite": ("weft, 1 process", "FastAPI + SQLAlchemy, SQLite", 40.0),
    "singles, durable / stores nothing": ("weft, singles", "the same, stores nothing, singles", 0.8),
    "singles, durable / FastAPI that stores nothing": ("weft, singles", "FastAPI + Pydantic, stores nothing, singles", 3.0),
}
"""Row, the row it is compared with, and the ratio to reach."""


def run(rounds: int = 5, seconds: float = 4.0, only: Sequence[str] = ()) -> dict[str, Any]:
    """Every case `rounds` times, interleaved; medians, ratios, and what could not run here."""
    if shutil.which("wrk") is None:
        raise RuntimeError("the load comes from wrk; install it (apt install wrk)")
    chosen = [case for case in cases() if not only or any(word in case.name for word in only)]
    runnable = [case for case in chosen if case.missing is None]
    rows = {case.name: Row() for case in runnable}
    machine = describe(Path.cwd())
    for _ in range(rounds):
        for case in runnable:
            measure(case, seconds, rows[case.name])
    table = {name: row.medians() for name, row in rows.items()}
    ratios = {
        name: {"is": round(table[ours]["events_per_s"] / table[theirs]["events_per_s"], 3), "target": target}
        for name, (ours, theirs, target) in RATIOS.items()
        if ours in table and theirs in table
    }
    if _TWO in table:
        ratios["2 processes, million events a second"] = {"is": round(table[_TWO]["events_per_s"] / 1e6, 3), "target": 1.0}
    return {
        "name": "ingest",
        "machine": machine,
        "rounds": rounds,
        "seconds": seconds,
        "event_bytes": len(_text(make_events(1, with_ids=False)[0])),
        "rows": {case.name: {"note": case.note, **table[case.name]} for case in runnable},
        "ratios": ratios,
        "left_out": {case.name: case.missing for case in chosen if case.missing is not None},
    }


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    rounds = int(arguments[0]) if arguments else 5
    result = run(rounds, only=arguments[1:])
    print(f"{'':46} {'events/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'cpu us':>7} {'load':>5} {'MiB':>6} {'B/event':>8}")
    for name, row in result["rows"].items():
        print(
            f"{name:46} {row['events_per_s']:10,.0f} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} {row['cpu_us_per_event']:7.2f} "
            f"{row['load_cpu_share']:5.2f} {row['memory_mib']:6.0f} {row['disk_bytes_per_event']:8.1f}"
        )
    for name, ratio in result["ratios"].items():
        print(f"{name:52} {ratio['is']:8.2f}   to reach {ratio['target']}")
    for name, why in result["left_out"].items():
        print(f"left out: {name} ({why})")


if __name__ == "__main__":
    main(sys.argv[1:])
