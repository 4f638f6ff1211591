"""Databases to work on: a file, and a database of its own on a real PostgreSQL."""

from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'weft.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where it is about SQLite alone."""
    return f"sqlite:///{tmp_path / 'new' / 'weft.db'}"
