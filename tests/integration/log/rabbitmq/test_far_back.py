"""Reading far back in a stream, and what RabbitMQ has removed from its beginning."""

import asyncio
from hashlib import shake_128

from tests.integration.log.rabbitmq.conftest import OpenLog
from weft.core.batch import Batch
from weft.core.position import TopicPartition
from weft.log.port import Retention
from weft.log.rabbitmq.log import RabbitmqLog
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import follow_until, offsets_of, only, read_all

RARE = TopicPartition("rare", 0)
EVENTS = TopicPartition("events", 0)


async def test_any_offset_of_a_long_stream_is_found(open_log: OpenLog) -> None:
    async with open_log() as log:
        for number in range(300):
            await log.append(make_batch(2))
            if number % 100 == 50:
                await log.append(make_batch(1, topic="rare"))
    async with open_log(append=False) as reader:
        await reader.state()
        for offset in (599, 0, 301, 598, 2, 150, 450):
            assert (await reader.read(EVENTS, offset, max_bytes=1))[0].first_offset == offset // 2 * 2
        for offset in (2, 0, 1):
            assert (await reader.read(RARE, offset, max_bytes=1))[0].first_offset == offset
        assert offsets_of(await read_all(reader, EVENTS)) == list(range(600))
        assert list(await reader.read(EVENTS, 600)) == []


def bulky() -> Batch:
    texts = (shake_128(f"{n}".encode()).hexdigest(100) for n in range(200))
    return make_batch([make_row(data={"text": text}) for text in texts])


async def filled(log: RabbitmqLog) -> int:
    """More than RabbitMQ may keep here."""
    for _ in range(60):
        await log.append(bulky())
    return 60 * 200


async def test_what_rabbitmq_removed_is_counted_and_reading_begins_behind_it(open_log: OpenLog) -> None:
    async with open_log(max_stream_bytes=300_000, segment_bytes=65_536) as log:
        total = await filled(log)
        removed = await removed_by_now(log)
        state = await only(log)
        assert (state.events_total, state.events_trimmed, state.start_offset) == (total, removed, removed)
        batches = await read_all(log, EVENTS)
        assert offsets_of(batches) == list(range(batches[0].first_offset, total))
        assert offsets_of(await follow_until(log, "late", ["events"], total - batches[0].first_offset))[-1] == total - 1
    async with open_log(max_stream_bytes=300_000, segment_bytes=65_536, append=False) as reader:
        assert (await only(reader)).start_offset == removed
        assert (await reader.read(EVENTS, 0))[0].first_offset >= removed


async def test_a_group_that_came_too_late_is_told(open_log: OpenLog) -> None:
    async with open_log(max_stream_bytes=300_000, segment_bytes=65_536) as log:
        await log.append(make_batch(10))
        await log.commit("slow", {EVENTS: 5})
        await filled(log)
        await removed_by_now(log)
        (damage,) = (await log.state()).damages
        assert (damage.topic, damage.partition, damage.first_offset) == ("events", 0, 5)
        assert "slow" in damage.reason


async def removed_by_now(log: RabbitmqLog) -> int:
    """RabbitMQ removes when it begins a new segment, a moment later."""
    async with asyncio.timeout(10):
        while not (removed := await log.trim(Retention())):
            await log.append(make_batch(1, topic="other"))
    return removed
