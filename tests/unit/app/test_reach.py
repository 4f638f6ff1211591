"""Which plans log and store allow, row by row. The adapters here are plug-ins as a third party would ship them."""

from pathlib import Path
from typing import Any

import pytest

from weft.app.crew import make_crew
from weft.app.plan import make_plan
from weft.app.settings import Settings
from weft.core.errors import Invalid, Unsupported

URLS = {
    "process": "lonely://x",
    "host": None,  # the embedded ones
    "network": "shared://x",
    "owned": "alone://x",  # machines share it, and each partition has one process that appends
}
ADAPTERS = """
from weft.log.port import Log
from weft.store.port import EventStore


class LonelyLog(Log):
    reach = "process"


class SharedLog(Log):
    reach = "network"


class AloneLog(SharedLog):
    appends_alone = True


class LonelyStore(EventStore):
    reach = "process"


class SharedStore(EventStore):
    reach = "network"
"""


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log and store adapters called lonely (one process), shared and alone (the network), and away (its package is missing)."""
    (tmp_path / "some_adapters.py").write_text(ADAPTERS, encoding="utf-8")
    (tmp_path / "away_adapters.py").write_text("import a_package_that_nobody_has\n", encoding="utf-8")
    info = tmp_path / "some_adapters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-adapters\nVersion: 1.0\n", encoding="utf-8")
    points = [
        f"[weft.{port}]\n"
        + "".join(f"{name.lower()} = some_adapters:{name}{kind}\n" for name in ("Lonely", "Shared", "Alone"))
        + "away = away_adapters:Away\n"
        for port, kind in (("log", "Log"), ("store", "Store"))
    ]
    (info / "entry_points.txt").write_text("".join(points), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def settings(log: str | None = None, store: str | None = None, **app: Any) -> Settings:
    return Settings.model_validate({"app": {"data_dir": "/nowhere", "log_url": log, "store_url": store, **app}})


def plan(log: str, store: str, services: str, processes: str | None) -> str:
    asked = settings(URLS[log], URLS[store], services=services.split(), processes=processes)
    return make_plan(asked).summary if processes is None else make_crew(asked).summary


WORKS = [
    # log, store, --service, --processes
    ("process", "process", "all", None),
    ("process", "host", "all", None),
    ("host", "process", "all", None),
    ("network", "process", "all", None),
    ("host", "host", "all", None),
    ("host", "host", "ingestion", None),
    ("host", "host", "storage dashboard", None),
    ("host", "host", "all", "1"),
    ("host", "host", "all", "5"),
    ("host", "host", "all", "ingestion=2,storage+dashboard=1"),
    ("host", "host", "ingestion", "8"),
    ("host", "network", "all", "2"),
    ("host", "network", "storage", None),
    ("network", "host", "storage", None),
    ("network", "host", "all", "20"),
    ("network", "network", "all", "ingestion=20,storage=4"),
    ("network", "network", "storage", "3"),
    ("owned", "network", "all", "ingestion=4,storage=2"),
]


@pytest.mark.parametrize(("log", "store", "services", "processes"), WORKS)
def test_a_plan_that_works_is_accepted(log: str, store: str, services: str, processes: str | None) -> None:
    assert plan(log, store, services, processes)


FAILS = [
    ("process", "host", "ingestion", None, "a log of the kind 'lonely' lives in one process"),
    ("process", "network", "storage dashboard", None, "a log of the kind 'lonely' lives in one process"),
    ("host", "process", "dashboard", None, "a store of the kind 'lonely' lives in one process"),
    ("network", "process", "storage", None, "a store of the kind 'lonely' lives in one process"),
    ("process", "host", "all", "1", "a log of the kind 'lonely' lives in one process"),
    ("host", "process", "all", "2", "a store of the kind 'lonely' lives in one process"),
    ("host", "host", "all", "storage=2", "a store of the kind 'parquet' has one writer, so storage cannot be 2 processes"),
    ("network", "host", "storage", "2", "a store of the kind 'parquet' has one writer"),
    ("host", "network", "storage", "2", "a log of the kind 'sqlite' gives every event to each process that plays storage"),
    ("host", "host", "all", "8", "processes would append to a log of 8 partitions"),
    ("owned", "network", "all", "ingestion=6,storage=3", "processes would append to a log of 8 partitions"),
    ("host", "host", "ingestion", "9", "9 processes would append to a log of 8 partitions"),
]


@pytest.mark.parametrize(("log", "store", "services", "processes", "why"), FAILS)
def test_a_plan_that_cannot_work_is_refused_with_one_sentence(
    log: str, store: str, services: str, processes: str | None, why: str
) -> None:
    with pytest.raises(Invalid) as refused:
        plan(log, store, services, processes)

    assert why in refused.value.message
    assert "\n" not in refused.value.message


KAFKA, RABBITMQ = "kafka://localhost:9092", "amqp://localhost/"
POSTGRES = "postgresql+asyncpg://localhost/weft"


@pytest.mark.contract("SF-14", "SF-25")
@pytest.mark.parametrize(
    ("log", "store", "processes", "why"),
    [
        (KAFKA, POSTGRES, "ingestion=9,storage=4", None),
        (RABBITMQ, POSTGRES, "ingestion=4,storage=2", None),
        (RABBITMQ, POSTGRES, "ingestion=6,storage=3", "processes would append to a log of 8 partitions"),
        (KAFKA, None, "2", None),
        (KAFKA, None, "storage=2", "a store of the kind 'parquet' has one writer"),
        (None, POSTGRES, "2", None),
        (None, POSTGRES, "storage=2", "a log of the kind 'sqlite' gives every event to each process"),
    ],
)
def test_what_the_shipped_adapters_allow(log: str | None, store: str | None, processes: str, why: str | None) -> None:
    asked = settings(log, store, processes=processes)

    if why is None:
        assert make_crew(asked).count > 2
    else:
        with pytest.raises(Invalid, match=why):
            make_crew(asked)


@pytest.mark.parametrize("port", ["log", "store"])
def test_an_adapter_whose_package_is_missing_says_what_to_install(port: str) -> None:
    with pytest.raises(Unsupported, match=r"'a_package_that_nobody_has'.*pip install 'some-adapters'"):
        make_plan(settings(**{port: "away://x"}))


def test_an_unknown_adapter_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid, match=r"no log adapter is called 'carrier-pigeon'; installed are: .*sqlite://"):
        make_plan(settings(log="carrier-pigeon://x"))


@pytest.mark.parametrize(
    ("section", "field", "address", "why"),
    [
        ("db", "url", "mysql://localhost/weft", "no database is called 'mysql'"),
        ("db", "url", "sqlite://", "an SQLite address names a file"),
        ("cache", "url", "memcached://localhost", "no cache adapter is called 'memcached'"),
        ("app", "log_url", "localhost:5672", "'localhost:5672' is not a log address"),
        ("app", "store_url", "/somewhere", "'/somewhere' is not a store address"),
    ],
)
def test_an_address_that_is_none_is_found_without_starting(section: str, field: str, address: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        make_plan(Settings.model_validate({section: {field: address}}))
