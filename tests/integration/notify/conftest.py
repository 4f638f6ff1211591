"""Notifications on a real log and a real database, with a clock that stands still, delivered to sinks on loopback."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from tests.services.postgres import PostgresServer
from tests.services.sinks import HttpSink, MailSink, listening
from weft.alerts.notify.directory import ChannelPlan
from weft.alerts.notify.history import Told, Wanted, list_told
from weft.alerts.notify.notification import Intent, Notification
from weft.alerts.notify.outbox import add
from weft.alerts.notify.parts import NotifyParts
from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.tables import ChannelRow
from weft.auth.secrets import Cipher
from weft.core.clock import Clock
from weft.core.position import TopicPartition
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock


@dataclass(kw_only=True)
class Office:
    """Where notifications are intended and delivered. `sink` is the one that the channel `hook` posts to."""

    clock: Any
    database: Database
    log: SqliteLog
    parts: NotifyParts
    sink: HttpSink
    mail: MailSink
    url: str
    keys: list[bytes]

    async def channel(self, name: str = "hook", kind: str = "webhook", **plan: Any) -> ChannelRow:
        """A channel that posts to the sink, unless something else is said."""
        plan.setdefault("settings", {"url": self.sink.url})
        return await self.parts.directory.create(ChannelPlan(name=name, kind=kind, **plan))

    async def intend(self, *notifications: Notification, channels: tuple[str, ...] = ("hook",)) -> None:
        """Write intents, as the judge does."""
        intents = [Intent(notification=notification, channels=channels) for notification in notifications]
        async with self.database.writing() as session:
            await add(session, intents, now_us=self.clock.now_us())

    async def tell(self, *notifications: Notification, channels: tuple[str, ...] = ("hook",)) -> None:
        """Intend, and let the deliverer do what it can."""
        await self.intend(*notifications, channels=channels)
        await self.parts.deliverer.settle()

    async def pass_time(self, seconds: float) -> None:
        """Time passes, and the deliverer does what has become due."""
        self.clock.advance(seconds)
        await self.parts.deliverer.settle()

    async def told(self, **wanted: Any) -> list[Told]:
        """What became of every notification, oldest first."""
        async with self.database.reading() as session:
            told, _ = await list_told(session, Wanted(**wanted), skip=0, limit=1000)
        return list(reversed(told))

    async def states(self, **wanted: Any) -> list[str]:
        """What became of every notification, oldest first, in a word."""
        return [one.state for one in await self.told(**wanted)]

    async def events(self) -> list[tuple[str, Any]]:
        """Type and data of every event in the topic `alerts`."""
        found: list[tuple[str, Any]] = []
        for part in (await self.log.state()).partitions:
            if part.topic == "alerts":
                for batch in await self.log.read(TopicPartition(part.topic, part.partition), 0):
                    found += [(row.type, msgspec.json.decode(row.data)) for row in batch.event_rows]
        return found


def notification(number: int = 1, transition: int = 1, state: str = "firing", **changes: Any) -> Notification:
    """A notification about alert `number`."""
    values: dict[str, Any] = {
        "fingerprint": f"alert-{number}",
        "transition": transition,
        "state": state,
        "rule_id": "rule-1",
        "rule_name": "Freezer warm",
        "rule_version": 1,
        "level": "critical",
        "summary": f"freezer {number} is {state}",
        "since_us": 1_780_000_000_000_000,
        "at_us": 1_780_000_000_000_000,
    }
    return Notification(**{**values, **changes})


OpenOffice = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with today's schema, made once."""
    file = tmp_path_factory.mktemp("notify") / "weft.db"

    async def make() -> None:
        database = Database(f"sqlite:///{file}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return file


@pytest.fixture
def open_office(tmp_path: Path, schema: Path, request: pytest.FixtureRequest) -> OpenOffice:
    """Opens an office; settings of notifications can be given. Opened again in one test it stands on the same database."""
    keys = [Fernet.generate_key()]
    made: dict[str, str] = {}

    @asynccontextmanager
    async def opened(
        *, kind: str = "sqlite", environment: str = "development", clock: Clock | None = None, **settings: Any
    ) -> AsyncIterator[Office]:
        clock = clock or ManualClock()
        if kind not in made:
            if kind == "sqlite":
                shutil.copy(schema, tmp_path / "weft.db")
                made[kind] = f"sqlite:///{tmp_path / 'weft.db'}"
            else:
                server: PostgresServer = request.getfixturevalue("postgres_server")
                made[kind] = server.create_database()
        database = Database(made[kind])
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            if kind != "sqlite":
                await migrate(database)
            log = await stack.enter_async_context(
                SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(partitions=1), clock=clock)
            )
            sink, mail = HttpSink(), MailSink()
            await stack.enter_async_context(listening(sink))
            await stack.enter_async_context(listening(mail))
            parts = NotifyParts.of(
                database,
                log,
                cipher=Cipher(keys),
                settings=NotifySettings(**{"send_timeout_s": 2, **settings}),
                environment=environment,
                clock=clock,
            )
            yield Office(clock=clock, database=database, log=log, parts=parts, sink=sink, mail=mail, url=made[kind], keys=keys)

    return opened


@pytest.fixture
async def office(open_office: OpenOffice) -> AsyncIterator[Office]:
    async with open_office() as opened:
        yield opened
