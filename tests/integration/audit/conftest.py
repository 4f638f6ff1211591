"""A ledger on a database file and on a real PostgreSQL, with a clock that stands still."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete

from tests.services.postgres import PostgresServer
from weft.audit.key import PublicKey, SigningKey, load_signing_key
from weft.audit.ledger import Ledger
from weft.audit.lines import read_database
from weft.audit.signer import RootSigner
from weft.audit.tables import EntryRow, HeadRow, RootRow
from weft.audit.verify import Verification, verify
from weft.auth.witness import Action, Change, Deed
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.db.settings import DbSettings
from weft.db.tables import LeaseRow
from weft.testing.clock import ManualClock


def deed(entity_id: str = "1", action: Action = Action.UPDATE) -> Deed:
    return Deed(action=action, entity_type="rule", entity_id=entity_id, changes={"name": Change("old", entity_id)})


@dataclass(kw_only=True)
class Books:
    """A ledger, who signs it, and who checks it."""

    database: Database
    ledger: Ledger
    clock: ManualClock
    key: SigningKey
    signer: RootSigner
    url: str

    async def write(self, *deeds: Deed) -> None:
        """Each in a unit of work of its own."""
        for one in deeds:
            async with self.database.writing() as session:
                await self.ledger.record(session, one)

    async def close_day(self) -> None:
        """Until the next day begins, and yesterday is signed."""
        self.clock.advance(86_400)
        assert await self.signer.look() is not None

    async def verify(self, *keys: PublicKey) -> Verification:
        return await verify(read_database(self.database), keys or [self.key.public])


def _prepare(url: str) -> None:
    async def work() -> None:
        database = Database(url)
        await migrate(database)
        await database.close()

    asyncio.run(work())


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with today's schema, made once."""
    file = tmp_path_factory.mktemp("audit") / "template.db"
    _prepare(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: PostgresServer) -> str:
    """A database with today's schema, made once; each test empties it."""
    url = postgres_server.create_database()
    _prepare(url)
    return url


@pytest.fixture
def emptied_postgres(postgres_ledger: str) -> str:
    async def empty() -> None:
        database = Database(postgres_ledger)
        async with database.writing() as session:
            for table in (EntryRow, HeadRow, RootRow, LeaseRow):
                await session.execute(delete(table))
        await database.close()

    asyncio.run(empty())
    return postgres_ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> str:
    """A database of each kind with today's schema."""
    if request.param == "sqlite":
        shutil.copy(empty_database, tmp_path / "weft.db")
        return f"sqlite:///{tmp_path / 'weft.db'}"
    return request.getfixturevalue("emptied_postgres")


@pytest.fixture
async def books(url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Books]:
    database = Database(url, settings=DbSettings(busy_timeout_s=100, answer_timeout_s=100))
    key = load_signing_key(None, tmp_path / "secrets")
    yield Books(
        database=database,
        ledger=Ledger(database, clock),
        clock=clock,
        key=key,
        signer=RootSigner(database, key, clock=clock),
        url=url,
    )
    await database.close()
