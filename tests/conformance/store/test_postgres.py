"""The store in PostgreSQL keeps the promises of the port, on a real server."""

import secrets

import pytest

from tests.services.postgres import PostgresServer
from weft.store.postgres import PostgresStore
from weft.store.settings import PostgresSettings, StoreSettings
from weft.testing.clock import ManualClock
from weft.testing.store_suite import OpenStore, StoreSuite


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> str:
    """One database for all tests here; each has a schema of its own."""
    return postgres_server.create_database()


class TestPostgresStore(StoreSuite):
    """What `write` returned for is committed."""

    @pytest.fixture
    def open_store(self, database: str) -> OpenStore:
        settings = StoreSettings(postgres=PostgresSettings(schema_name=f"s_{secrets.token_hex(6)}"))
        return lambda: PostgresStore(database, settings=settings, clock=ManualClock())
