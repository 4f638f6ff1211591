"""The log on Kafka beside Kafka's own client that publishes the very same messages to the same broker."""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.append import BATCH, CALLERS, SINGLE_CALLERS, Row, _append, _batch, _rows
from bench.ingest import Case as Measured
from bench.ingest import Row as ServerRow
from bench.ingest import Server, batches, measure
from tests.services.kafka_server import KafkaServer
from weft.core.clock import SystemClock
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.message import Messages, Stamp, stamp_ids, to_messages
from weft.log.kafka.settings import KafkaSettings
from weft.log.settings import LogSettings

ROUNDS: Final = 5
BATCHES_EACH: Final = 30
SINGLES_EACH: Final = 100
SECONDS: Final = 4.0
EVENTS: Final = CALLERS * BATCHES_EACH * BATCH
_DOORS: Final = "weft's doors on Kafka, 500 a request"
Case = Callable[[KafkaServer], Coroutine[Any, Any, Row]]


def run() -> dict[str, Any]:
    """Medians of five interleaved rounds on one broker."""
    cases: dict[str, Case] = {
        "log on Kafka, 500 a batch, 8 callers": _log_batches,
        "confluent-kafka, the same messages, 4,000 under way": _client_batches,
        "log on Kafka, single events, 64 callers": _log_singles,
        "log on Kafka, follow": _log_follow,
        "confluent-kafka, consume values": _client_consume,
        "confluent-kafka, consume values and headers": _client_consume_headers,
    }
    found: dict[str, list[Row]] = {name: [] for name in cases}
    doors = ServerRow() if shutil.which("wrk") else None
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        server = KafkaServer(Path(folder).absolute(), heap="1g")
        server.start()
        try:
            asyncio.run(_log_batches(server))  # the broker's own code gets warm
            for _ in range(ROUNDS):
                for name, case in cases.items():
                    found[name].append(asyncio.run(case(server)))
                if doors is not None:
                    measure(_through_doors(server), SECONDS, doors)
        finally:
            server.stop()
    rows = {name: _medians(rounds) for name, rounds in found.items()}
    if doors is not None:
        rows[_DOORS] = doors.medians()
    ours, theirs, _, follow, _, consume, *_ = rows.values()
    return {
        "rounds": ROUNDS,
        "rows": rows,
        "left_out": {} if doors is not None else {_DOORS: "wrk is not installed"},
        "ratios": {
            "appending to the client's own rate": {"is": ours["events_per_s"] / theirs["events_per_s"], "target": 0.5},
            "following to the client's own rate with headers": {
                "is": follow["events_per_s"] / consume["events_per_s"],
                "target": 0.5,
            },
        },
    }


def _log(server: KafkaServer, prefix: str) -> KafkaLog:
    kafka = KafkaSettings(prefix=prefix, partitions=1)
    return KafkaLog(server.url, settings=LogSettings(kafka=kafka), clock=SystemClock())


def _through_doors(server: KafkaServer) -> Measured:
    """The ingest doors over HTTP, as one process serves them."""
    url = f"{server.url}?prefix={_prefix()}&partitions=1"
    doors = Server(
        lambda port, folder: [sys.executable, "-m", "bench.peers.weft_app", str(port)], lambda folder: {"PEER_LOG": url}
    )
    return Measured(_DOORS, doors, batches(with_ids=False), BATCH)


def _prefix() -> str:
    return f"{uuid.uuid4().hex}."


async def _log_batches(server: KafkaServer) -> Row:
    async with _log(server, _prefix()) as log:
        return await _measured(_append(log, _rows(), CALLERS, BATCHES_EACH), EVENTS)


async def _log_singles(server: KafkaServer) -> Row:
    async with _log(server, _prefix()) as log:
        return await _measured(_append(log, _rows(1), SINGLE_CALLERS, SINGLES_EACH), SINGLE_CALLERS * SINGLES_EACH)


async def _measured(work: Awaitable[Row], events: int) -> Row:
    began = time.process_time()
    row = await work
    return {**row, "cpu_us_per_event": 1e6 * (time.process_time() - began) / events}


async def _log_follow(server: KafkaServer) -> Row:
    count = 0
    prefix = _prefix()
    async with _log(server, prefix) as log:
        await _append(log, _rows(), CALLERS, BATCHES_EACH)
    async with _log(server, prefix) as log, aclosing(log.follow("bench", ["events"], start={})) as batches:
        count += (await anext(batches)).count  # connected
        began, cpu_began = time.perf_counter(), time.process_time()
        async for batch in batches:
            count += batch.count
            if count >= EVENTS:
                break
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    return {"events_per_s": EVENTS / took_s, "cpu_us_per_event": 1e6 * cpu_s / EVENTS}


def _messages() -> Messages:
    batch = _batch(_rows(), SystemClock())
    stamp = Stamp(count=BATCH, max_before_us=0, max_after_us=0, ticks=0, received_at_us=0, ids=stamp_ids(batch))
    return to_messages(batch, stamp, None)


async def _client_batches(server: KafkaServer) -> Row:
    return await asyncio.to_thread(_produce, server, _topic(server))


def _topic(server: KafkaServer) -> str:
    name = f"{_prefix()}events"
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    return name


def _produce(server: KafkaServer, topic: str) -> Row:
    """As many batches under way as our callers have; each is a batch once all its messages are acknowledged."""
    messages, producer, now_ms = _messages(), Producer(_settings(server)), SystemClock().now_us() // 1000
    under_way = 0
    latencies: list[float] = []

    def send() -> None:
        nonlocal under_way
        under_way += 1
        left, sent = BATCH, time.perf_counter()

        def heard(error: object, message: Message) -> None:
            nonlocal left, under_way
            assert error is None
            left -= 1
            if not left:
                under_way -= 1
                latencies.append(time.perf_counter() - sent)

        for key, value, headers in zip(messages.keys, messages.values, messages.headers, strict=True):
            producer.produce(topic, value, key, 0, on_delivery=heard, timestamp=now_ms, headers=headers)

    producer.produce(topic, b"{}", b"", 0)
    producer.flush()  # connected
    began, cpu_began = time.perf_counter(), time.process_time()
    for _ in range(EVENTS // BATCH):
        while under_way >= CALLERS:
            producer.poll(1)
        send()
    producer.flush()
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    latencies.sort()
    return {
        "events_per_s": EVENTS / took_s,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "cpu_us_per_event": 1e6 * cpu_s / EVENTS,
    }


def _settings(server: KafkaServer) -> dict[str, Any]:
    return {
        "bootstrap.servers": server.bootstrap,
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        "linger.ms": 2,
        "queue.buffering.max.messages": 1_000_000,
    }


async def _client_consume(server: KafkaServer) -> Row:
    return await asyncio.to_thread(_consume, server, headers=False)


async def _client_consume_headers(server: KafkaServer) -> Row:
    return await asyncio.to_thread(_consume, server, headers=True)


def _consume(server: KafkaServer, *, headers: bool) -> Row:
    topic = _topic(server)
    _produce(server, topic)
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    consumer.poll(10)  # connected
    count = 0
    began, cpu_began = time.perf_counter(), time.process_time()
    while count < EVENTS:
        for message in consumer.consume(1000, 0.05):
            message.value()
            if headers:
                message.headers()
            count += 1
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    consumer.close()
    return {"events_per_s": EVENTS / took_s, "cpu_us_per_event": 1e6 * cpu_s / EVENTS}


def _medians(rounds: list[Row]) -> Row:
    return {column: statistics.median(row[column] for row in rounds) for column in rounds[0]}
