"""Saved dashboards: whose they are, what their panels may ask, and that nobody's change is lost."""

from typing import Any

import httpx
import pytest

from tests.integration.query.live_client import key_of
from weft.core.principal import Role, Scope

PATH = "/api/v1/dashboards"
PLACE = {"x": 0, "y": 0, "w": 12, "h": 8}


def panel(kind: str = "text", query: Any = None, **fields: Any) -> dict[str, Any]:
    return {"id": "p", "kind": kind, "query": {"text": "hello"} if query is None else query, "position": PLACE, **fields}


def board(*panels: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "pumps", "panels": list(panels), **fields}


async def someone(lab: Any, name: str, *scopes: Scope) -> httpx.AsyncClient:
    """A client with a key of an account of its own."""
    auth = lab.app.state.auth
    owner = await auth.accounts.create(f"{name}@example.org", "correct horse battery", role=Role.OPERATOR)
    given = frozenset(scopes or {Scope.EVENTS_READ, Scope.DASHBOARDS_WRITE})
    _, key = await auth.api_keys.create(owner_id=owner.id, name="key", scopes=given, may_give=Scope)
    return httpx.AsyncClient(base_url=f"http://{lab.address}", headers={"X-API-Key": key}, timeout=20, trust_env=False)


async def test_a_dashboard_is_saved_read_changed_and_deleted(lab: Any) -> None:
    async with await someone(lab, "eve") as eve:
        saved = await eve.post(PATH, json=board(panel(title="Hello"), description="All pumps"))
        assert saved.status_code == 201, saved.text
        body = saved.json()
        assert (saved.headers["etag"], body["version"], body["mine"], body["shared"]) == ('"1"', 1, True, False)
        one = f"{PATH}/{body['id']}"
        assert (await eve.get(one)).json() == body
        changed = await eve.put(one, json=board(panel(), panel(id="q"), name="tanks"), headers={"If-Match": '"1"'})
        assert (changed.status_code, changed.headers["etag"], changed.json()["name"]) == (200, '"2"', "tanks")
        assert [each["id"] for each in (await eve.get(one)).json()["panels"]] == ["p", "q"]
        assert (await eve.delete(one, headers={"If-Match": '"1"'})).status_code == 409
        assert (await eve.delete(one)).status_code == 204
        assert (await eve.get(one)).status_code == 404


async def test_a_change_that_would_undo_another_one_is_refused(lab: Any) -> None:
    async with await someone(lab, "eve") as eve:
        one = f"{PATH}/{(await eve.post(PATH, json=board())).json()['id']}"
        assert (await eve.put(one, json=board(name="first"), headers={"If-Match": '"1"'})).status_code == 200
        lost = await eve.put(one, json=board(name="second"), headers={"If-Match": '"1"'})
        assert (lost.status_code, lost.json()["error"], lost.json()["details"]) == (409, "Conflict", {"version": 2})
        assert (await eve.get(one)).json()["name"] == "first"
        assert (await eve.put(one, json=board(name="third"))).json()["details"]["field"] == "If-Match"
        assert (await eve.put(one, json=board(), headers={"If-Match": "two"})).status_code == 422
        assert (await eve.put(one, json=board(name="fourth"), headers={"If-Match": "*"})).json()["version"] == 3


async def test_others_see_what_is_shared_and_change_nothing_of_it(lab: Any) -> None:
    async with await someone(lab, "eve") as eve, await someone(lab, "bob") as bob:
        mine = (await eve.post(PATH, json=board(name="a private"))).json()["id"]
        ours = (await eve.post(PATH, json=board(name="b shared", shared=True))).json()["id"]
        assert (await bob.get(f"{PATH}/{mine}")).status_code == 404
        assert (await bob.put(f"{PATH}/{mine}", json=board(), headers={"If-Match": "*"})).status_code == 404
        seen = (await bob.get(f"{PATH}/{ours}")).json()
        assert (seen["name"], seen["mine"]) == ("b shared", False)
        assert (await bob.put(f"{PATH}/{ours}", json=board(), headers={"If-Match": "*"})).status_code == 403
        assert (await bob.delete(f"{PATH}/{ours}")).status_code == 403
        assert await names(bob) == ["Overview", "b shared"]
        assert await names(eve) == ["Overview", "a private", "b shared"]
        assert await names(lab.admin) == ["Overview", "a private", "b shared"]
        assert await names(eve, skip=1, limit=1) == ["a private"]
        assert await names(eve, skip=0, limit=2) == ["Overview", "a private"]
        assert (await lab.admin.put(f"{PATH}/{mine}", json=board(name="c"), headers={"If-Match": '"1"'})).status_code == 200


async def names(viewer: httpx.AsyncClient, **page: int) -> list[str]:
    body = (await viewer.get(PATH, params=page)).json()
    assert body["total"] >= len(body["items"])
    return [each["name"] for each in body["items"]]


async def test_strangers_and_readers_save_nothing(lab: Any) -> None:
    assert (await lab.stranger.get(PATH)).status_code == 401
    assert (await lab.stranger.post(PATH, json=board())).status_code == 401
    assert (await lab.client.post(PATH, json=board())).status_code == 403
    key = await key_of(lab, Scope.DASHBOARDS_WRITE)
    assert (await lab.stranger.get(PATH, headers={"X-API-Key": key})).status_code == 403


async def test_one_dashboard_comes_with_weft_and_stays_as_it_is(lab: Any) -> None:
    shown = await lab.get(f"{PATH}/default")
    assert (shown["name"], shown["shared"], shown["mine"], shown["owner_id"]) == ("Overview", True, False, None)
    assert {each["kind"] for each in shown["panels"]} == {"stat", "alerts", "series", "topic"}
    assert (await lab.admin.put(f"{PATH}/default", json=board(), headers={"If-Match": "*"})).status_code == 403
    assert (await lab.admin.delete(f"{PATH}/default")).status_code == 403
    copied = await lab.admin.post(PATH, json={key: shown[key] for key in ("name", "description", "shared", "panels")})
    assert copied.status_code == 201, "its own panels pass the check that everybody's have to pass"


async def test_an_export_becomes_a_dashboard_elsewhere(lab: Any) -> None:
    async with await someone(lab, "eve") as eve, await someone(lab, "bob") as bob:
        saved = (await eve.post(PATH, json=board(panel(options={"colour": "red"}), shared=True))).json()
        file = await bob.get(f"{PATH}/{saved['id']}/export")
        assert "attachment" in file.headers["content-disposition"]
        assert not {"id", "owner_id", "version"} & file.json()["dashboard"].keys()
        taken = await bob.post(f"{PATH}/import", json=file.json())
        assert taken.status_code == 201
        assert taken.json()["panels"] == saved["panels"]
        assert (taken.json()["mine"], taken.json()["id"] == saved["id"]) == (True, False)
        assert (await bob.post(f"{PATH}/import", json={"weft_dashboard": 2, "dashboard": board()})).status_code == 422


GOOD = [
    ("series", {"series": {"topic": "events", "type": ["system.metric"], "field": "data.cpu_share", "data.host": "a"}}),
    ("series", {"continuous": {"name": "error_rate", "value": "error_rate"}}),
    ("stat", {"aggregation": {"metric": "avg", "field": "data.load", "group_by": ["source"]}}),
    ("stat", {"realtime": {"figure": "active_users"}}),
    ("table", {"events": {"severity": ["high"], "limit": 20}}),
    ("table", {"continuous": {"name": "events_by_type", "filter": "events > 3"}}),
    ("topic", {"topic": {"topic": "events", "filter": "temperature > 30", "rate": "5s"}}),
    ("alerts", {"alerts": {"level": ["critical"], "status": ["firing"]}}),
]
WRONG = [
    ("series", {"series": {"type": ["x"]}}, "series.field"),
    ("series", {"series": {"field": "data.x", "from": "2026-01-01T00:00:00Z"}}, "series.from"),
    ("series", {"series": {"field": "data.x", "tpye": "x"}}, "series.tpye"),
    ("series", {"events": {}}, ""),
    ("series", {}, ""),
    ("series", {"series": "data.x"}, "series"),
    ("stat", {"aggregation": {"metric": "avg"}}, "aggregation.field"),
    ("stat", {"aggregation": {"metric": "median"}}, "aggregation.metric"),
    ("stat", {"realtime": {"figure": "luck"}}, "realtime.figure"),
    ("table", {"events": {"severity": ["terrible"]}}, "events.severity.0"),
    ("table", {"events": {"data.x": 4}}, "events"),
    ("topic", {"topic": {"topic": "events", "filter": "temperature >"}}, "topic.filter"),
    ("topic", {"topic": {"topic": "events", "rate": "often"}}, "topic.rate"),
    ("alerts", {"alerts": {"filter": "level >"}}, "alerts.filter"),
    ("text", {"text": 7}, "text"),
]


@pytest.mark.parametrize(("kind", "query"), GOOD)
async def test_a_panel_may_ask_what_the_question_takes(lab: Any, kind: str, query: Any) -> None:
    answer = await lab.admin.post(PATH, json=board(panel(kind, query)))
    assert answer.status_code == 201, answer.text
    assert answer.json()["panels"][0]["query"] == query


async def test_a_panel_that_asks_what_cannot_be_answered_is_refused_with_its_field(lab: Any) -> None:
    for kind, query, field in WRONG:
        answer = await lab.admin.post(PATH, json=board(panel(), panel(kind, query, id="q")))
        assert answer.status_code == 422, (kind, query, answer.text)
        place = ".".join(filter(None, ["panels[1].query", field]))
        assert answer.json()["details"]["field"] == place, answer.text
    assert (await lab.admin.get(PATH)).json()["total"] == 1


async def test_a_dashboard_is_bounded(lab: Any) -> None:
    for panels in (
        [panel(), panel()],
        [panel(position={**PLACE, "x": 20})],
        [panel(id=str(number)) for number in range(65)],
        [panel(options={"a": "x" * 5_000})],
    ):
        assert (await lab.admin.post(PATH, json=board(*panels))).status_code == 422
    large = [panel(query={"text": "x" * 19_000}, id=str(number)) for number in range(20)]
    assert (await lab.admin.post(PATH, json=board(*large))).status_code == 413
