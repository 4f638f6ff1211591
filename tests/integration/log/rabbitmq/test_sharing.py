"""Several processes of a role on one log of RabbitMQ. A log object has connections of its own, as a process has."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

from tests.integration.log.rabbitmq.conftest import OpenLog
from tests.integration.log.rabbitmq.waiting import until
from weft.core.batch import LogBatch
from weft.core.position import TopicPartition
from weft.log.rabbitmq.log import RabbitmqLog
from weft.testing.factories import make_batch
from weft.testing.log_ground import WAIT_S, ids_of


class Member:
    """A process that follows for a group and commits what it got."""

    def __init__(self, log: RabbitmqLog, group: str = "workers", *, commits: bool = True) -> None:
        self.log = log
        self.batches: list[LogBatch] = []
        self._group = group
        self._commits = commits
        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        async with aclosing(self.log.follow(self._group, ["*"])) as batches:
            async for batch in batches:
                self.batches.append(batch)
                if self._commits:
                    await self.log.commit(self._group, {TopicPartition(batch.topic, batch.partition): batch.next_offset})

    @property
    def ids(self) -> list[str]:
        return ids_of(self.batches)

    @property
    def partitions(self) -> set[int]:
        return {batch.partition for batch in self.batches}

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_two_appending_processes_have_a_partition_each(open_log: OpenLog) -> None:
    async with open_log() as one, open_log() as two:
        partitions = {(await log.append(make_batch(1))).partition for log in (one, two)}
    assert partitions == {0, 1}


async def test_a_partition_left_behind_is_taken_over_with_its_offsets(open_log: OpenLog) -> None:
    async with open_log() as one:
        assert (await one.append(make_batch(3))).first_offset == 0
    async with open_log() as two:
        appended = await two.append(make_batch(1))
    assert (appended.partition, appended.first_offset) == (0, 3)


async def send_until(logs: Sequence[RabbitmqLog], condition: Callable[[], bool]) -> list[str]:
    """Append to each log in turn until something is so; returns the ids."""
    sent: list[str] = []
    async with asyncio.timeout(WAIT_S):
        while not condition():
            for log in logs:
                batch = make_batch(3)
                await log.append(batch)
                sent += batch.ids
            await asyncio.sleep(0.02)
    return sent


async def test_members_of_a_group_share_the_events_and_none_is_given_twice(open_log: OpenLog) -> None:
    async with open_log() as one, open_log() as two:
        first, second = Member(one), Member(two)
        sent = await send_until((one, two), lambda: bool(first.ids) and bool(second.ids))
        sent += await send_until((one, two), lambda: len(first.ids) > 60 and len(second.ids) > 60)
        await until(lambda: len(first.ids) + len(second.ids) >= len(sent))
        assert sorted(first.ids + second.ids) == sorted(sent)
        await first.leave()
        await second.leave()


async def test_who_remains_takes_over_what_was_not_committed(open_log: OpenLog) -> None:
    async with open_log() as writer, open_log(append=False) as one, open_log(append=False) as two:
        await writer.append(make_batch(2))
        first = Member(one, commits=False)
        await until(lambda: len(first.ids) == 2)
        second = Member(two)
        await asyncio.sleep(0.1)
        assert not second.ids
        await first.leave()
        await until(lambda: second.ids == first.ids)
        await second.leave()


async def test_who_comes_later_gets_a_share_from_where_the_other_committed(open_log: OpenLog) -> None:
    async with open_log() as one, open_log() as two:
        first = Member(one)
        sent = await send_until((one, two), lambda: first.partitions == {0, 1})
        second = Member(two)
        sent += await send_until((one, two), lambda: bool(second.ids))
        await until(lambda: len(first.ids) + len(second.ids) >= len(sent))
        assert sorted(first.ids + second.ids) == sorted(sent)
        await first.leave()
        await second.leave()


async def test_another_group_and_one_that_gives_a_start_get_everything(open_log: OpenLog) -> None:
    async with open_log() as one, open_log(append=False) as two:
        appended = await one.append(make_batch(3))
        member, other = Member(one), Member(two, "others")
        await until(lambda: len(member.ids) == 3 and len(other.ids) == 3)
        async with aclosing(two.follow("workers", ["*"], start={})) as batches:
            batch = await asyncio.wait_for(anext(batches), WAIT_S)
        assert (batch.first_offset, batch.partition) == (0, appended.partition)
        await member.leave()
        await other.leave()
