"""The processes that one command runs: how many of which, on which ports, and what is refused."""

from typing import Any

import pytest

from weft.app.crew import Crew, make_crew
from weft.app.settings import Settings
from weft.core.errors import Invalid


def crew(processes: str | int, **app: Any) -> Crew:
    return make_crew(Settings.model_validate({"app": {"data_dir": "/nowhere", "processes": processes, **app}}))


def shape(made: Crew) -> list[tuple[str, int, int]]:
    return [(kind.label, kind.count, kind.port) for kind in made.kinds]


@pytest.mark.contract("SF-25", "SF-195", "SF-198", "SF-199")
@pytest.mark.parametrize("number", ["1", "2", 3])
def test_a_number_counts_the_doors_and_every_other_role_stands_on_its_documented_port(number: str | int) -> None:
    assert shape(crew(number)) == [
        ("storage", 1, 8005),
        ("analytics", 1, 8002),
        ("alerting", 1, 8003),
        ("dashboard", 1, 8004),
        ("ingestion", int(number), 8001),
    ]


def test_roles_may_share_processes_and_what_is_not_named_runs_once() -> None:
    assert shape(crew("ingestion=2, storage+dashboard=1")) == [
        ("storage+dashboard", 1, 8000),
        ("analytics", 1, 8002),
        ("alerting", 1, 8003),
        ("ingestion", 2, 8001),
    ]
    assert shape(crew("storage=1")) == [
        ("storage", 1, 8005),
        ("analytics", 1, 8002),
        ("alerting", 1, 8003),
        ("dashboard", 1, 8004),
        ("ingestion", 1, 8001),
    ]
    assert shape(crew("dashboard+ingestion=2")) == [
        ("storage", 1, 8005),
        ("analytics", 1, 8002),
        ("alerting", 1, 8003),
        ("dashboard+ingestion", 2, 8000),
    ]


def test_only_the_roles_of_the_plan_run() -> None:
    assert shape(crew("3", services=["dashboard"])) == [("dashboard", 3, 8004)]
    assert shape(crew("2", services=["ingestion", "dashboard"])) == [("dashboard", 1, 8004), ("ingestion", 2, 8001)]


def test_what_owns_the_store_starts_first_and_says_so() -> None:
    assert [kind.owns_store for kind in crew("2").kinds] == [True, False, False, False, False]
    assert crew("2").summary == (
        "6 processes on 127.0.0.1: 1 x storage on port 8005, 1 x analytics on port 8002, 1 x alerting on port 8003, "
        "1 x dashboard on port 8004, 2 x ingestion on port 8001"
    )


def test_every_kind_takes_a_free_port_where_that_is_asked() -> None:
    assert {port for _, _, port in shape(crew("2", port=0))} == {0}


@pytest.mark.parametrize(
    ("processes", "app", "why"),
    [
        ("many", {}, "'many' does not say how many processes"),
        ("0", {}, "'0' does not say how many processes"),
        ("-1", {}, "'-1' does not say how many processes"),
        ("ingestion=0", {}, "does not say how many processes"),
        ("=2", {}, "does not say how many processes"),
        ("ingestion=2,", {}, "does not say how many processes"),
        ("65", {}, "write a number up to 64"),
        ("porridge=1", {}, "no role 'porridge'"),
        ("ingestion=1,ingestion=2", {}, "names ingestion twice"),
        ("2,ingestion=2", {}, "names ingestion twice"),
        ("storage+ingestion=1,dashboard+storage=1", {}, "names storage twice"),
        ("storage=1", {"services": ["ingestion"]}, "names storage, which --service leaves out"),
        ("2", {"services": ["storage", "dashboard"]}, "a bare number counts ingestion, which --service leaves out"),
        ("2", {"port": 9000}, "port 9000 is one port, and storage, analytics, alerting, dashboard, ingestion each need one"),
        ("2", {"storage_port": 8001}, "storage and ingestion would both listen on port 8001"),
        ("1", {"metrics_port": 65534}, "app.metrics_port 65534 leaves no room for 5 ports"),
        ("2", {"host": "0.0.0.0"}, "ENVIRONMENT=production"),
    ],
)
def test_what_cannot_work_is_refused_with_one_sentence(processes: str, app: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        crew(processes, **app)

    assert "\n" not in refused.value.message


def test_one_kind_of_process_may_be_given_its_port() -> None:
    assert shape(crew("2", services=["ingestion"], port=9000)) == [("ingestion", 2, 9000)]
