"""The inventory on a real database, behind the real edge and server, asked by people who really signed in."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.ext.asyncio import AsyncSession

from tests.services.postgres import PostgresServer
from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.auth.parts import AuthParts, open_auth
from weft.auth.routes import router as accounts
from weft.auth.secrets import Cipher
from weft.auth.settings import AuthSettings
from weft.auth.witness import Deed, actor
from weft.core.principal import Role
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.inventory.parts import InventoryParts
from weft.inventory.routes import router
from weft.testing.clock import ManualClock
from weft.testing.server import serving

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"


@dataclass
class Notebook:
    """A witness that keeps what it is told; `refuses` makes it fail."""

    deeds: list[Deed] = field(default_factory=list[Deed])
    refuses: Exception | None = None

    async def __call__(self, session: AsyncSession, deed: Deed) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.deeds.append(msgspec.structs.replace(deed, by=deed.by or actor()))

    def told(self) -> list[tuple[str, str]]:
        """What was done, to what kind of thing."""
        return [(deed.action.value, deed.entity_type) for deed in self.deeds]


class Person:
    """Somebody who signed in, or nobody."""

    def __init__(self, client: httpx.AsyncClient, user_id: str = "", email: str = "") -> None:
        self.client = client
        self.id = user_id
        self.email = email

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The JSON of an answer of this status."""
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        return await self.ask("GET", path, status, params=params)

    async def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        return await self.ask("POST", path, status, json=body)

    async def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return await self.ask("PATCH", path, status, json=body)

    async def delete(self, path: str, status: int = 204) -> None:
        await self.ask("DELETE", path, status)


@dataclass(kw_only=True)
class Site:
    """What a test can look at and turn."""

    address: str
    clock: ManualClock
    database: Database
    auth: AuthParts
    parts: InventoryParts
    witness: Notebook
    keys: list[bytes]
    stack: AsyncExitStack
    admin: Person = field(init=False)
    user: Person = field(init=False)
    stranger: Person = field(init=False)
    _made: int = 0

    async def person(self, email: str, role: Role = Role.USER) -> Person:
        """A new account, signed in."""
        user = await self.auth.accounts.create(email, PASSWORD, role=role)
        client = await self.client()
        answer = await client.post("/auth/login", json={"username": email, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return Person(client, user.id, email)

    async def client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=f"http://{self.address}", timeout=20, trust_env=False)
        return await self.stack.enter_async_context(client)

    async def body(self, kind: str, **changes: Any) -> dict[str, Any]:
        """What a new thing of a kind needs at least, under a name of its own; what it points at is made first."""
        self._made += 1
        name = changes.pop("name", f"{kind} {self._made}")
        if kind == "instruments":
            body: dict[str, Any] = {"name": name, "cifs_host": "nmr.lab.local", "cifs_share": "data"}
        elif kind == "service-accounts":
            body = {"name": name, "username": "reader", "password": "s3cret of the share"}
        elif kind == "storage-locations":
            body = {"name": name, "type": "posix", "base_path": "/archive"}
        elif kind == "schedules":
            instrument, location = await self.make("instruments"), await self.make("storage-locations")
            body = {"instrument_id": instrument["id"], "default_storage_location_id": location["id"]}
            body["cron_expression"] = "0 2 * * *"
        elif kind == "hooks":
            body = {"name": name, "trigger": "pre_transfer", "implementation": "builtin", "builtin_name": "file_filter"}
            body["config"] = {"exclude_patterns": ["*.tmp"]}
        else:
            body = {"name": name}
        return {**body, **changes}

    async def make(self, kind: str, **changes: Any) -> dict[str, Any]:
        """A new thing of a kind, one second after the one before."""
        body = await self.body(kind, **changes)
        self.clock.advance(1)
        made: dict[str, Any] = await self.admin.post(f"/api/{kind}", body)
        return made


@pytest.fixture(scope="session")
def empty_inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with today's schema, made once."""
    file = tmp_path_factory.mktemp("inventory") / "weft.db"

    async def make() -> None:
        database = Database(f"sqlite:///{file}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return file


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """The routes, made once: that costs more than most tests."""
    app = FastAPI()
    app.include_router(accounts)
    app.include_router(router)
    return app


@pytest.fixture
def kind() -> str:
    """Which database a test runs on."""
    return "sqlite"


@pytest.fixture
async def site(
    kind: str, tmp_path: Path, empty_inventory: Path, application: FastAPI, request: pytest.FixtureRequest
) -> AsyncIterator[Site]:
    """An open site with an administrator, a user and a stranger."""
    if kind == "sqlite":
        shutil.copy(empty_inventory, tmp_path / "weft.db")
        url = f"sqlite:///{tmp_path / 'weft.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    clock, keys, witness = ManualClock(), [Fernet.generate_key()], Notebook()
    async with AsyncExitStack() as stack:
        database = Database(url)
        stack.push_async_callback(database.close)
        await migrate(database)
        auth = open_auth(
            database,
            settings=AuthSettings(),
            environment="development",
            secrets_folder=tmp_path / "secrets",
            clock=clock,
            hasher=QUICK,
        )
        parts = InventoryParts.of(database, cipher=Cipher(keys), witness=witness, clock=clock)
        application.exception_handlers.clear()
        application.middleware_stack = None
        add_error_handlers(application, clock)
        application.state.auth, application.state.inventory = auth, parts
        settings = ApiSettings(rate_limit_enabled=False, access_log="off")
        edge = Edge(
            application,
            settings=settings,
            clock=clock,
            authenticator=auth.authenticator,
            rate_limits=RateLimits(settings=settings, clock=clock),
            metrics=Metrics(),
        )
        address = await stack.enter_async_context(serving(edge))
        site = Site(
            address=address,
            clock=clock,
            database=database,
            auth=auth,
            parts=parts,
            witness=witness,
            keys=keys,
            stack=stack,
        )
        site.admin = await site.person("admin@example.org", Role.ADMIN)
        site.user = await site.person("ada@example.org")
        site.stranger = Person(await site.client())
        yield site
