"""What happens to events when RabbitMQ dies, freezes, cannot be reached or is full: none that was acknowledged is lost, and
nobody waits for ever."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.integration.log.rabbitmq.conftest import OpenLog
from tests.integration.log.rabbitmq.waiting import until
from tests.services.fixtures import Mistreated
from tests.services.proxy import TcpProxy
from tests.services.rabbitmq_server import RabbitmqServer
from weft.core.batch import Batch
from weft.core.errors import Unavailable
from weft.core.position import TopicPartition
from weft.log.rabbitmq.log import RabbitmqLog
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S, follow_until, ids_of, read_all

TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def rabbitmq_server(mistreated_rabbitmq: Mistreated[RabbitmqServer]) -> RabbitmqServer:
    """The server that such things may be done to."""
    return mistreated_rabbitmq.server


class Sender:
    """Appends again and again; what is refused is sent again with the same ids, as a client does."""

    def __init__(self, log: RabbitmqLog, name: str) -> None:
        self.acknowledged: list[str] = []
        self.refusals: list[Unavailable] = []
        self.longest_s = 0.0
        self._log = log
        self._name = name
        self._number = 0
        self._stopping = False
        self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        batch = self._next()
        while not self._stopping:
            if await self._try(batch):
                self.acknowledged += batch.ids
                batch = self._next()
            else:
                await asyncio.sleep(0.05)

    def _next(self) -> Batch:
        self._number += 1
        return make_batch([make_row(n, id=f"{self._name}-{self._number}-{n}") for n in range(10)])

    async def _try(self, batch: Batch) -> bool:
        began_s = time.monotonic()
        try:
            await self._log.append(batch)
        except Unavailable as away:
            self.refusals.append(away)
            return False
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
        return True

    async def until(self, more: int = 100) -> None:
        """Wait for more acknowledged events."""
        enough = len(self.acknowledged) + more
        await until(lambda: len(self.acknowledged) >= enough)

    async def until_refused(self) -> None:
        """Wait until an append is refused."""
        before = len(self.refusals)
        await until(lambda: len(self.refusals) > before)

    async def stop(self) -> None:
        """No more after the answer that is under way."""
        self._stopping = True
        await asyncio.wait_for(self._task, WAIT_S)


@asynccontextmanager
async def senders(log: RabbitmqLog) -> AsyncGenerator[list[Sender]]:
    """Three at once."""
    found = [Sender(log, f"sender-{number}") for number in range(3)]
    try:
        await found[0].until()
        yield found
    finally:
        for sender in found:
            await sender.stop()


async def nothing_is_lost(log: RabbitmqLog, found: list[Sender], partition: int = 0) -> None:
    """Every acknowledged event is there, once, with consecutive offsets."""
    acknowledged = [event_id for sender in found for event_id in sender.acknowledged]
    await log.state()
    batches = await read_all(log, TopicPartition("events", partition))
    ids = ids_of(batches)
    assert not set(acknowledged) - set(ids), "acknowledged and lost"
    assert len(ids) == len(set(ids)), "kept twice"
    assert [batch.first_offset for batch in batches[1:]] == [batch.next_offset for batch in batches[:-1]]


async def test_a_killed_broker_loses_nothing_and_appends_go_on_when_it_is_back(
    rabbitmq_server: RabbitmqServer, open_log: OpenLog
) -> None:
    async with open_log(timeout_s=TIMEOUT_S) as log:
        async with senders(log) as found:
            await asyncio.to_thread(rabbitmq_server.kill)
            await found[0].until_refused()
            state = await log.state()
            assert not state.writable
            assert state.refusal
            assert not state.is_current
            await asyncio.to_thread(rabbitmq_server.start)
            await found[0].until()
        await nothing_is_lost(log, found)
        total = sum(len(sender.acknowledged) for sender in found)
        assert len(ids_of(await follow_until(log, "group", ["events"], total))) >= total
    async with open_log() as log:
        await nothing_is_lost(log, found)


@pytest.mark.soak  # tests/system/test_faults.py does it to a whole deployment in every run
async def test_a_frozen_broker_is_waited_for_no_longer_than_the_limit(
    rabbitmq_server: RabbitmqServer, open_log: OpenLog
) -> None:
    async with open_log(timeout_s=TIMEOUT_S) as log:
        async with senders(log) as found:
            rabbitmq_server.freeze()
            try:
                await found[0].until_refused()
                await found[0].until_refused()
            finally:
                rabbitmq_server.thaw()
            await found[0].until()
        assert max(sender.longest_s for sender in found) < 8 * TIMEOUT_S
        await nothing_is_lost(log, found)


@pytest.mark.soak  # tests/system/test_faults.py does it to a whole deployment in every run
async def test_a_line_that_swallows_everything_is_noticed_and_made_anew(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    with TcpProxy(rabbitmq_server.port) as proxy:
        async with open_log(rabbitmq_server.url_of(vhost, port=proxy.port), timeout_s=TIMEOUT_S) as log:
            async with senders(log) as found:
                proxy.black_hole()
                await found[0].until_refused()
                await found[0].until_refused()
                proxy.heal()
                await found[0].until()
            await nothing_is_lost(log, found)


@pytest.mark.contract("SF-16")
async def test_cut_connections_are_made_anew_and_a_follower_goes_on(
    rabbitmq_server: RabbitmqServer, vhost: str, open_log: OpenLog
) -> None:
    with TcpProxy(rabbitmq_server.port) as proxy:
        url = rabbitmq_server.url_of(vhost, port=proxy.port)
        async with open_log(url, timeout_s=TIMEOUT_S) as log, open_log(url, append=False, timeout_s=TIMEOUT_S) as reader:
            followed: set[str] = set()

            async def follow() -> None:
                async for batch in reader.follow("group", ["events"]):
                    followed.update(batch.ids)

            following = asyncio.create_task(follow())
            async with senders(log) as found:
                for _ in range(3):
                    proxy.cut()
                    await found[0].until_refused()
                    proxy.heal()
                    await found[0].until()
            await nothing_is_lost(log, found)
            acknowledged = {event_id for sender in found for event_id in sender.acknowledged}
            await until(lambda: not acknowledged - followed)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def test_a_broker_short_of_disk_takes_nothing_and_says_so(rabbitmq_server: RabbitmqServer, open_log: OpenLog) -> None:
    async with open_log(timeout_s=TIMEOUT_S) as log:
        async with senders(log) as found:
            await asyncio.to_thread(rabbitmq_server.control, "set_disk_free_limit", "900000000000000")
            try:
                await found[0].until_refused()
                await found[0].until_refused()
                assert "short of disk" in found[0].refusals[-1].message
            finally:
                await asyncio.to_thread(rabbitmq_server.control, "set_disk_free_limit", "50000000")
            await found[0].until()
        await nothing_is_lost(log, found)
