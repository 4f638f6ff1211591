"""kill -9 around transitions, with a real process: nothing that happened to an alert is lost, and nothing is told twice under
two keys."""

import asyncio
import multiprocessing
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sqlalchemy import func, select

from tests.integration.alerts.judge_process import judge_until_killed
from weft.alerts.identity import TOPIC
from weft.alerts.notify.outbox import read_body
from weft.alerts.notify.tables import OutboxRow
from weft.alerts.rule import Rule, read_definition
from weft.alerts.rulebook import Rulebook
from weft.alerts.tables import AnnouncementRow, JudgedRow, TransitionRow
from weft.core.batch import Batch
from weft.core.clock import SystemClock
from weft.core.position import TopicPartition
from weft.core.repeat import repeat_keys
from weft.core.times import MINUTE_US
from weft.db.database import Database
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.catalogue import Catalogue
from weft.stream.engine.taken import Result
from weft.stream.publish import answer_of

KEYS = 10
PATIENCE_S = 600.0
BEGIN_US = 1_780_000_020_000_000


class Field:
    """The log and database that outlive the judges, seen from outside."""

    def __init__(self, log: SqliteLog, database: Database, rule: Rule, log_url: str, database_url: str) -> None:
        self.log, self.database, self.rule = log, database, rule
        self._urls = (log_url, database_url)
        self._window = 0
        self.expected: Counter[str] = Counter()
        self._firing: set[str] = set()

    async def results(self, windows: int, dice: random.Random) -> None:
        """Some windows of every key, each as likely to be bad as not."""
        for _ in range(windows):
            self._window += 1
            answers = []
            for number in range(KEYS):
                key, is_bad = f"rig-{number}", dice.random() < 0.5
                if is_bad != (key in self._firing):
                    self.expected[key] += 1
                    (self._firing.add if is_bad else self._firing.discard)(key)
                end_us = BEGIN_US + self._window * MINUTE_US
                answers.append(answer_of(_result(self.rule.id, key, end_us, 9 if is_bad else 1)))
            await self.log.append(
                Batch(
                    topic=answers[0].topic,
                    rows=b",".join(bytes(answer.row) for answer in answers),
                    ids=[answer.id for answer in answers],
                    times_us=np.array([answer.time_us for answer in answers], dtype=np.int64),
                    received_at_us=BEGIN_US,
                    repeat_keys=repeat_keys([answer.source for answer in answers], [answer.id for answer in answers]),
                )
            )

    def start(self) -> multiprocessing.Process:
        """A judge in a process of its own."""
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=judge_until_killed, args=self._urls, daemon=True)
        process.start()
        return process  # type: ignore[return-value]  # the context's Process is one

    async def is_done(self) -> bool:
        """Whether everything is judged and announced."""
        topic = f"analytics.rule-{self.rule.id}"
        ends = {part.partition: part.end_offset for part in (await self.log.state()).partitions if part.topic == topic}
        async with self.database.reading() as session:
            rows = (await session.scalars(select(JudgedRow).where(JudgedRow.topic == topic))).all()
            waiting = await session.scalar(select(func.count()).select_from(AnnouncementRow))
        return {row.partition: row.position for row in rows} == ends and waiting == 0

    async def events(self) -> list[tuple[str, str, int]]:
        """Id, fingerprint and number of every transition in the topic `alerts`."""
        found: list[tuple[str, str, int]] = []
        for part in (await self.log.state()).partitions:
            offset = part.start_offset
            while part.topic == TOPIC and offset < part.end_offset:
                for batch in await self.log.read(TopicPartition(TOPIC, part.partition), offset):
                    offset = batch.next_offset
                    for event_id, row in zip(batch.ids, batch.event_rows, strict=True):
                        data = msgspec.json.decode(row.data)
                        if "fingerprint" in data:
                            found.append((event_id, data["fingerprint"], data["number"]))
        return found


def _result(rule_id: str, key: str, end_us: int, count: int) -> Result:
    return Result(
        query=f"rule-{rule_id}",
        version=1,
        key={"source": key},
        start_us=end_us - MINUTE_US,
        end_us=end_us,
        revision=1,
        final=True,
        values={"count": count},
        events=count,
        first_offsets={0: 0},
        last_offsets={0: 0},
    )


@pytest.fixture
async def field(tmp_path: Path, database_url: str) -> AsyncIterator[Field]:
    clock, database = SystemClock(), Database(database_url)
    log_url = f"sqlite://{tmp_path / 'log'}"
    async with SqliteLog(log_url, settings=LogSettings(), clock=clock) as log:
        written = {
            "name": "hot",
            "condition": "count > 5",
            "window": "1m",
            "group_by": ["source"],
            "channels": ["webhook"],
            "suppression_minutes": 0,
        }
        rule = await Rulebook(database, Catalogue(database, log, clock), clock).create(read_definition(written), by="ada")
        multiprocessing.get_context("forkserver").set_forkserver_preload([judge_until_killed.__module__])
        yield Field(log, database, rule, log_url, database_url)
    await database.close()


@pytest.mark.parametrize("rounds", [10, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
async def test_nothing_is_lost_or_told_under_two_keys_whenever_the_judge_is_killed(field: Field, rounds: int) -> None:
    dice = random.Random(rounds)
    for _ in range(rounds):
        judge = field.start()
        until_s = time.monotonic() + dice.uniform(0.1, 0.5)
        while time.monotonic() < until_s:
            await field.results(1, dice)
            await asyncio.sleep(0.01)  # so that each is judged by itself, and the kill falls into one of many
        judge.kill()
        judge.join()
    judge = field.start()
    async with asyncio.timeout(PATIENCE_S):
        while not await field.is_done():  # noqa: ASYNC110 - another process can only be watched
            await asyncio.sleep(0.1)
    judge.kill()
    judge.join()
    await _check(field)


async def _check(field: Field) -> None:
    async with field.database.reading() as session:
        transitions = (
            await session.execute(select(TransitionRow.fingerprint, TransitionRow.number, TransitionRow.change))
        ).all()
        outbox = [read_body(row) for row in await session.scalars(select(OutboxRow))]
    kept: dict[str, list[int]] = defaultdict(list)
    for fingerprint, number, change in transitions:
        if change in {"firing", "resolved"}:
            kept[fingerprint].append(number)
    assert sorted(map(len, kept.values())) == sorted(field.expected.values()), "each change of the truth is one transition"
    every = {(fingerprint, number) for fingerprint, number, _ in transitions}
    announced = await field.events()
    assert {(fingerprint, number) for _, fingerprint, number in announced} == every, "each transition stands in the log"
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    for event_id, fingerprint, number in announced:
        ids[fingerprint, number].add(event_id)
    assert all(len(names) == 1 for names in ids.values()), "a transition that stands there twice has one id"
    told = Counter((one.fingerprint, one.transition, one.occasion) for one in outbox)
    assert set(told.values()) == {1}, "the outbox holds each notification once"
    firings = {(fingerprint, number) for fingerprint, numbers in kept.items() for number in numbers}
    assert {(fingerprint, number) for fingerprint, number, _ in told} == firings, "nobody was forgotten"
