"""An office that gives names: a real database, real accounts and the real edge and server; agencies are doubles on loopback."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.services.postgres import PostgresServer
from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.auth.parts import open_auth
from weft.auth.settings import AuthSettings
from weft.core.principal import Role, Scope
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.identifiers import routes
from weft.identifiers.description import Description
from weft.identifiers.mint import Wanted
from weft.identifiers.parts import IdentifierParts
from weft.identifiers.record import Record
from weft.identifiers.settings import IdentifiersSettings
from weft.testing.clock import ManualClock
from weft.testing.server import serving

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


def describe(what: str = "scan-1.tif", **fields: Any) -> Description:
    """A description that is fit for a DOI too."""
    return Description(**{"who": ("Ada Lovelace",), "what": what, "when": "2026-05-28", "publisher": "The Lab", **fields})


@dataclass(kw_only=True)
class Office:
    """What a test can look at and turn. `admin` may do everything, `stranger` shows nothing."""

    clock: ManualClock
    database: Database
    parts: IdentifierParts
    address: str
    admin: httpx.AsyncClient
    stranger: httpx.AsyncClient
    auth: Any

    async def mint(self, target_id: str = "f-1", **wanted: Any) -> Record:
        """A name for a file."""
        asked = Wanted(**{"target_kind": "file", "target_id": target_id, "description": describe(), **wanted})
        async with self.database.writing() as session:
            return await self.parts.minter.mint(session, asked)

    async def publish(self, key: str) -> Record:
        async with self.database.writing() as session:
            return await self.parts.minter.publish(session, key)

    async def withdraw(self, key: str, reason: str = "taken by mistake") -> Record:
        async with self.database.writing() as session:
            return await self.parts.minter.withdraw(session, key, reason)


OpenOffice = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with today's schema, made once."""
    file = tmp_path_factory.mktemp("identifiers") / "weft.db"

    async def make() -> None:
        database = Database(f"sqlite:///{file}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return file


@pytest.fixture
def open_office(tmp_path: Path, schema: Path, request: pytest.FixtureRequest) -> OpenOffice:
    """Opens an office; settings of identifiers can be given. Opened again in one test it stands on the same database."""
    made: dict[str, str] = {}

    def url_of(kind: str) -> str:
        if kind not in made:
            if kind == "sqlite":
                shutil.copy(schema, tmp_path / "weft.db")
                made[kind] = f"sqlite:///{tmp_path / 'weft.db'}"
            else:
                server: PostgresServer = request.getfixturevalue("postgres_server")
                made[kind] = server.create_database()
        return made[kind]

    @asynccontextmanager
    async def opened(*, kind: str = "sqlite", rate_limits: bool = False, **settings: Any) -> AsyncIterator[Office]:
        clock = ManualClock()
        database = Database(url_of(kind))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            await migrate(database)
            parts = IdentifierParts.of(database, settings=IdentifiersSettings.model_validate(settings), clock=clock)
            stack.push_async_callback(parts.close)
            auth = open_auth(
                database,
                settings=AuthSettings(allow_anonymous_writes=False),
                environment="development",
                secrets_folder=tmp_path / "secrets",
                clock=clock,
                hasher=QUICK,
            )
            app = FastAPI(openapi_url=None)
            app.include_router(routes.router)
            add_error_handlers(app, clock)
            app.state.auth, app.state.identifiers = auth, parts
            api = ApiSettings(rate_limit_enabled=rate_limits, access_log="off")
            edge = Edge(
                app,
                settings=api,
                clock=clock,
                authenticator=auth.authenticator,
                rate_limits=RateLimits(settings=api, clock=clock),
                metrics=Metrics(),
            )
            address = await stack.enter_async_context(serving(edge))
            owner = await auth.accounts.find_by_email("ada@example.org") or await auth.accounts.create(
                "ada@example.org", "correct horse battery", role=Role.ADMIN
            )
            _, key = await auth.api_keys.create(owner_id=owner.id, name="key", scopes=frozenset(Scope), may_give=Scope)
            admin, stranger = [
                await stack.enter_async_context(
                    httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=20, trust_env=False, verify=False)
                )
                for headers in ({"X-API-Key": key}, {})
            ]
            yield Office(
                clock=clock, database=database, parts=parts, address=address, admin=admin, stranger=stranger, auth=auth
            )

    return opened


@pytest.fixture
async def office(open_office: OpenOffice) -> AsyncIterator[Office]:
    async with open_office() as opened:
        yield opened
