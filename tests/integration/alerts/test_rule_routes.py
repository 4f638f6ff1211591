"""Rules, alerts and silences over HTTP, as StreamFlow's clients and Weft's own see them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from tests.integration.alerts.conftest import Court
from weft.alerts.handle import Alerts
from weft.alerts.parts import AlertParts
from weft.alerts.routes import router
from weft.alerts.rulebook import Rulebook
from weft.alerts.silence import Silences
from weft.alerts.why_not import WhyNots
from weft.api.edge import Edge
from weft.api.errors import add_error_handlers
from weft.api.metrics import Metrics
from weft.api.rate_limit import RateLimits
from weft.api.settings import ApiSettings
from weft.auth.proof import Proof
from weft.auth.signature import prove
from weft.core.principal import SCOPES_OF, Principal, Role
from weft.core.times import MINUTE_US, to_text
from weft.stream.catalogue import Catalogue
from weft.testing.server import serving

RULE: dict[str, Any] = {
    "name": "High Error Rate",
    "description": "too many errors",
    "condition": "error_rate > 0.05",
    "threshold": 0.05,
    "window": "5m",
    "level": "critical",
    "channels": ["email", "slack", "webhook", "sms"],
    "enabled": True,
    "suppression_minutes": 15,
    "escalation_minutes": 30,
    "tags": ["production"],
    "metadata": {"team": "platform"},
}


class Counter:
    """A server that answers the routes of alerts for an operator; `role` may be turned."""

    def __init__(self, court: Court, client: httpx.AsyncClient) -> None:
        self.court = court
        self.role = Role.OPERATOR
        self._client = client

    def proof(self) -> Proof:
        scopes = frozenset(SCOPES_OF[self.role])
        principal = Principal(kind="user", id="ada", name="Ada", role=self.role, scopes=scopes, requests_per_minute=0)
        return Proof(principal=principal, method="token")

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The JSON of an answer of this status."""
        answer = await self._client.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def rule(self, **written: Any) -> dict[str, Any]:
        """A rule made over HTTP, judged from now on."""
        made: dict[str, Any] = (await self.ask("POST", "/api/v1/rules", 201, json=RULE | written))["data"]
        await self.court.tenure.reload()
        return made


@pytest.fixture
async def counter(court: Court) -> AsyncIterator[Counter]:
    catalogue = Catalogue(court.database, court.log, court.clock)
    parts = AlertParts(
        log=court.log,
        database=court.database,
        clock=court.clock,
        settings=court.bench.settings,
        counts=court.bench.counts,
        rulebook=court.rulebook,
        alerts=Alerts(court.database, court.clock, changed=court.judge.wake),
        silences=Silences(court.database, court.clock),
        why_nots=WhyNots(court.database, court.log, catalogue, court.rulebook, court.checks, court.clock),
        judge=court.judge,
    )
    app = FastAPI()
    add_error_handlers(app, court.clock)
    app.include_router(router)
    app.state.alerts = parts
    settings, metrics = ApiSettings(rate_limit_enabled=False, access_log="off"), Metrics()
    edge = Edge(
        app,
        settings=settings,
        clock=court.clock,
        authenticator=None,
        rate_limits=RateLimits(settings=settings, clock=court.clock),
        metrics=metrics,
    )
    async with serving(edge) as address, httpx.AsyncClient(base_url=f"http://{address}", timeout=20) as client:
        counter = Counter(court, client)
        app.dependency_overrides[prove] = counter.proof
        yield counter


@pytest.mark.contract(
    "SF-122", "SF-124", "SF-125", "SF-126", "SF-127", "SF-128", "SF-129", "SF-131", "SF-132", "SF-133", "SF-134", "SF-D28"
)
async def test_a_rule_is_streamflows_model_field_by_field(counter: Counter) -> None:
    made = await counter.rule()
    assert {name: made[name] for name in RULE} == RULE
    UUID(made["id"])
    shown = (await counter.ask("GET", f"/api/v1/rules/{made['id']}"))["data"]
    assert shown == made


@pytest.mark.contract("SF-123", "SF-135", "SF-D29", "SF-165")
async def test_rules_are_made_listed_changed_and_removed_and_survive_a_restart(counter: Counter) -> None:
    made = await counter.rule()
    await counter.ask("POST", "/api/v1/rules", 409, json=RULE)
    changed = (await counter.ask("PUT", f"/api/v1/rules/{made['id']}", json=RULE | {"level": "error"}))["data"]
    assert (changed["level"], changed["version"]) == ("error", 2)
    anew = Rulebook(
        counter.court.database, Catalogue(counter.court.database, counter.court.log, counter.court.clock), counter.court.clock
    )
    assert (await anew.get(made["id"])).definition.level == "error"
    listed = await counter.ask("GET", "/api/v1/rules")
    assert [rule["name"] for rule in listed["data"]] == ["High Error Rate"]
    assert listed["pagination"]["total"] == 1
    versions = (await counter.ask("GET", f"/api/v1/rules/{made['id']}/versions"))["data"]
    assert [(one["version"], one["definition"]["level"]) for one in versions] == [(2, "error"), (1, "critical")]
    await counter.ask("DELETE", f"/api/v1/rules/{made['id']}", 204)
    missing = await counter.ask("GET", f"/api/v1/rules/{made['id']}", 404)
    assert missing["error"] == "NotFound"


async def test_what_was_read_can_be_sent_back_and_a_client_may_choose_the_id(counter: Counter) -> None:
    chosen = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
    made = await counter.rule(id=chosen)
    assert made["id"] == chosen
    await counter.ask("POST", "/api/v1/rules", 409, json=RULE | {"id": chosen, "name": "another"})
    same = (await counter.ask("PUT", f"/api/v1/rules/{chosen}", json=made))["data"]
    assert same == made
    moved = await counter.ask("PUT", f"/api/v1/rules/{chosen}", 422, json=made | {"id": chosen.replace("6f", "7f", 1)})
    assert moved["details"]["field"] == "id"


@pytest.mark.contract("SF-138", "SF-139", "SF-140", "SF-141")
@pytest.mark.parametrize("level", ["info", "warning", "error", "critical"])
async def test_every_level_is_taken(counter: Counter, level: str) -> None:
    assert (await counter.rule(level=level))["level"] == level


@pytest.mark.contract("SF-D22", "SF-137")
@pytest.mark.parametrize(
    ("written", "field", "told"),
    [
        ({"threshold": 0.1}, "condition", "compares with 0.05, the threshold is 0.1"),
        ({"condition": "error_rate", "threshold": None}, "condition", "give the rule a threshold"),
        ({"condition": "error_rat > 1"}, "condition", "did you mean error_rate"),
        ({"condition": "__import__('os').system('id') > 1"}, "condition", ""),
        ({"where": "type =="}, "where", ""),
        ({"level": "fatal"}, "level", "'info', 'warning', 'error' or 'critical'"),
        ({"window": "5 minutes"}, "window", "is not an interval"),
        ({"window": "0m"}, "window", "is not an interval"),
        ({"window": "32d"}, "window", "longer than 31d"),
        ({"suppression_minutes": -1}, "suppression_minutes", "greater than or equal to 0"),
        ({"group_interval": "1s"}, "body", "would be a storm"),
        ({"repeat_interval": "5m"}, "body", "shorter than suppression_minutes"),
        ({"expect": ["a"]}, "body", "one value for each field of group_by"),
        ({"slide": "7s"}, "body", "not a multiple of slide"),
        ({"levels": {"warning": 0.1, "critical": 0.2}}, "threshold", "the levels say warning 0.1, critical 0.2"),
        ({"surprise": 1}, "surprise", "Extra inputs are not permitted"),
    ],
)
async def test_a_rule_that_contradicts_itself_is_refused_with_the_field(
    counter: Counter, written: dict[str, Any], field: str, told: str
) -> None:
    refused = await counter.ask("POST", "/api/v1/rules", 422, json=RULE | written)
    assert (refused["error"], refused["details"]["field"]) == ("ValidationError", field)
    assert told in refused["message"]
    assert (await counter.ask("GET", "/api/v1/rules"))["data"] == []


@pytest.mark.contract("SF-D22")
async def test_a_condition_without_a_comparison_means_greater_than_the_threshold(counter: Counter) -> None:
    made = await counter.rule(condition="error_rate")
    rule = await counter.court.rulebook.get(made["id"])
    for minute, errors in ((5, 5), (10, 6)):
        await counter.court.result(rule, minute, {"error_count": errors, "count": 100})
        await counter.court.work()
    assert [alert["data"]["error_count"] for alert in (await counter.ask("GET", "/api/v1/alerts"))["data"]] == [6]


async def raised(counter: Counter, **written: Any) -> dict[str, Any]:
    """An alert that fires."""
    made = await counter.rule(**written)
    rule = await counter.court.rulebook.get(made["id"])
    await counter.court.result(rule, 5, {"error_count": 10, "count": 100})
    await counter.court.work()
    alert: dict[str, Any] = (await counter.ask("GET", "/api/v1/alerts", params={"rule_id": made["id"]}))["data"][0]
    return alert


@pytest.mark.contract("SF-D29")
async def test_alerts_are_listed_by_status_level_and_rule(counter: Counter) -> None:
    alert = await raised(counter)
    for params, found in (
        ({"status": "firing"}, 1),
        ({"status": "active"}, 1),
        ({"status": "resolved"}, 0),
        ({"level": "critical"}, 1),
        ({"level": "info"}, 0),
        ({"rule_id": alert["rule_id"]}, 1),
        ({"rule_id": "High Error Rate"}, 1),
        ({"rule_id": "another"}, 0),
    ):
        listed = await counter.ask("GET", "/api/v1/alerts", params=params)
        assert (len(listed["data"]), listed["pagination"]["total"]) == (found, found), params
    await counter.ask("GET", "/api/v1/alerts", 422, params={"status": "burning"})
    shown = (await counter.ask("GET", f"/api/v1/alerts/{alert['id']}"))["data"]
    assert (shown["title"], shown["level"], shown["resolved"], shown["acknowledged"]) == (
        "High Error Rate",
        "critical",
        False,
        False,
    )


@pytest.mark.contract("SF-D29")
async def test_an_alert_is_taken_on_and_said_to_be_over(counter: Counter) -> None:
    alert = await raised(counter)
    path = f"/api/v1/alerts/{alert['id']}"
    taken = (await counter.ask("POST", f"{path}/acknowledge", json={"comment": "on it"}))["data"]
    assert (taken["acknowledged"], taken["acknowledged_by"], taken["acknowledged_comment"]) == (True, "Ada", "on it")
    over = (await counter.ask("POST", f"{path}/resolve"))["data"]
    assert (over["resolved"], over["resolved_by"], over["status"]) == (True, "Ada", "resolved")
    await counter.ask("POST", f"{path}/resolve", 409)
    history = (await counter.ask("GET", f"{path}/history"))["data"]
    assert [done["change"] for done in history] == ["firing", "acknowledged", "resolved"]
    counter.role = Role.USER
    await counter.ask("POST", f"{path}/resolve", 403)
    await counter.ask("GET", "/api/v1/alerts/nobody", 404)


async def test_why_names_the_rule_the_window_every_part_and_the_offsets(counter: Counter) -> None:
    alert = await raised(counter)
    why = await counter.ask("GET", f"/api/v1/alerts/{alert['id']}/why")
    fired = why["fired"]
    assert (why["rule"]["version"], why["rule"]["definition"]["condition"]) == (1, RULE["condition"])
    assert fired["values"] == {"error_count": 10, "count": 100}
    steps = {step["text"]: step["value"] for step in fired["reasons"][0]["steps"]}
    assert (steps["error_rate > 0.05"], steps["error_rate"]) == (True, 0.1)
    assert (fired["topic"], fired["first_offsets"], fired["last_offsets"]) == ("events", {"0": 7}, {"0": 9})
    assert fired["end"] > fired["start"]
    assert "error_rate = 0.1" in why["sentence"]


@pytest.mark.parametrize(
    ("written", "counts", "answer", "told"),
    [
        ({"enabled": False}, None, "disabled", "never fires"),
        ({}, None, "not_started", "is a process with the role analytics running"),
    ],
)
async def test_why_not_says_what_keeps_the_whole_rule_quiet(
    counter: Counter, written: dict[str, Any], counts: None, answer: str, told: str
) -> None:
    made = await counter.rule(**written)
    why = await counter.ask("GET", f"/api/v1/rules/{made['id']}/why-not")
    assert why["answer"] == answer
    assert told in why["sentence"]


@pytest.mark.parametrize(
    ("written", "errors", "silenced", "answer", "told"),
    [
        ({}, 1, False, "not_true", "error_rate = 0.01"),
        ({"for": "10m"}, 10, False, "pending", "it fires when that is still so at"),
        ({}, 10, True, "silenced", "silenced by"),
        ({"shadow": True}, 10, False, "shadow", "tells nobody"),
        ({"channels": []}, 10, False, "no_channel", "no channel"),
        ({}, 10, False, "told", "that was told"),
    ],
)
async def test_why_not_says_what_keeps_one_key_quiet_with_its_values(
    counter: Counter, written: dict[str, Any], errors: int, silenced: bool, answer: str, told: str
) -> None:
    court = counter.court
    if silenced:
        body = {"matchers": [{"name": "level", "value": "critical"}], "ends_at": to_text(court.clock.now_us() + MINUTE_US)}
        await counter.ask("POST", "/api/v1/silences", 201, json=body)
    made = await counter.rule(**written)
    rule = await court.rulebook.get(made["id"])
    await court.result(rule, 5, {"error_count": errors, "count": 100})
    await court.work()
    await court.computed_until(rule, 5)
    why = await counter.ask("GET", f"/api/v1/rules/{made['id']}/why-not")
    assert why["answer"] == answer, why
    assert told in why["sentence"]
    assert why["keys"][0]["values"]["error_count"] == errors


async def test_silences_are_made_changed_ended_and_stay_to_be_seen(counter: Counter) -> None:
    now_us = counter.court.clock.now_us()
    body = {"matchers": [{"name": "rule", "value": "x"}], "ends_at": to_text(now_us + MINUTE_US), "comment": "works"}
    made = (await counter.ask("POST", "/api/v1/silences", 201, json=body))["data"]
    assert (made["state"], made["created_by"], made["comment"]) == ("active", "Ada", "works")
    later = body | {"starts_at": to_text(now_us + MINUTE_US), "ends_at": to_text(now_us + 2 * MINUTE_US)}
    changed = (await counter.ask("PUT", f"/api/v1/silences/{made['id']}", json=later))["data"]
    assert changed["state"] == "pending"
    await counter.ask("DELETE", f"/api/v1/silences/{made['id']}", 204)
    assert (await counter.ask("GET", f"/api/v1/silences/{made['id']}"))["data"]["state"] == "expired"
    assert (await counter.ask("GET", "/api/v1/silences", params={"expired": False}))["data"] == []
    for wrong in ({"matchers": []}, {"ends_at": to_text(now_us - 1)}):
        await counter.ask("POST", "/api/v1/silences", 422, json=body | wrong)
