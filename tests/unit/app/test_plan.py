"""A plan that cannot work is refused before anything is opened."""

from pathlib import Path
from typing import Any

import pytest

from weft.app.plan import Plan, check_log_is_there, is_loopback, make_plan
from weft.app.settings import Settings
from weft.core.errors import Invalid, Unavailable


def plan(**app: Any) -> Plan:
    return make_plan(Settings.model_validate({"app": {"data_dir": "/nowhere", **app}}))


@pytest.mark.contract("SF-1", "SF-D1", "SF-195", "SF-196", "SF-198", "SF-199")
@pytest.mark.parametrize(
    ("services", "names", "service", "port"),
    [
        (["all"], {"ingestion", "analytics", "alerting", "storage", "dashboard"}, "weft", 8000),
        (["ingestion", "storage", "dashboard"], {"ingestion", "storage", "dashboard"}, "weft", 8000),
        (["ingestion,storage"], {"ingestion", "storage"}, "weft", 8000),
        (["ingestion"], {"ingestion"}, "ingestion", 8001),
        (["analytics"], {"analytics"}, "analytics", 8002),
        (["alerting"], {"alerting"}, "alerting", 8003),
        (["dashboard"], {"dashboard"}, "dashboard", 8004),
        (["storage", "storage"], {"storage"}, "storage", 8005),
    ],
)
def test_roles_and_ports_follow_what_was_asked(services: list[str], names: set[str], service: str, port: int) -> None:
    made = plan(services=services)

    assert (set(made.role_names), made.needs.service, made.port) == (names, service, port)


def test_a_given_port_wins() -> None:
    assert plan(services=["ingestion"], port=1234).port == 1234
    assert plan(services=["ingestion"], ingestion_port=4321).port == 4321


def test_only_the_storage_role_owns_the_store_and_the_dashboard_appends_nothing() -> None:
    rights = {name: plan(services=[name]).needs for name in ("ingestion", "analytics", "alerting", "storage", "dashboard")}

    assert {name: needs.owns_store for name, needs in rights.items()} == {
        "ingestion": False,
        "analytics": False,
        "alerting": False,
        "storage": True,
        "dashboard": False,
    }
    assert {name: needs.appends for name, needs in rights.items()} == {
        "ingestion": True,
        "analytics": True,
        "alerting": True,
        "storage": True,
        "dashboard": False,
    }


def test_an_unknown_role_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid, match="no role 'storrage'; there are all, storage, analytics, alerting, dashboard, ingestion"):
        plan(services=["storrage"])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_development_stays_on_this_machine(host: str) -> None:
    with pytest.raises(Invalid, match="ENVIRONMENT=production"):
        plan(host=host)
    assert plan(host=host, environment="production").host == host


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.9.9.9", True), ("10.0.0.1", False)]
)
def test_what_counts_as_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_whoever_only_reads_the_log_is_told_what_to_start_first(tmp_path: Path) -> None:
    def look(service: str, **app: Any) -> None:
        settings = Settings.model_validate({"app": {"data_dir": tmp_path, "services": [service], **app}})
        check_log_is_there(make_plan(settings), settings)

    with pytest.raises(
        Unavailable, match=r"there is no log at .*dashboard can only read one; start storage or .* first"
    ) as told:
        look("dashboard")
    assert "`weft start --service storage`" in told.value.message

    look("storage")
    look("dashboard", log_url="kafka://127.0.0.1:9092/")
    (tmp_path / "log").mkdir()
    look("dashboard")
