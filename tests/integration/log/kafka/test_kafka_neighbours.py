"""Topics on Kafka belong to everybody: others read what Weft wrote, and Weft reads what others wrote."""

import asyncio
from contextlib import aclosing

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.services.kafka_server import KafkaServer
from weft.core.clock import SystemClock
from weft.core.erasure import Erasure
from weft.core.errors import Corrupt, TooLarge, Unsupported
from weft.log.dead_letter import list_dead_letters, set_aside
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.settings import KafkaSettings
from weft.log.port import Retention
from weft.log.settings import LogSettings
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"{abs(hash(request.node.nodeid)):x}."


def open_log(server: KafkaServer, prefix: str, **kafka: object) -> KafkaLog:
    """A log on topics of one test."""
    settings = {"prefix": prefix, "partitions": 1, "discover_interval_s": 0.3, **kafka}
    return KafkaLog(server.url, settings=LogSettings(kafka=KafkaSettings.model_validate(settings)), clock=SystemClock())


@pytest.mark.contract("LM-58")
async def test_any_kafka_client_reads_what_weft_wrote(kafka_server: KafkaServer, prefix: str) -> None:
    async with open_log(kafka_server, prefix) as log:
        batch = make_batch([make_row(type="reading", source="probe", data={"celsius": 21})])
        await log.append(batch)
    consumer = Consumer({"bootstrap.servers": kafka_server.bootstrap, "group.id": f"{prefix}neighbour"})
    consumer.assign([TopicPartition(f"{prefix}events", 0, 0)])
    message = await asyncio.to_thread(consumer.poll, WAIT_S)
    consumer.close()
    assert message is not None
    assert msgspec.json.decode(message.value() or b"")["data"] == {"celsius": 21}
    assert message.key() == b"probe"
    assert dict(message.headers() or [])["ce_id"] == batch.ids[0].encode()


def produce(server: KafkaServer, topic: str, values: list[bytes]) -> None:
    """As a program that knows nothing of Weft would."""
    producer = Producer({"bootstrap.servers": server.bootstrap})
    for value in values:
        producer.produce(topic, value, partition=0)
    producer.flush(WAIT_S)


@pytest.mark.contract("LM-58")
async def test_what_others_wrote_is_followed_and_what_is_no_event_can_be_set_aside(
    kafka_server: KafkaServer, prefix: str
) -> None:
    good = b'{"type":"reading","source":"neighbour","id":"a","data":{"n":1}}'
    async with open_log(kafka_server, prefix) as log:
        await log.append(make_batch(1))
        await asyncio.to_thread(produce, kafka_server, f"{prefix}events", [good, b"no JSON", good])
        kinds: list[str] = []
        async with aclosing(log.follow("group", ["events"])) as batches:
            while len(kinds) < 4:
                batch = await asyncio.wait_for(anext(batches), WAIT_S)
                try:
                    kinds += [row.type for row in batch.event_rows]
                except Corrupt as poison:
                    kinds.append("poison")
                    await set_aside(log, batch, attempts=1, reason=poison.message, clock=SystemClock())
        assert kinds == ["custom", "reading", "poison", "reading"]
        (letter,) = await list_dead_letters(log)
        assert (letter.topic, letter.offset, letter.rows) == ("events", 2, b"no JSON")


async def test_erasing_is_refused_and_says_what_to_do(kafka_server: KafkaServer, prefix: str) -> None:
    async with open_log(kafka_server, prefix) as log:
        with pytest.raises(Unsupported, match="retention"):
            await log.erase(Erasure(source="me"))


async def test_a_topic_that_shall_be_kept_for_ever_is_never_trimmed(kafka_server: KafkaServer, prefix: str) -> None:
    async with open_log(kafka_server, prefix, retention_s=None) as log:
        await log.append(make_batch(5, received_at_us=1_000_000))
        assert await log.trim(Retention(max_age_s=1)) == 0


async def test_an_event_that_is_too_large_is_refused_alone(kafka_server: KafkaServer, prefix: str) -> None:
    async with open_log(kafka_server, prefix, max_message_bytes=2000) as log:
        with pytest.raises(TooLarge, match="max_message_bytes"):
            await log.append(make_batch([make_row(data={"text": "x" * 5000})]))
        assert (await log.append(make_batch(1))).first_offset == 0
