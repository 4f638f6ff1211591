"""Kafka away in every way while events come in: what was acknowledged is there, what was not is refused honestly."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from tests.integration.log.kafka.conftest import OpenLog
from tests.services.kafka_server import KafkaServer
from tests.services.proxy import TcpProxy
from tests.services.server import free_ports
from weft.core.errors import Busy, TimedOut, Unavailable, WeftError
from weft.core.position import TopicPartition
from weft.log.port import Log
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S, ids_of, read_all

PATIENCE_S = 80.0


@dataclass
class Load:
    """Callers that append all the time, and what they were answered."""

    log: Log
    stored: list[str] = field(default_factory=list)
    refusals: list[WeftError] = field(default_factory=list)
    slowest_s: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    async def run(self, during: Callable[["Load"], Awaitable[None]]) -> None:
        """Append until `during` is through."""
        callers = [asyncio.create_task(self._call()) for _ in range(4)]
        try:
            await asyncio.wait_for(during(self), PATIENCE_S)
        finally:
            self.is_over = True
            await asyncio.gather(*callers)

    async def stores(self, more: int = 100) -> None:
        """Wait until that many more events were acknowledged."""
        wanted = len(self.stored) + more
        while len(self.stored) < wanted:
            self.changed.clear()
            await self.changed.wait()

    async def refuses(self) -> None:
        """Wait until another append was refused."""
        wanted = len(self.refusals) + 1
        while len(self.refusals) < wanted:
            self.changed.clear()
            await self.changed.wait()

    async def _call(self) -> None:
        while not self.is_over:
            batch = make_batch([make_row(id=secrets.token_hex(8)) for _ in range(20)], received_at_us=time.time_ns() // 1000)
            began = time.monotonic()
            try:
                await self.log.append(batch)
            except WeftError as refusal:
                self.refusals.append(refusal)
                await asyncio.sleep(0.05)
            else:
                self.stored.extend(batch.ids)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.changed.set()

    async def check(self, log: Log) -> None:
        """Nothing acknowledged is missing, and every refusal said to come again."""
        found = ids_of(await read_all(log, TopicPartition("events", 0)))
        lost = set(self.stored) - set(found)
        assert not lost, f"{len(lost)} of {len(self.stored)} acknowledged events are lost"
        assert all(isinstance(refusal, Unavailable) and refusal.retry_after_s > 0 for refusal in self.refusals), self.refusals
        assert len(found) == len(set(found)), "an event that was appended once stands there twice"


@pytest.mark.soak  # tests/system/test_faults.py does it to a whole deployment in every run
async def test_killed_and_restarted_the_broker_has_all_that_was_acknowledged(broker: KafkaServer, open_log: OpenLog) -> None:
    followed: set[str] = set()

    async def follow(log: Log, wanted: set[str]) -> None:
        async with aclosing(log.follow("group", ["*"])) as batches:
            async for batch in batches:
                followed.update(batch.ids)
                if followed.issuperset(wanted):
                    return

    async def during(load: Load) -> None:
        await load.stores()
        await asyncio.to_thread(broker.kill)
        try:
            await load.refuses()
            await refuses_at_once(load.log)
        finally:
            await asyncio.to_thread(broker.start)
        await load.stores()

    async with open_log(discover_interval_s=0.5) as log:
        load = Load(log)
        last = make_batch(1)
        following = asyncio.create_task(follow(log, set(last.ids)))
        await load.run(during)
        await load.check(log)
        assert load.slowest_s < 15
        await log.append(last)
        await asyncio.wait_for(following, WAIT_S)  # a follower goes on by itself when the broker is back
        assert followed.issuperset(load.stored)


async def refuses_at_once(log: Log) -> None:
    """While the broker is known to be away nobody waits for it."""
    while True:
        with pytest.raises(Unavailable) as refusal:
            await log.append(make_batch(1))
        if not isinstance(refusal.value, TimedOut):
            break
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await log.append(make_batch(1))
    assert time.monotonic() - began < 0.5
    with pytest.raises(Unavailable):
        await log.state()


async def frozen(broker: KafkaServer, open_log: OpenLog, seconds: float) -> None:
    async def during(load: Load) -> None:
        await load.stores()
        broker.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            broker.thaw()
        await load.stores()

    async with open_log() as log:
        load = Load(log)
        await load.run(during)
        assert load.refusals
        await load.check(log)


async def test_frozen_for_a_while_the_broker_loses_nothing(broker: KafkaServer, open_log: OpenLog) -> None:
    await frozen(broker, open_log, 4.5)


@pytest.mark.soak
async def test_frozen_for_ten_seconds_the_broker_loses_nothing(broker: KafkaServer, open_log: OpenLog) -> None:
    for _ in range(3):
        await frozen(broker, open_log, 10)


@pytest.mark.parametrize("fault", ["black_hole", "cut"])
async def test_a_broken_line_loses_nothing(broker: KafkaServer, line: TcpProxy, open_log: OpenLog, fault: str) -> None:
    async def during(load: Load) -> None:
        await load.stores()
        await asyncio.to_thread(getattr(line, fault))
        try:
            await load.refuses()
            await load.refuses()
        finally:
            await asyncio.to_thread(line.heal)
        await load.stores()

    async with open_log(port=line.port) as log, open_log(append=False) as reader:
        load = Load(log)
        await load.run(during)
        await load.check(reader)


async def test_what_waits_for_a_frozen_broker_is_bounded_in_bytes(broker: KafkaServer, open_log: OpenLog) -> None:
    async with open_log(queue_bytes=100_000) as log:
        await log.append(make_batch(1, received_at_us=time.time_ns() // 1000))
        broker.freeze()
        try:
            outcomes = await asyncio.gather(*(log.append(make_batch(20)) for _ in range(40)), return_exceptions=True)
        finally:
            broker.thaw()
        assert any(isinstance(outcome, Busy) for outcome in outcomes)
        assert all(isinstance(outcome, Busy | Unavailable) for outcome in outcomes), outcomes


async def test_nobody_there_is_told_quickly(open_log: OpenLog) -> None:
    (port,) = free_ports(1)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=str(port)):
        async with open_log(port=port, request_timeout_s=1.0):
            pass
    assert time.monotonic() - began < 5
