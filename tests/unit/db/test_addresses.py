"""Database addresses: the driver is ours to choose, mistakes are told without showing a password."""

import sys

import pytest

from weft.core.errors import Invalid, Unsupported
from weft.db.database import Database
from weft.db.engine import journal_mode, read_url


@pytest.mark.contract("SF-180")
@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("sqlite:////data/weft.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////data/weft.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@host/weft", "postgresql+asyncpg"),
        ("postgres://u:p@host/weft", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@host:5433/weft", "postgresql+asyncpg"),
    ],
)
def test_an_address_gets_its_driver(text: str, driver: str) -> None:
    assert read_url(text).drivername == driver


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weft.db",
        "mysql://u:hunter2@host/weft",
        "postgresql+psycopg2://u:hunter2@host/weft",
        "sqlite+pysqlcipher:///x",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:hunter2@host:port/weft",
    ],
)
def test_what_is_no_address_of_ours_is_refused_by_the_name_of_its_setting(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_url(text)
    assert refused.value.field == "db.url"
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("option", ["sslmode=require", "ssl=require"])
def test_encryption_is_asked_for_in_either_spelling(option: str) -> None:
    assert dict(read_url(f"postgresql://u:p@host/weft?{option}").query) == {"ssl": "require"}


@pytest.mark.parametrize("option", ["sslmode=maybe", "host=/tmp", "target_session_attrs=any"])
def test_an_option_that_would_be_lost_is_refused(option: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_url(f"postgresql://u:hunter2@host/weft?{option}")
    assert refused.value.field == "db.url"
    assert "hunter2" not in refused.value.message


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)  # as if it were not there
    with pytest.raises(Unsupported, match="asyncpg"):
        Database("postgresql://u:p@127.0.0.1:1/weft")


@pytest.mark.parametrize(
    ("version", "mode"), [((3, 40, 1), "truncate"), ((3, 51, 2), "truncate"), ((3, 51, 3), "wal"), ((3, 54, 0), "wal")]
)
def test_write_ahead_logging_is_used_only_where_it_cannot_damage_the_file(version: tuple[int, ...], mode: str) -> None:
    assert journal_mode(version) == mode
