"""Accounts carried over from one database to another: all of them or none, with a proof, never onto something else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

import weft.auth.tables
from tests.services.postgres import PostgresServer
from weft.app.copy_database import TABLES as ROOMS
from weft.core.errors import Conflict, Invalid
from weft.db.base import Base
from weft.db.copy import copy_database
from weft.db.database import Database
from weft.db.migrate import find_revision, migrate, newest_revision

for room in ROOMS:
    import_module(room)

USERS = 1200
TABLES = {"login_attempts": 1, "users": USERS, "api_keys": 2, "sessions": 1, "refresh_tokens": 1}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
def urls(sqlite_url: str, postgres_server: PostgresServer) -> dict[str, str]:
    return {"sqlite": sqlite_url, "postgresql": postgres_server.create_database()}


async def fill(database: Database) -> None:
    """Some of everything, with whatever is awkward: other scripts, quotes, nothing, the largest numbers, both truths."""
    await migrate(database)
    users = [
        {
            "id": f"user-{number}",
            "email": f"ünïcode-{number}-' \" \\ 雪@example.org",
            "hashed_password": "$argon2id$" + "x" * 900,
            "role": "user",
            "is_active": number % 2 == 0,
            "is_verified": number % 3 == 0,
            "password_is_initial": False,
            "token_version": number,
            "created_at_us": 2**62 + number,
            "updated_at_us": -number,
            "last_login_us": None if number % 2 else number,
            "deleted_at_us": None,
        }
        for number in range(USERS)
    ]
    key = {"prefix": "p", "secret_hash": "h", "name": "rig", "user_id": "user-7", "scopes": "a b", "created_at_us": 1}
    keys = [{**key, "id": f"k{number}", "prefix": f"p{number}"} for number in range(2)]
    visit = {"id": "s", "user_id": "user-1", "method": "token", "client_ip": "::1", "created_at_us": 1, "expires_at_us": 2}
    rows = {
        weft.auth.tables.User: users,
        weft.auth.tables.Session: [visit],
        weft.auth.tables.RefreshToken: [{"hash": "r", "session_id": "s", "expires_at_us": 3}],
        weft.auth.tables.ApiKey: keys,
        weft.auth.tables.Attempt: [{"key": "a", "failures": 1, "last_us": 1, "locked_until_us": 0}],
    }
    async with database.writing() as session:
        for table, values in rows.items():
            await session.execute(insert(table), values)


async def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    async with database.reading() as session:
        return {
            table.name: sorted((tuple(row) for row in await session.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


@pytest.mark.parametrize(("here", "there"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
async def test_everything_is_carried_over_and_both_sides_prove_it(urls: dict[str, str], here: str, there: str) -> None:
    async with opened(urls[here]) as source, opened(urls[there]) as target:
        await fill(source)
        compared = await copy_database(source, target)
        assert {table.table: table.source.rows for table in compared if table.source.rows} == TABLES
        assert all(table.same for table in compared)
        assert len({table.source.digest for table in compared if table.source.rows}) == len(TABLES)
        assert await contents(target) == await contents(source)
        assert await find_revision(target) == newest_revision()


async def test_there_and_back_again_is_where_it_began(urls: dict[str, str], tmp_path: Path) -> None:
    async with opened(urls["sqlite"]) as source, opened(urls["postgresql"]) as target:
        await fill(source)
        there = await copy_database(source, target)
        async with opened(f"sqlite:///{tmp_path / 'again.db'}") as again:
            back = await copy_database(target, again)
            assert [table.target for table in back] == [table.source for table in there]
            assert await contents(again) == await contents(source)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_target_that_holds_something_is_left_as_it_is(urls: dict[str, str], tmp_path: Path, kind: str) -> None:
    async with opened(f"sqlite:///{tmp_path / 'source.db'}") as source, opened(urls[kind]) as target:
        await fill(source)
        await migrate(target)
        async with target.writing() as session:
            await session.execute(insert(weft.auth.tables.Attempt).values(key="x", failures=1, last_us=1, locked_until_us=0))
        before = await contents(target)
        with pytest.raises(Conflict, match="already holds 1 rows in 'login_attempts'"):
            await copy_database(source, target)
        assert await contents(target) == before


async def test_a_copy_that_differs_is_told_and_not_kept(urls: dict[str, str]) -> None:
    async with opened(urls["sqlite"]) as source, opened(urls["postgresql"]) as target:
        await fill(source)
        await migrate(target)
        async with target.writing() as session:  # a database that changes what it is given
            await session.execute(
                text(
                    "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN IF NEW.id = 'user-1111' THEN NEW.email = lower(NEW.id); END IF; RETURN NEW; END $$"
                )
            )
            await session.execute(text("CREATE TRIGGER spoil BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION spoil()"))
        compared = await copy_database(source, target)
        assert [table.table for table in compared if not table.same] == ["users"]
        assert all(not rows for rows in (await contents(target)).values())


async def test_a_value_that_does_not_fit_names_its_table_and_nothing_is_kept(urls: dict[str, str]) -> None:
    async with opened(urls["sqlite"]) as source, opened(urls["postgresql"]) as target:
        await fill(source)
        async with source.writing() as session:  # SQLite keeps any length
            await session.execute(text("UPDATE api_keys SET name = :name"), {"name": "n" * 500})
        with pytest.raises(Invalid, match="'api_keys' cannot be copied"):
            await copy_database(source, target)
        assert all(not rows for rows in (await contents(target)).values())


async def test_a_table_nobody_here_knows_stops_the_copy_before_it_is_forgotten(urls: dict[str, str]) -> None:
    async with opened(urls["sqlite"]) as source, opened(urls["postgresql"]) as target:
        await fill(source)
        async with source.writing() as session:
            await session.execute(text("CREATE TABLE of_a_plugin (x INTEGER)"))
        with pytest.raises(Conflict, match="of_a_plugin"):
            await copy_database(source, target)
