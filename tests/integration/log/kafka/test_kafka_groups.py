"""Followers of one group share its partitions, and what one leaves behind another takes."""

import asyncio
from contextlib import aclosing

import pytest

from tests.services.kafka_server import KafkaServer
from weft.core.clock import SystemClock
from weft.core.position import TopicPartition
from weft.log.kafka.log import KafkaLog
from weft.log.kafka.request import TickRequest
from weft.log.kafka.settings import KafkaSettings
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import WAIT_S, read_all


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"{abs(hash(request.node.nodeid)):x}."


def open_log(server: KafkaServer, prefix: str, **kafka: object) -> KafkaLog:
    """A log on topics of one test, of four partitions."""
    settings = {"prefix": prefix, "partitions": 4, "discover_interval_s": 0.3, **kafka}
    return KafkaLog(server.url, settings=LogSettings(kafka=KafkaSettings.model_validate(settings)), clock=SystemClock())


class Member:
    """One replica of a consumer: works on batches and commits them."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.seen: list[str] = []
        self.partitions: set[int] = set()
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(self.work())

    async def work(self) -> None:
        async with aclosing(self.log.follow("workers", ["events"])) as batches:
            async for batch in batches:
                self.seen.extend(batch.ids)
                self.partitions.add(batch.partition)
                await self.log.commit("workers", {TopicPartition(batch.topic, batch.partition): batch.next_offset})
                self.changed.set()

    async def leave(self) -> None:
        """Stop in an orderly way."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def fill(server: KafkaServer, prefix: str, batches: int) -> list[str]:
    """Append to every partition; returns the ids."""
    ids: list[str] = []
    for partition in range(4):
        async with open_log(server, prefix, append_partition=partition) as log:
            for _ in range(batches):
                batch = make_batch(10)
                await log.append(batch)
                ids.extend(batch.ids)
    return ids


async def until(members: "list[Member]", ids: list[str]) -> None:
    """Wait until the members have seen all ids."""
    async with asyncio.timeout(WAIT_S):
        while not set(ids) <= {event_id for member in members for event_id in member.seen}:
            changes = [asyncio.ensure_future(member.changed.wait()) for member in members]
            await asyncio.wait([*changes, *(member.task for member in members)], return_when=asyncio.FIRST_COMPLETED)
            for member, change in zip(members, changes, strict=True):
                change.cancel()
                member.changed.clear()
                if member.task.done() and not member.task.cancelled():
                    member.task.result()


async def test_two_members_share_the_work_and_one_that_leaves_loses_nothing(kafka_server: KafkaServer, prefix: str) -> None:
    ids = await fill(kafka_server, prefix, 2)
    async with open_log(kafka_server, prefix) as one_log, open_log(kafka_server, prefix) as other_log:
        one, other = Member(one_log), Member(other_log)
        await until([one, other], ids)
        while True:  # until the group has settled on two members
            one.partitions.clear()
            other.partitions.clear()
            ids += await fill(kafka_server, prefix, 1)
            await until([one, other], ids)
            if one.partitions and other.partitions:
                break
        assert one.partitions.isdisjoint(other.partitions)

        await other.leave()
        later = await fill(kafka_server, prefix, 2)
        await until([one], later)
        await one.leave()
        assert set(one.seen + other.seen) == set(ids + later)


async def test_processes_of_one_host_append_to_partitions_of_their_own(kafka_server: KafkaServer, prefix: str) -> None:
    async with open_log(kafka_server, prefix) as one, open_log(kafka_server, prefix) as other:
        appended = [await log.append(make_batch(1)) for log in (one, other, one, other)]
        assert len({answer.partition for answer in appended}) == 2
        assert [answer.first_offset for answer in appended] == [0, 0, 1, 1]


async def test_processes_that_share_a_partition_lose_nothing_and_time_never_runs_backwards(
    kafka_server: KafkaServer, prefix: str
) -> None:
    async with (
        open_log(kafka_server, prefix, append_partition=0) as one,
        open_log(kafka_server, prefix, append_partition=0) as other,
    ):

        async def call(log: Log, number: int) -> list[tuple[int | None, str]]:
            places: list[tuple[int | None, str]] = []
            for turn in range(30):
                batch = make_batch(5, times_us=[1_000_000 * turn + number + n for n in range(5)])
                places.append(((await log.append(batch)).first_offset, batch.ids[0]))
            return places

        answers = await asyncio.gather(*(call(log, number) for number, log in enumerate((one, other, one, other))))
        batches = await read_all(one, TopicPartition("events", 0))
        ids = {batch.first_offset + n: event_id for batch in batches for n, event_id in enumerate(batch.ids)}
        assert sorted(ids) == list(range(600))
        assert all(ids[offset or 0] == event_id for places in answers for offset, event_id in places)
        before = [batch.max_time_before_us or 0 for batch in batches]
        assert before == sorted(before)


async def test_an_answer_says_how_many_replicas_are_in_sync(kafka_server: KafkaServer, prefix: str) -> None:
    async with open_log(kafka_server, prefix) as log:
        assert (await log.append(make_batch(1))).in_sync_replicas == 1


async def test_ticks_reach_the_partitions_of_processes_that_are_gone(kafka_server: KafkaServer, prefix: str) -> None:
    await fill(kafka_server, prefix, 1)
    async with open_log(kafka_server, prefix) as log:
        later_us = max(state.max_time_us or 0 for state in (await log.state()).partitions) + 1_000_000
        await log.tick("events", later_us)
        states = (await log.state()).partitions
        assert [state.max_time_us for state in states] == [later_us] * 4
        assert [(state.events_total, state.end_offset) for state in states] == [(10, 11)] * 4


async def test_a_tick_between_the_appends_of_a_partitions_owner_is_no_event(kafka_server: KafkaServer, prefix: str) -> None:
    async with (
        open_log(kafka_server, prefix, append_partition=0) as owner,
        open_log(kafka_server, prefix, append_partition=1) as other,
    ):
        for ahead_s in (0, 1, 2):
            await owner.append(make_batch(10))
            known = [state.max_time_us or 0 for state in (await other.state()).partitions]
            await other.tick("events", max(known) + ahead_s * 1_000_000 + 1)
        await owner.append(make_batch(10))
        await asyncio.sleep(1.1)  # what others write is looked at once a second
        await owner.append(make_batch(10))
        await owner.append(make_batch(10))
        (state,) = [state for state in (await other.state()).partitions if state.partition == 0]
        assert (state.events_total, state.end_offset) == (60, 63)


async def test_two_ticks_of_one_moment_are_both_counted(kafka_server: KafkaServer, prefix: str) -> None:
    await fill(kafka_server, prefix, 1)
    async with (
        open_log(kafka_server, prefix, append_partition=0) as one,
        open_log(kafka_server, prefix, append_partition=1) as other,
    ):
        time_us = max(state.max_time_us or 0 for state in (await one.state()).partitions) + 1_000_000
        seen = [log._keeper.ticked("events") for log in (one, other)]
        for log, ends in zip((one, other), seen, strict=True):
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            log._require_appender().put(TickRequest("events", time_us, answer, ends))
            await answer
        await other.tick("events", time_us + 1_000_000)
        await one.tick("events", time_us + 2_000_000)
        states = (await one.state()).partitions
        assert [state.events_total for state in states] == [10] * 4


async def test_a_follower_that_nobody_reads_from_holds_a_bounded_number_of_bytes(
    kafka_server: KafkaServer, prefix: str
) -> None:
    limit = 65_536
    async with open_log(kafka_server, prefix, follow_bytes=limit, prefetch_bytes=limit, append_partition=0) as log:
        batches = [make_batch([make_row(data={"text": "x" * 1000}) for _ in range(100)]) for _ in range(60)]
        for batch in batches:
            await log.append(batch)
        async with aclosing(log.follow("slow", ["events"])) as following:
            ids = list((await asyncio.wait_for(anext(following), WAIT_S)).ids)
            (follower,) = log._followers
            async with asyncio.timeout(WAIT_S):
                while not follower.is_paused:  # noqa: ASYNC110 - it tells nobody that it waits
                    await asyncio.sleep(0.01)
            # What one look at Kafka gives may come on top.
            assert limit <= follower.ready_bytes < 40 * limit
            async with asyncio.timeout(WAIT_S):
                while len(ids) < 6000:
                    ids += (await anext(following)).ids
        assert ids == [event_id for batch in batches for event_id in batch.ids]
