"""The same scenario in every form: post events and wait until the store has them all.

Together in one process on embedded parts, apart on embedded parts, and apart on Kafka or RabbitMQ with PostgreSQL and Redis.

`python -m bench topologies`. Measured is the way from the first request to the last event that a question finds, and the
processor time of Weft's own processes and, beside it, of the servers.
"""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from bench.ingest import make_events
from tests.services.install import KAFKA, POSTGRES, RABBITMQ, REDIS, Need
from tests.services.kafka_server import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq_server import RabbitmqServer
from tests.services.redis import RedisServer
from tests.services.server import Server
from tests.system.deployment import Deployment
from tests.system.forms import on_kafka, on_postgres, on_rabbitmq, on_redis

ROUNDS: Final = 3
EVENTS: Final = 100_000
BATCH: Final = 500
CLIENTS: Final = 4
STORED_WITHIN_S: Final = 300.0
Row = dict[str, float]


def run(rounds: int = ROUNDS, events: int = EVENTS) -> dict[str, Any]:
    """Medians of interleaved rounds, each on fresh processes and empty folders; the servers run all the time."""
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        forms, left_out = _forms(folder, stack)
        for number in range(rounds):
            for form, make in forms.items():
                place = folder / f"{form.replace(' ', '-').replace('+', '')}-{number}"
                place.mkdir()
                deployment, servers = make(place)
                found.setdefault(form, []).append(_measure(deployment, servers, events))
    rows = {form: {key: statistics.median(row[key] for row in taken) for key in taken[0]} for form, taken in found.items()}
    return {"rounds": rounds, "rows": rows, "left_out": left_out, "ratios": {}}


Made = tuple[Deployment, Sequence[Server]]


def _forms(folder: Path, stack: ExitStack) -> tuple[dict[str, Callable[[Path], Made]], dict[str, str]]:
    forms: dict[str, Callable[[Path], Made]] = {
        "together, embedded": lambda place: (Deployment(place, "together"), ()),
        "apart, embedded": lambda place: (Deployment(place, "apart"), ()),
    }
    left_out: dict[str, str] = {}
    missing = [need.advice for need in (POSTGRES, REDIS) if not need.is_there()]
    brokers: tuple[tuple[str, Need, Callable[[Path], Server]], ...] = (
        ("Kafka", KAFKA, KafkaServer),
        ("RabbitMQ", RABBITMQ, RabbitmqServer),
    )
    postgres, redis = PostgresServer(folder / "postgres"), RedisServer(folder / "redis")
    for started in () if missing else (postgres, redis):
        stack.callback(started.start().stop)
    for name, need, new in brokers:
        form = f"apart, {name} + PostgreSQL + Redis"
        if missing or not need.is_there():
            left_out[form] = "; ".join([*missing, *([] if need.is_there() else [need.advice])])
            continue
        broker = new(folder / name.lower())
        stack.callback(broker.start().stop)
        forms[form] = lambda place, broker=broker: (
            Deployment(place, "apart", _environment(broker, postgres, redis), is_networked=True),
            (broker, postgres, redis),
        )
    return forms, left_out


def _environment(broker: Server, postgres: PostgresServer, redis: RedisServer) -> dict[str, str]:
    log = on_rabbitmq(broker.url_of(broker.create_vhost())) if isinstance(broker, RabbitmqServer) else on_kafka(broker.url)
    return {**log, **on_postgres(postgres), **on_redis(redis.url)}


def _measure(deployment: Deployment, servers: Sequence[Server], events: int) -> Row:
    try:
        deployment.start()
        _post(deployment, BATCH * CLIENTS)  # everything has been done once
        _wait_until_stored(deployment, BATCH * CLIENTS)
        own = [process.pid for process in dict.fromkeys(deployment.processes.values())]
        others = [server.pid for server in servers]
        before, others_before = _cpu_s(own), _cpu_s(others)
        began = time.perf_counter()
        _post(deployment, events)
        posted_s = time.perf_counter() - began
        _wait_until_stored(deployment, events + BATCH * CLIENTS)
        took_s = time.perf_counter() - began
        return {
            "events_per_s": events / took_s,
            "acknowledged_per_s": events / posted_s,
            "cpu_us_per_event": (_cpu_s(own) - before) / events * 1e6,
            "servers_cpu_us_per_event": (_cpu_s(others) - others_before) / events * 1e6,
        }
    finally:
        deployment.kill()


def _post(deployment: Deployment, events: int) -> None:
    bodies = [json.dumps({"events": make_events(BATCH, with_ids=False, seed=seed)}).encode() for seed in range(8)]
    turns, lock, url = count(), threading.Lock(), deployment.url("ingestion")

    def send() -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while True:
                with lock:
                    turn = next(turns)
                if turn * BATCH >= events:
                    return
                answer = client.post(
                    "/events/batch", content=bodies[turn % len(bodies)], headers={"Content-Type": "application/json"}
                )
                if answer.status_code != 201:
                    raise RuntimeError(answer.text)

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _wait_until_stored(deployment: Deployment, events: int) -> None:
    give_up_at = time.monotonic() + STORED_WITHIN_S
    with deployment.client("storage") as client:
        while time.monotonic() < give_up_at:
            found = client.get("/events/aggregations", params={"metric": "count", "group_by": "type"}).json()["aggregations"]
            if sum(found.values()) >= events:
                return
            time.sleep(0.05)
    raise RuntimeError(f"{events} events never were all in the store")


def _cpu_s(pids: Sequence[int]) -> float:
    """Processor time of some processes with all their children, those that ended included."""
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
