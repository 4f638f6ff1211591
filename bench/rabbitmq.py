"""The log on RabbitMQ beside aio-pika that publishes the very same things to the same broker, with confirms."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aio_pika
import zstandard
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from bench.append import BATCH, CALLERS, SINGLE_CALLERS, Row, _append, _rows
from tests.services.rabbitmq_server import RabbitmqServer
from weft.core.clock import SystemClock
from weft.log.rabbitmq.log import RabbitmqLog
from weft.log.settings import LogSettings

ROUNDS: Final = 5
BATCHES_EACH: Final = 40
ANNOUNCED_EACH: Final = 2
SINGLES_EACH: Final = 60
EVENTS: Final = CALLERS * BATCHES_EACH * BATCH
ANNOUNCED: Final = CALLERS * ANNOUNCED_EACH * BATCH
Case = Callable[[str], Coroutine[Any, Any, Row]]

LOG: Final = "log on RabbitMQ, 500 a batch, 8 callers, nobody listens"
CLIENT: Final = "aio-pika, 500 events (zstd) a message to a stream, 8 callers"
LOG_HEARD: Final = "log on RabbitMQ, 500 a batch, 8 callers, one queue listens"
CLIENT_HEARD: Final = "aio-pika, an event a message to that queue, 8 callers"
SINGLES: Final = "log on RabbitMQ, single events, 64 callers, nobody listens"
CLIENT_SINGLES: Final = "aio-pika, an event a message to a stream, 64 callers"
FOLLOW: Final = "log on RabbitMQ, follow"
CONSUME: Final = "aio-pika, consume an event a message"


def run() -> dict[str, Any]:
    """Medians of five interleaved rounds on one broker, each case in a virtual host of its own."""
    cases: dict[str, Case] = {
        LOG: _log_batches,
        CLIENT: _client_batches,
        LOG_HEARD: _log_heard,
        CLIENT_HEARD: _client_heard,
        SINGLES: _log_singles,
        CLIENT_SINGLES: _client_singles,
        FOLLOW: _log_follow,
        CONSUME: _client_consume,
    }
    found: dict[str, list[Row]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = RabbitmqServer(Path(folder).absolute() / "rabbitmq")
        server.start()
        try:
            for _ in range(ROUNDS):
                for name, case in cases.items():
                    vhost = server.create_vhost()
                    found[name].append(asyncio.run(case(server.url_of(vhost))))
                    server.delete_vhost(vhost)
        finally:
            server.stop()
    rows = {
        name: {column: statistics.median(row[column] for row in rounds) for column in rounds[0]}
        for name, rounds in found.items()
    }
    return {
        "rounds": ROUNDS,
        "rows": rows,
        "ratios": {
            "appending where nobody listens to the client's own rate": _ratio(rows, LOG, CLIENT, 0.5),
            "appending where a queue listens to the client's own rate": _ratio(rows, LOG_HEARD, CLIENT_HEARD, 0.5),
            "single events to the client's own rate": _ratio(rows, SINGLES, CLIENT_SINGLES, 0.5),
            "following to consuming an event a message": _ratio(rows, FOLLOW, CONSUME, 1.0),
        },
    }


def _ratio(rows: dict[str, Row], ours: str, theirs: str, target: float) -> dict[str, float]:
    return {"is": rows[ours]["events_per_s"] / rows[theirs]["events_per_s"], "target": target}


def _log(url: str) -> RabbitmqLog:
    return RabbitmqLog(url, settings=LogSettings(), clock=SystemClock())


@asynccontextmanager
async def _channel(url: str) -> AsyncGenerator[AbstractChannel]:
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


async def _measured(work: Awaitable[Row], events: int) -> Row:
    began = time.process_time()
    row = await work
    return {**row, "cpu_us_per_event": 1e6 * (time.process_time() - began) / events}


async def _log_batches(url: str) -> Row:
    async with _log(url) as log:
        await _append(log, _rows(1), 1, 1)  # the partition is taken
        return await _measured(_append(log, _rows(), CALLERS, BATCHES_EACH), EVENTS)


async def _log_heard(url: str) -> Row:
    async with _log(url) as log, _channel(url) as channel:
        await _append(log, _rows(1), 1, 1)
        await _listen(channel)
        await asyncio.sleep(0.1)
        return await _measured(_append(log, _rows(), CALLERS, ANNOUNCED_EACH), ANNOUNCED)


async def _log_singles(url: str) -> Row:
    async with _log(url) as log:
        await _append(log, _rows(1), 1, 1)
        return await _measured(_append(log, _rows(1), SINGLE_CALLERS, SINGLES_EACH), SINGLE_CALLERS * SINGLES_EACH)


async def _log_follow(url: str) -> Row:
    async with _log(url) as log:
        await _append(log, _rows(), CALLERS, BATCHES_EACH)
    count = 0
    async with _log(url) as log, aclosing(log.follow("bench", ["events"], start={})) as batches:
        began, cpu_began = time.perf_counter(), time.process_time()
        async for batch in batches:
            count += batch.count
            if count >= EVENTS:
                break
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    return {"events_per_s": EVENTS / took_s, "cpu_us_per_event": 1e6 * cpu_s / EVENTS}


async def _listen(channel: AbstractChannel) -> None:
    """A durable queue that every event goes to."""
    await channel.declare_exchange("events", aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await channel.declare_queue("listener", durable=True)
    await queue.bind("events", "events.#")


async def _stream(channel: AbstractChannel) -> str:
    await channel.declare_queue("plain", durable=True, arguments={"x-queue-type": "stream"})
    return "plain"


async def _publish(
    exchange: aio_pika.abc.AbstractExchange, key: str, make: Callable[[], list[bytes]], callers: int, times: int
) -> Row:
    """Each caller makes bodies, publishes all and waits until all are confirmed, again and again."""
    latencies: list[float] = []

    async def call() -> None:
        for _ in range(times):
            began = time.perf_counter()
            messages = [aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT) for body in make()]
            await asyncio.gather(*(exchange.publish(message, routing_key=key) for message in messages))
            latencies.append(time.perf_counter() - began)

    began, thread_began = time.perf_counter(), time.thread_time()
    await asyncio.gather(*(call() for _ in range(callers)))
    took_s, loop_s = time.perf_counter() - began, time.thread_time() - thread_began
    events = callers * times * len(make())
    latencies.sort()
    return {
        "events_per_s": events / took_s,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "loop_us_per_event": 1e6 * loop_s / events,
    }


async def _client_batches(url: str) -> Row:
    rows, compressor = _rows(), zstandard.ZstdCompressor(level=1)
    async with _channel(url) as channel:
        key = await _stream(channel)
        row = await _measured(
            _publish(channel.default_exchange, key, lambda: [compressor.compress(b",".join(rows))], CALLERS, BATCHES_EACH),
            EVENTS,
        )
    return {**row, "events_per_s": row["events_per_s"] * BATCH, "loop_us_per_event": row["loop_us_per_event"] / BATCH}


async def _client_heard(url: str) -> Row:
    async with _channel(url) as channel:
        await _listen(channel)
        exchange, rows = await channel.get_exchange("events"), _rows()
        return await _measured(_publish(exchange, "events.web.click", lambda: rows, CALLERS, ANNOUNCED_EACH), ANNOUNCED)


async def _client_singles(url: str) -> Row:
    async with _channel(url) as channel:
        key = await _stream(channel)
        rows = _rows(1)
        work = _publish(channel.default_exchange, key, lambda: rows, SINGLE_CALLERS, SINGLES_EACH)
        return await _measured(work, SINGLE_CALLERS * SINGLES_EACH)


async def _client_consume(url: str) -> Row:
    async with _channel(url) as channel:
        key = await _stream(channel)
        rows = _rows()
        await _publish(channel.default_exchange, key, lambda: rows, CALLERS, ANNOUNCED_EACH)
        await channel.set_qos(prefetch_count=1000)
        queue = await channel.get_queue(key)
        count, done = 0, asyncio.Event()

        async def take(message: AbstractIncomingMessage) -> None:
            nonlocal count
            await message.ack()
            count += 1
            if count == ANNOUNCED:
                done.set()

        began, cpu_began = time.perf_counter(), time.process_time()
        await queue.consume(take, arguments={"x-stream-offset": "first"})
        await done.wait()
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    return {"events_per_s": ANNOUNCED / took_s, "cpu_us_per_event": 1e6 * cpu_s / ANNOUNCED}
