"""What other programs find on RabbitMQ: exchanges every event passes, and queues that refuse rather than drop."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from tests.integration.log.rabbitmq.conftest import OpenLog
from tests.integration.log.rabbitmq.waiting import until
from tests.services.rabbitmq_server import RabbitmqServer
from weft.core.errors import Busy, Conflict
from weft.core.position import TopicPartition
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S, ids_of, read_all

QUEUES = {"events.analytics", "events.storage", "events.dashboard", "alerts.engine"}


@pytest.fixture
def vhost(rabbitmq_server: RabbitmqServer) -> Iterator[str]:
    """One for each test: what is bound stays bound."""
    name = rabbitmq_server.create_vhost()
    yield name
    rabbitmq_server.delete_vhost(name)


@asynccontextmanager
async def connected(server: RabbitmqServer, vhost: str) -> AsyncGenerator[AbstractChannel]:
    """A program that is not ours."""
    async with await aio_pika.connect(server.url_of(vhost)) as connection:
        yield await connection.channel()


async def listen(channel: AbstractChannel, exchange: str, routing_key: str) -> AbstractQueue:
    """A queue of one's own, bound to an exchange."""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, routing_key)
    return queue


async def take(queue: AbstractQueue) -> AbstractIncomingMessage:
    """The next message."""
    async with queue.iterator(timeout=WAIT_S) as messages:
        message = await anext(messages)
        await message.ack()
        return message


def named(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in items}


@pytest.mark.contract("SF-168", "SF-169", "SF-170")
async def test_three_durable_topic_exchanges_are_there_under_the_names_of_the_settings(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with open_log(), open_log(exchange_events="e", exchange_analytics="an", exchange_alerts="al"):
        exchanges = named(rabbitmq_server.manage("GET", f"exchanges/{vhost}"))
    for name in ("events", "analytics", "alerts", "e", "an", "al"):
        assert (exchanges[name]["type"], exchanges[name]["durable"]) == ("topic", True)


@pytest.mark.contract("SF-171", "SF-172", "SF-173", "SF-D43", "SF-D44")
async def test_the_queues_are_there_bounded_and_refuse_what_is_too_much(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with open_log():
        queues = named(rabbitmq_server.manage("GET", f"queues/{vhost}"))
    assert queues.keys() >= QUEUES
    for name in QUEUES:
        arguments = queues[name]["arguments"]
        assert queues[name]["durable"]
        assert arguments["x-max-length"] == 100_000
        assert arguments["x-message-ttl"] == 86_400_000
        assert arguments["x-dead-letter-exchange"] == "events.dlx"
        assert arguments["x-overflow"] == "reject-publish"


@pytest.mark.contract("SF-4")
async def test_every_event_reaches_whoever_listens_to_its_exchange(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    rows = [make_row(id="a", type="user.login", user_id="u", tags=("x",)), make_row(id="b", type="web.click", data={"n": 1})]
    async with open_log() as log, connected(rabbitmq_server, vhost) as channel:
        queues = [await listen(channel, name, f"{name}.#") for name in ("events", "analytics", "alerts")]
        for topic in ("events", "analytics", "alerts"):
            await log.append(
                make_batch([make_row(id=f"{topic}-{row.id}", type=row.type, data=row.data) for row in rows], topic=topic)
            )
        for topic, queue in zip(("events", "analytics", "alerts"), queues, strict=True):
            found = [await take(queue) for _ in rows]
            assert {message.routing_key for message in found} == {f"{topic}.user.login", f"{topic}.web.click"}
            assert {message.message_id for message in found} == {f"{topic}-a", f"{topic}-b"}
            assert all(message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT for message in found)
            clicked = next(json.loads(message.body) for message in found if message.type == "web.click")
            assert (clicked["id"], clicked["type"], clicked["source"], clicked["data"]) == (
                f"{topic}-b",
                "web.click",
                "test",
                {"n": 1},
            )


async def test_a_listener_to_one_type_gets_all_of_it_and_nothing_else(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with open_log() as log, connected(rabbitmq_server, vhost) as channel:
        await log.append(make_batch(3))
        queue = await listen(channel, "events", "events.wanted")
        await asyncio.sleep(0.1)  # an unheard key is asked for again after a twentieth of a second
        for number in range(3):
            await log.append(make_batch([make_row(id=f"{number}-{n}", type="wanted" if n % 2 else "other") for n in range(10)]))
        found = [await take(queue) for _ in range(15)]
        assert [message.message_id for message in found] == [f"{number}-{n}" for number in range(3) for n in range(1, 10, 2)]


async def test_a_repeat_is_not_announced_again(rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog) -> None:
    async with open_log() as log, connected(rabbitmq_server, vhost) as channel:
        queue = await listen(channel, "events", "#")
        for ids in (["a"], ["a", "b"]):
            await log.append(make_batch([make_row(id=name) for name in ids]))
        assert [(await take(queue)).message_id for _ in range(2)] == ["a", "b"]


async def test_a_queue_is_bound_once_somebody_consumes_and_stays_bound(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with open_log() as log:
        await log.append(make_batch(1))
        assert _ready(rabbitmq_server, vhost) == 0
        async with connected(rabbitmq_server, vhost) as channel:
            queue = await channel.get_queue("events.analytics")
            got: list[AbstractIncomingMessage] = []

            async def consume(message: AbstractIncomingMessage) -> None:
                await message.ack()
                got.append(message)

            await queue.consume(consume)
            async with asyncio.timeout(WAIT_S):
                while not got:
                    await log.append(make_batch(1))
        async with connected(rabbitmq_server, vhost) as channel:
            await log.append(make_batch([make_row(id="later")]))
            assert (await take(await channel.get_queue("events.analytics"))).message_id == "later"


@pytest.mark.contract("SF-D44")
async def test_a_full_queue_makes_appends_busy_and_what_was_refused_is_nowhere(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    settings = {"queues": "always", "queue_max_length": 10, "queue_kind": "classic"}
    async with open_log(**settings) as log:
        appended = await log.append(make_batch([make_row(id=f"fits-{n}") for n in range(10)]))
        with pytest.raises(Busy) as refused:
            await log.append(make_batch([make_row(id=f"over-{n}") for n in range(3)]))
        assert refused.value.retry_after_s > 0
        at = TopicPartition("events", appended.partition)
        assert ids_of(await read_all(log, at)) == [f"fits-{n}" for n in range(10)]
        async with connected(rabbitmq_server, vhost) as channel:
            for name in ("events.analytics", "events.storage", "events.dashboard"):
                await (await channel.get_queue(name)).purge()
        again = await log.append(make_batch([make_row(id=f"over-{n}") for n in range(3)]))
        assert (again.first_offset, list(again.repeats)) == (10, [])


@pytest.mark.contract("SF-174")
async def test_what_a_consumer_rejects_ends_behind_the_dead_letter_exchange(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with open_log(queues="always") as log, connected(rabbitmq_server, vhost) as channel:
        await log.append(make_batch([make_row(id="poison")]))
        queue = await channel.get_queue("events.analytics")
        async with queue.iterator(timeout=WAIT_S) as messages:
            await (await anext(messages)).reject(requeue=False)
        assert (await take(await channel.get_queue("events.dead"))).message_id == "poison"


async def test_a_queue_with_other_arguments_is_named_at_the_start(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with connected(rabbitmq_server, vhost) as channel:
        await channel.declare_queue("events.storage", durable=True)
    with pytest.raises(Conflict, match=r"events\.storage"):
        async with open_log():
            pass


@pytest.mark.contract("SF-175")
async def test_a_process_has_few_connections_and_the_heartbeat_of_the_settings(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    async with open_log() as log:
        for _ in range(20):
            await log.append(make_batch(1))
        found: list[dict[str, Any]] = []

        def listed() -> bool:
            found[:] = rabbitmq_server.manage("GET", f"vhosts/{vhost}/connections")
            return len(found) >= 2 and all("timeout" in connection for connection in found)

        await until(listed)
        assert len(found) <= 10
        assert {connection["timeout"] for connection in found} == {600}


def _ready(server: RabbitmqServer, vhost: str) -> int:
    return int(server.manage("GET", f"queues/{vhost}/events.analytics").get("messages", 0))
