"""Stores in databases of their own, and a server of a test's own where it is going to be mistreated."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.install import POSTGRES
from tests.services.postgres import PostgresServer
from weft.store.postgres import PostgresStore
from weft.store.settings import PostgresSettings, StoreSettings
from weft.testing.clock import ManualClock

OpenAt = Callable[..., PostgresStore]


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.create_database()


@pytest.fixture
def own_server(services_folder: Path, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    if not POSTGRES.is_there():
        pytest.skip(POSTGRES.advice)
    server = PostgresServer(services_folder / tmp_path.name)
    server.start()
    yield server
    server.stop()


def store_at(url: str, *, clock: ManualClock | None = None, write: bool = True, **changed: object) -> PostgresStore:
    """A store; `postgres` changes its section, everything else the store's settings."""
    section = changed.pop("postgres", {})
    settings = StoreSettings.model_validate({**changed, "postgres": PostgresSettings.model_validate(section)})
    return PostgresStore(url, settings=settings, clock=clock or ManualClock(), write=write)
