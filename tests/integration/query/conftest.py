"""A small laboratory: a real log, a real store and real accounts in a temporary folder, behind the real edge and server."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher

from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.health import HealthRegister
from weft.api.metrics import Metrics
from weft.api.openapi import OpenApi
from weft.api.parts import ApiParts
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.api.websocket import Sockets
from weft.auth.parts import open_auth
from weft.auth.settings import AuthSettings
from weft.core.event import EventRow
from weft.core.position import TopicPartition
from weft.core.principal import Role, Scope
from weft.core.verdict import CheckRegister
from weft.core.worker import Worker
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.query.dashboards import routes as dashboards
from weft.query.dashboards.catalogue import Dashboards
from weft.query.parts import QueryParts
from weft.query.routes import router
from weft.query.settings import QuerySettings
from weft.store.parquet import ParquetStore
from weft.store.settings import StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch
from weft.testing.server import serving

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
READER = frozenset({Scope.EVENTS_READ, Scope.VERDICT_READ})


@dataclass(kw_only=True)
class Lab:
    """What a test can look at and turn. `client` reads events; `admin` may do everything; `stranger` shows nothing."""

    clock: ManualClock
    log: SqliteLog
    store: ParquetStore
    parts: QueryParts
    app: FastAPI
    address: str
    key: str
    key_id: str
    client: httpx.AsyncClient
    admin: httpx.AsyncClient
    stranger: httpx.AsyncClient
    metrics: Metrics
    _read: dict[TopicPartition, int] = field(default_factory=dict)

    async def take(
        self, rows: Sequence[EventRow] | int, *, times_us: Sequence[int] | None = None, topic: str = "events"
    ) -> list[str]:
        """Append events and let the store read them; returns their ids."""
        ids = await self.append(rows, times_us=times_us, topic=topic)
        await self.catch_up()
        return ids

    async def append(
        self, rows: Sequence[EventRow] | int, *, times_us: Sequence[int] | None = None, topic: str = "events"
    ) -> list[str]:
        """Append events to the log alone; returns their ids. Without times they happen now."""
        batch = make_batch(rows, topic=topic, times_us=times_us, received_at_us=self.clock.now_us())
        await self.log.append(batch)
        return list(batch.ids)

    async def catch_up(self, skip: Collection[int] = ()) -> None:
        """Let the store read all that stands in the log, but not the batches of `events` at the offsets to skip."""
        for state in (await self.log.state()).partitions:
            place = TopicPartition(state.topic, state.partition)
            while batches := await self.log.read(place, self._read.get(place, 0)):
                await self.store.write([b for b in batches if b.topic != "events" or b.first_offset not in skip])
                self._read[place] = batches[-1].next_offset

    async def revoke_reader(self) -> None:
        """Take the key of `client` back."""
        await self.app.state.auth.api_keys.revoke(self.key_id)

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a good answer."""
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, status: int, **parameters: Any) -> dict[str, Any]:
        """The JSON of a refusal."""
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    """Run a worker while the block runs."""
    started = asyncio.Event()
    running = asyncio.create_task(worker.run(started.set))
    try:
        await started.wait()
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


OpenLab = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture(scope="session")
def _accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nobody in it, made once: every laboratory starts with a copy."""
    folder = tmp_path_factory.mktemp("accounts")

    async def make() -> None:
        database = Database(f"sqlite:///{folder / 'weft.db'}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return folder / "weft.db"


@pytest.fixture
def open_lab(tmp_path: Path, _accounts: Path) -> OpenLab:
    """Opens a laboratory; settings of the query room and the rate limit can be given."""

    @asynccontextmanager
    async def opened(
        *,
        rate_limits: bool = False,
        partitions: int = 1,
        store_class: type[ParquetStore] = ParquetStore,
        **settings: Any,
    ) -> AsyncIterator[Lab]:
        clock = ManualClock()
        shutil.copy(_accounts, tmp_path / "weft.db")
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(
                SqliteLog(f"sqlite://{tmp_path / 'log'}", settings=LogSettings(partitions=partitions), clock=clock)
            )
            store = await stack.enter_async_context(
                store_class(f"parquet://{tmp_path / 'store'}", settings=StoreSettings(), clock=clock)
            )
            database = Database(f"sqlite:///{tmp_path / 'weft.db'}")
            stack.push_async_callback(database.close)
            api_settings = ApiSettings(rate_limit_enabled=rate_limits, access_log="off")
            auth = open_auth(
                database,
                settings=AuthSettings(allow_anonymous_writes=False),
                environment="development",
                secrets_folder=tmp_path / "secrets",
                clock=clock,
                hasher=QUICK,
            )
            checks = CheckRegister()
            parts = QueryParts.of(log=log, store=store, checks=checks, clock=clock, settings=QuerySettings(**settings))
            for code, check in parts.own_checks().items():
                checks.add(code, check)
            metrics = Metrics()
            app = FastAPI(openapi_url=None)
            app.include_router(router)
            app.include_router(dashboards.router)
            add_error_handlers(app, clock)
            app.state.auth = auth
            app.state.query = parts
            app.state.dashboards = Dashboards(database, clock)
            app.state.api = ApiParts(
                settings=api_settings,
                metrics=metrics,
                health=HealthRegister(service="test", version="0", clock=clock, timeout_s=2),
                sockets=Sockets(settings=api_settings, clock=clock, authenticator=auth.authenticator, metrics=metrics),
                openapi=OpenApi(app),
            )
            edge = Edge(
                app,
                settings=api_settings,
                clock=clock,
                authenticator=auth.authenticator,
                rate_limits=RateLimits(settings=api_settings, clock=clock),
                metrics=metrics,
            )
            address = await stack.enter_async_context(serving(edge))
            await stack.enter_async_context(working(parts.feeds))
            await stack.enter_async_context(working(parts.views))
            owner = await auth.accounts.create("ada@example.org", "correct horse battery", role=Role.ADMIN)
            (reader, reader_key), (_, admin_key) = [
                await auth.api_keys.create(owner_id=owner.id, name="key", scopes=scopes, may_give=Scope)
                for scopes in (READER, Scope)
            ]
            clients = [
                await stack.enter_async_context(
                    httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=20, trust_env=False, verify=False)
                )
                for headers in ({"X-API-Key": reader_key}, {"X-API-Key": admin_key}, {})
            ]
            yield Lab(
                clock=clock,
                log=log,
                store=store,
                parts=parts,
                app=app,
                address=address,
                key=reader_key,
                key_id=reader.id,
                client=clients[0],
                admin=clients[1],
                stranger=clients[2],
                metrics=metrics,
            )

    return opened


@pytest.fixture
async def lab(open_lab: OpenLab) -> AsyncIterator[Lab]:
    async with open_lab() as opened:
        yield opened
