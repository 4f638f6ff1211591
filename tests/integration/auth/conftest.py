"""The auth room on a real database file, behind its own routes, with a clock that stands still."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete

from tests.services.postgres import PostgresServer
from weft.api.errors import add_error_handlers
from weft.auth.parts import AuthParts, Deliver, open_auth
from weft.auth.routes import router
from weft.auth.settings import AuthSettings
from weft.auth.tables import User
from weft.cache.port import Cache
from weft.core.principal import Role
from weft.db.base import Base
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.db.settings import DbSettings
from weft.testing.clock import ManualClock

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
ORIGIN = "http://weft.test"


@dataclass(kw_only=True)
class Installation:
    """An installation and a client that shows nothing by itself."""

    parts: AuthParts
    client: httpx.AsyncClient
    clock: ManualClock
    app: FastAPI
    letters: list[tuple[str, str, str]] = field(default_factory=list)

    async def account(self, email: str = "ada@example.org", role: Role = Role.USER) -> User:
        return await self.parts.accounts.create(email, PASSWORD, role=role)

    async def tokens(self, email: str = "ada@example.org", password: str = PASSWORD) -> dict[str, Any]:
        answer = await self.client.post("/auth/login", json={"username": email, "password": password})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def headers(self, email: str = "ada@example.org") -> dict[str, str]:
        return bearer((await self.tokens(email))["access_token"])

    async def new(self, role: Role, email: str | None = None) -> dict[str, str]:
        """The headers of a new account of a role."""
        email = email or f"{role.value}@example.org"
        await self.account(email, role)
        return await self.headers(email)

    async def who(self, headers: dict[str, str]) -> httpx.Response:
        return await self.client.get("/api/v1/session", headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


Open = Callable[..., AbstractAsyncContextManager[Installation]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with today's schema, made once."""
    file = tmp_path_factory.mktemp("auth") / "template.db"
    database = Database(f"sqlite:///{file}")
    await migrate(database)
    await database.close()
    return file


@pytest.fixture(scope="session")
def idle() -> list[FastAPI]:
    """Applications no test is using: making one costs more than most tests."""
    return []


def _make_app() -> FastAPI:
    app = FastAPI(version="1.2.3")

    class Now:
        def now_us(self) -> int:
            return app.state.clock.now_us()

        def steady_s(self) -> float:
            return app.state.clock.steady_s()

    app.include_router(router)
    add_error_handlers(app, Now())
    return app


ON_BOTH: dict[str, set[str]] = {
    "test_administration": set(),
    "test_api_keys": {"test_a_full_disk_turns_no_good_key_away"},
    "test_guessing": set(),
    "test_signing_in": {"test_nothing_in_the_database_file_can_be_used_to_sign_in"},
}
"""Files of tests that run on SQLite and on PostgreSQL, and what in them is about SQLite alone."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    alone = ON_BOTH.get(metafunc.module.__name__.rsplit(".", 1)[-1])
    if alone is not None and "kind" in metafunc.fixturenames and metafunc.function.__name__ not in alone:
        metafunc.parametrize("kind", ["sqlite", "postgresql"])


@pytest.fixture
def kind() -> str:
    """Which database a test runs on."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres_accounts(postgres_server: PostgresServer) -> str:
    """A database with today's schema, made once; each test empties it."""
    url = postgres_server.create_database()

    async def prepare() -> None:
        database = Database(url)
        await migrate(database)
        await database.close()

    asyncio.run(prepare())
    return url


@pytest.fixture
def url(kind: str, tmp_path: Path, template: Path, request: pytest.FixtureRequest) -> str:
    """An empty database with today's schema."""
    if kind == "sqlite":
        shutil.copy(template, tmp_path / "weft.db")
        return f"sqlite:///{tmp_path / 'weft.db'}"
    url: str = request.getfixturevalue("postgres_accounts")

    async def empty() -> None:
        database = Database(url)
        async with database.writing() as session:
            for table in reversed(Base.metadata.sorted_tables):
                await session.execute(delete(table))
        await database.close()

    asyncio.run(empty())
    return url


@pytest.fixture
def opened(tmp_path: Path, url: str, idle: list[FastAPI]) -> Open:
    """Opens an installation; a second one opened with the same folder is a second process on the same database."""

    @asynccontextmanager
    async def open_one(
        *,
        environment: str = "development",
        clock: ManualClock | None = None,
        mail: bool = False,
        cache: Cache | None = None,
        url: str = url,
        db: DbSettings | None = None,
        **settings: Any,
    ) -> AsyncIterator[Installation]:
        clock = clock or ManualClock()
        letters: list[tuple[str, str, str]] = []

        async def keep(purpose: str, email: str, token: str) -> None:
            letters.append((purpose, email, token))

        deliver: Deliver | None = keep if mail else None
        database = Database(url, settings=db)
        parts = open_auth(
            database,
            settings=AuthSettings(**settings),
            environment=environment,
            secrets_folder=tmp_path / "secrets",
            clock=clock,
            cache=cache,
            trusted_origins=("https://lab.example.org",),
            deliver=deliver,
            hasher=QUICK,
        )
        app = idle.pop() if idle else _make_app()
        app.state.auth, app.state.clock = parts, clock
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 40000))
        try:
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                yield Installation(parts=parts, client=client, clock=clock, app=app, letters=letters)
        finally:
            await database.close()
            idle.append(app)

    return open_one


@pytest.fixture
async def weft(opened: Open) -> AsyncIterator[Installation]:
    async with opened() as installation:
        yield installation
