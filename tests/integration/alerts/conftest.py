"""A court: a real log and database, rules, and a judge that works when it is told to. Results come from the test."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from weft.alerts.counts import Counts
from weft.alerts.identity import TOPIC
from weft.alerts.judge import Judge
from weft.alerts.notify.notification import Notification
from weft.alerts.notify.outbox import read_body
from weft.alerts.notify.tables import OutboxRow
from weft.alerts.rule import Rule, read_definition
from weft.alerts.rulebook import Rulebook
from weft.alerts.settings import AlertsSettings
from weft.alerts.tables import AlertRow
from weft.alerts.tenure import Bench, Tenure
from weft.core.batch import Batch
from weft.core.position import TopicPartition
from weft.core.repeat import repeat_keys
from weft.core.times import MINUTE_US
from weft.core.verdict import CheckRegister
from weft.db.database import Database
from weft.db.lease import Lease
from weft.db.migrate import migrate
from weft.log.port import Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.stream.catalogue import Catalogue
from weft.stream.engine.taken import Result
from weft.stream.publish import answer_of
from weft.stream.state import Figure, StreamState, save_state
from weft.testing.clock import ManualClock
from weft.testing.factories import NOON_US, make_batch


@dataclass(kw_only=True)
class Court:
    """What a test can look at and turn."""

    clock: ManualClock
    log: Log
    database: Database
    rulebook: Rulebook
    bench: Bench
    checks: CheckRegister
    judge: Judge
    lease: Lease
    tenure: Tenure
    intended: list[asyncio.Task[int]]
    """How much the outbox held, for others to see, each time the judge said that something was intended."""
    revisions: dict[tuple[str, int, str], int] = field(default_factory=dict[tuple[str, int, str], int])

    async def rule(self, **written: Any) -> Rule:
        """A new rule, judged from now on."""
        definition = read_definition(
            {"name": "hot", "condition": "count > 5", "window": "1m", "channels": ["email"], **written}
        )
        rule = await self.rulebook.create(definition, by="user:ada")
        await self.tenure.reload()
        return rule

    async def result(self, rule: Rule, minute: int, values: dict[str, Any], **key: str | None) -> None:
        """One result of the rule's query for the window that ends so many minutes after noon."""
        live = self.tenure.rules.live[rule.id]
        assert live.compiled.query is not None
        query = live.compiled.query
        end_us = NOON_US // MINUTE_US * MINUTE_US + minute * MINUTE_US
        place = (rule.id, end_us, str(key))
        self.revisions[place] = self.revisions.get(place, 0) + 1
        result = Result(
            query=query.name,
            version=live.query_version or 0,
            key=key,
            start_us=end_us - query.window.size_us,
            end_us=end_us,
            revision=self.revisions[place],
            final=False,
            values=values,
            events=int(values.get("count") or 1),
            first_offsets={0: 7},
            last_offsets={0: 9},
        )
        answer = answer_of(result)
        await self.log.append(
            Batch(
                topic=answer.topic,
                rows=bytes(answer.row),
                ids=[answer.id],
                times_us=np.array([answer.time_us], dtype=np.int64),
                received_at_us=self.clock.now_us(),
                repeat_keys=repeat_keys([answer.source], [answer.id]),
            )
        )

    async def work(self) -> None:
        """Judge everything that waits, then look."""
        for state in (await self.log.state()).partitions:
            place = TopicPartition(state.topic, state.partition)
            if state.topic not in self.tenure.rules.topics:
                continue
            while self.tenure.positions.get(place, state.start_offset) < state.end_offset:
                await self.tenure.take(await self.log.read(place, self.tenure.positions.get(place, 0)))
        await self.judge.look(self.tenure)

    async def computed_until(self, rule: Rule, minute: int) -> None:
        """Analytics says that it has answered everything up to so many minutes after noon."""
        live = self.tenure.rules.live[rule.id]
        assert live.compiled.query is not None
        end_us = NOON_US // MINUTE_US * MINUTE_US + minute * MINUTE_US
        figure = Figure(name=live.compiled.query.name, version=live.query_version or 0, watermark_us=end_us)
        state = StreamState(
            share="events",
            log_identity=await self.log.identity(),
            positions={0: 1},
            snapshot=b"",
            figures={figure.name: figure},
            saved_at_us=self.clock.now_us(),
        )
        async with self.database.writing() as session:
            await save_state(session, state, epoch=1)

    async def say(self, rule: Rule, minute: int, count: int, **key: str | None) -> None:
        """A result with a count, and judge it."""
        await self.result(rule, minute, {"count": count}, **key)
        await self.work()

    async def pass_time(self, minutes: float) -> None:
        """Time passes, and is looked at."""
        self.clock.advance(minutes * 60)
        await self.judge.look(self.tenure)

    async def alerts(self) -> Sequence[AlertRow]:
        """All alerts, the oldest first."""
        async with self.database.reading() as session:
            return (await session.scalars(select(AlertRow).order_by(AlertRow.started_at_us, AlertRow.updated_at_us))).all()

    async def told(self) -> list[Notification]:
        """What the outbox holds, in the order in which it was decided."""
        async with self.database.reading() as session:
            rows = (await session.scalars(select(OutboxRow).order_by(OutboxRow.created_at_us, OutboxRow.transition))).all()
        return [read_body(row) for row in rows]

    async def events(self) -> list[dict[str, Any]]:
        """The events of the topic `alerts`."""
        found: list[dict[str, Any]] = []
        for state in (await self.log.state()).partitions:
            if state.topic == TOPIC:
                offset = state.start_offset
                while offset < state.end_offset:
                    batches = await self.log.read(TopicPartition(state.topic, state.partition), offset)
                    offset = batches[-1].next_offset
                    for batch in batches:
                        found += [
                            {"type": row.type, "id": event_id, **msgspec.json.decode(row.data)}
                            for event_id, row in zip(batch.ids, batch.event_rows, strict=True)
                        ]
        return found

    async def changes(self) -> list[str]:
        """What happened to alerts, as the log tells it."""
        return [event["change"] for event in await self.events() if "change" in event]


@pytest.fixture(scope="session")
def empty_books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of today's schema to copy: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("books") / "weft.db"

    async def make() -> None:
        database = Database(f"sqlite:///{path}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_books: Path) -> str:
    """Where the court keeps its books."""
    if request.param == "sqlite":
        shutil.copy(empty_books, tmp_path / "weft.db")
        return f"sqlite:///{tmp_path / 'weft.db'}"
    return str(request.getfixturevalue("postgres_server").create_database())


@pytest.fixture
async def court(tmp_path: Path, database_url: str) -> AsyncIterator[Court]:
    """An open court that holds its lease."""
    clock = ManualClock(NOON_US)
    database = Database(database_url)
    await migrate(database)
    async with SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(), clock=clock) as log:
        rulebook = Rulebook(database, Catalogue(database, log, clock), clock)
        intended: list[asyncio.Task[int]] = []

        async def count_intents() -> int:
            async with database.reading() as session:
                return len((await session.scalars(select(OutboxRow))).all())

        bench = Bench(
            database=database,
            log=log,
            rulebook=rulebook,
            clock=clock,
            settings=AlertsSettings(built_in_rules=False),
            counts=Counts(),
            intended=lambda: intended.append(asyncio.create_task(count_intents())),
        )
        checks = CheckRegister()
        judge = Judge(bench, checks)
        lease = Lease(database, "alerts", clock=clock)
        await lease.acquire()
        await log.append(make_batch(1, topic="events"))
        tenure = Tenure(bench, lease)
        await tenure.begin()
        await tenure.reload()
        yield Court(
            clock=clock,
            log=log,
            database=database,
            rulebook=rulebook,
            bench=bench,
            checks=checks,
            judge=judge,
            lease=lease,
            tenure=tenure,
            intended=intended,
        )
        await asyncio.gather(*intended)
    await database.close()
