"""The schema moves from empty to today and back, once however many processes start, and loses nothing."""

import asyncio
import importlib
import pkgutil
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import weft
from weft.core.errors import Conflict, Unavailable
from weft.db.base import Base
from weft.db.database import Database
from weft.db.migrate import SCRIPTS, find_revision, migrate, newest_revision

for _, name, _ in pkgutil.walk_packages(weft.__path__, "weft."):
    if name.endswith(".tables"):
        importlib.import_module(name)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def file_database(sqlite_url: str) -> AsyncIterator[Database]:
    database = Database(sqlite_url)
    yield database
    await database.close()


async def tables(database: Database) -> set[str]:
    async with database.reading() as session:
        connection = await session.connection()
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


async def fill(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(
            text(
                "INSERT INTO users (id, email, hashed_password, role, token_version, created_at_us, updated_at_us) "
                "VALUES ('u', 'ada@example.org', 'h', 'user', 0, 1, 1)"
            )
        )
        await session.execute(
            text(
                "INSERT INTO sessions (id, user_id, method, client_ip, created_at_us, expires_at_us) "
                "VALUES ('s', 'u', 'token', '192.0.2.7', 1, 2)"
            )
        )


async def test_an_empty_folder_gets_todays_schema(database: Database) -> None:
    assert await migrate(database) == newest_revision()
    assert await tables(database) >= {"users", "sessions", "refresh_tokens", "api_keys", "login_attempts", "alembic_version"}
    assert await find_revision(database) == newest_revision()


async def test_only_its_owner_can_read_the_database(file_database: Database) -> None:
    await migrate(file_database)
    await fill(file_database)
    assert file_database.file is not None
    assert {oct(file.stat().st_mode & 0o777) for file in file_database.file.parent.iterdir()} == {"0o600"}


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    database = Database(f"sqlite:///{tmp_path / 'file' / 'weft.db'}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await migrate(database)
    await database.close()


async def test_the_tables_in_the_code_are_the_tables_in_the_database(database: Database) -> None:
    await migrate(database)
    async with database.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []


async def test_moving_twice_changes_nothing_and_keeps_what_is_there(database: Database) -> None:
    await migrate(database)
    await fill(database)
    assert await migrate(database) == newest_revision()
    async with database.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM sessions"))).scalar_one() == 1


async def test_every_step_goes_down_and_up_again(database: Database) -> None:
    await migrate(database)
    await fill(database)
    steps = [script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()]
    for revision in [*steps[1:], "base"]:
        await migrate(database, revision)
    assert await tables(database) == {"alembic_version"}
    assert await find_revision(database) is None
    for revision in reversed(steps):
        assert await migrate(database, revision) == revision
    async with database.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []


async def test_the_history_is_one_line(database: Database) -> None:
    script = ScriptDirectory(str(SCRIPTS))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


async def test_a_database_from_a_newer_weft_is_left_alone(database: Database) -> None:
    await migrate(database)
    async with database.writing() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer Weft"):
        await migrate(database)
    assert await find_revision(database) == "9999"


STEP = """
import sqlalchemy as sa
from alembic import op
revision = {revision!r}
down_revision = {below!r}
def upgrade():
{body}
def downgrade():
    pass
"""
REBUILD = """
    with op.batch_alter_table("users") as batch:
        batch.alter_column("role", type_=sa.String(32), existing_type=sa.String(16), existing_nullable=False)
"""
FAIL = """
    op.add_column("users", sa.Column("nickname", sa.String(8)))
    op.create_table("sessions", sa.Column("x", sa.Integer))
"""
TEAR = """
    op.execute("DELETE FROM users")
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A copy of the steps, to add some to."""
    return Path(shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__")))


def add_step(scripts: Path, body: str) -> None:
    step = STEP.format(revision="next", below=newest_revision(), body=body)
    (scripts / "versions" / "next.py").write_text(step)


async def count(database: Database, table: str) -> int:
    async with database.reading() as session:
        return (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def test_rebuilding_a_table_keeps_what_points_at_it(database: Database, scripts: Path) -> None:
    await migrate(database)
    await fill(database)
    add_step(scripts, REBUILD)
    assert await migrate(database, scripts=scripts) == "next"
    assert [await count(database, table) for table in ("users", "sessions")] == [1, 1]
    with pytest.raises(Unavailable, match=r"(?i)foreign key"):
        async with database.writing() as session:
            await session.execute(text("UPDATE sessions SET user_id = 'nobody'"))


async def test_a_move_that_fails_leaves_nothing_half_done(database: Database, scripts: Path) -> None:
    await migrate(database)
    await fill(database)
    add_step(scripts, FAIL)
    with pytest.raises(Unavailable, match="already exists"):
        await migrate(database, scripts=scripts)
    assert await find_revision(database) == newest_revision()
    async with database.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []
    assert [await count(database, table) for table in ("users", "sessions")] == [1, 1]


async def test_a_move_that_would_tear_references_apart_is_undone(file_database: Database, scripts: Path) -> None:
    await migrate(file_database)
    await fill(file_database)
    add_step(scripts, TEAR)
    with pytest.raises(Conflict, match="1 rows pointing at nothing"):
        await migrate(file_database, scripts=scripts)
    assert await find_revision(file_database) == newest_revision()
    assert [await count(file_database, table) for table in ("users", "sessions")] == [1, 1]


START = """
import asyncio, sys
from weft.db.database import Database
from weft.db.migrate import migrate
async def main():
    database = Database(sys.argv[1])
    sys.stdin.readline()
    print(await migrate(database), flush=True)
    await database.close()
asyncio.run(main())
"""


async def test_processes_that_start_at_once_do_not_collide(url: str) -> None:
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", START, url, stdin=pipe, stdout=pipe, stderr=pipe)
        for _ in range(3)
    ]
    ended = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [(out.decode().strip(), err.decode()) for out, err in ended] == [(newest_revision(), "")] * 3


async def test_moves_in_one_process_at_once_do_not_collide(url: str) -> None:
    databases = [Database(url) for _ in range(4)]
    assert await asyncio.gather(*(migrate(database) for database in databases)) == [newest_revision()] * 4
    for database in databases:
        await database.close()


def test_the_newest_step_is_told_without_alembic() -> None:
    assert newest_revision() == ScriptDirectory(str(SCRIPTS)).get_current_head()


async def test_a_start_that_finds_the_newest_schema_loads_no_alembic(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(database)
    monkeypatch.setitem(sys.modules, "weft.db.move", None)

    assert await migrate(database) == newest_revision()
