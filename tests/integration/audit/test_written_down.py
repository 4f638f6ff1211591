"""Everything administrators change is in the ledger, with who, from where, before and after, and without any secret."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from weft.app.application import compose
from weft.app.plan import make_plan
from weft.app.resources import Resources
from weft.app.settings import AppSettings, Settings
from weft.audit.lines import read_database, write_line
from weft.audit.verify import verify
from weft.auth.settings import AuthSettings
from weft.auth.witness import Action
from weft.core.clock import SystemClock
from weft.core.principal import Role
from weft.core.times import DAY_US, to_text

PASSWORD = "correct horse battery"
LOGS = "/api/admin/audit-logs"


@dataclass(kw_only=True)
class Lab:
    """The whole program in this process, and its first administrator at a client."""

    resources: Resources
    client: httpx.AsyncClient
    admin: dict[str, str]
    admin_id: str

    async def log_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return await self.client.post("/auth/login", json={"username": email, "password": password})

    async def ask(self, method: str, path: str, status: int, **more: Any) -> Any:
        answer = await self.client.request(method, path, headers={**self.admin, **more.pop("headers", {})}, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def entries(self, **filters: Any) -> list[dict[str, Any]]:
        """The oldest first."""
        return (await self.ask("GET", LOGS, 200, params=filters))["items"][::-1]

    async def text(self) -> str:
        """Everything the ledger holds."""
        return b"".join([write_line(line) async for line in read_database(await self.resources.database())]).decode()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    settings = Settings(app=AppSettings(data_dir=tmp_path), auth=AuthSettings(allow_registration=True))
    plan = make_plan(settings)
    async with Resources(settings, plan.needs, clock=SystemClock(), version="0") as resources:
        application = await compose(resources, plan)
        admin = await (await resources.auth()).accounts.create("root@example.org", PASSWORD, role=Role.ADMIN, is_verified=True)
        transport = httpx.ASGITransport(application.asgi, client=("192.0.2.7", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://weft.test") as client:
            signed_in = await client.post("/auth/login", json={"username": admin.email, "password": PASSWORD})
            headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
            lab = Lab(resources=resources, client=client, admin=headers, admin_id=admin.id)
            yield lab
            found = await verify(read_database(await resources.database()), [])
            assert found.ok, found.sentence


def told(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["action"], entry["entity_id"]) for entry in entries]


@pytest.mark.contract("SW-8", "HC-S39")
async def test_accounts(lab: Lab) -> None:
    user = await lab.ask("POST", "/api/admin/users", 201, json={"email": "ada@example.org", "password": PASSWORD})
    path = f"/api/admin/users/{user['id']}"
    await lab.ask("PATCH", path, 200, json={"role": "operator"})
    await lab.ask("PATCH", path, 200, json={"role": "operator"})
    await lab.ask("PATCH", path, 200, json={"password": "another horse battery"})
    await lab.ask("DELETE", path, 204)
    await lab.ask("POST", f"{path}/restore", 200)

    made, promoted, renewed, deleted, restored = await lab.entries(entity_type="user", actor_id=lab.admin_id, skip=0, limit=5)
    assert told([made, promoted, renewed, deleted, restored]) == [
        (action, user["id"]) for action in ("create", "update", "update", "delete", "restore")
    ]
    assert made["changes"]["email"] == {"before": None, "after": "ada@example.org"}
    assert promoted["changes"] == {"role": {"before": "user", "after": "operator"}}
    assert renewed["changes"] == {"password": {"before": "****", "after": "****"}}
    assert deleted["changes"] == {"is_deleted": {"before": False, "after": True}}
    assert restored["changes"] == {"is_deleted": {"before": True, "after": False}}
    assert {entry["actor_email"] for entry in (made, promoted, deleted)} == {"root@example.org"}
    assert {entry["address"] for entry in (made, promoted, deleted)} == {"192.0.2.7"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", made["created_at"])


async def test_who_changes_their_own_account_is_told_too(lab: Lab) -> None:
    await lab.client.post("/auth/register", json={"email": "ada@example.org", "password": PASSWORD})
    headers = {"Authorization": f"Bearer {(await lab.log_in('ada@example.org')).json()['access_token']}"}
    change = {"password": "another horse battery", "current_password": PASSWORD}
    assert (await lab.client.patch("/users/me", headers=headers, json=change)).status_code == 200

    *_, registered, signed_in, renewed = await lab.entries(entity_type="user")
    assert (registered["action"], registered["actor_kind"], registered["address"]) == ("create", "anonymous", "192.0.2.7")
    assert (signed_in["action"], signed_in["actor_email"]) == ("login", "ada@example.org")
    assert (renewed["actor_email"], renewed["entity_id"]) == ("ada@example.org", registered["entity_id"])


@pytest.mark.contract("HC-S39")
async def test_sign_ins_that_succeed_and_that_fail(lab: Lab) -> None:
    await lab.log_in("root@example.org", "wrong horse")
    await lab.log_in("nobody@example.org", "hunter2 hunter2")
    await lab.log_in("hunter2 hunter2")

    (first, *_) = await lab.entries(action="login")
    assert (first["entity_id"], first["actor_id"], first["actor_kind"]) == (lab.admin_id, lab.admin_id, "user")
    failed = await lab.entries(action="login_failed")
    assert [entry["entity_id"] for entry in failed] == [lab.admin_id, None, None]
    assert {(entry["actor_kind"], entry["actor_id"], entry["address"]) for entry in failed} == {
        ("anonymous", None, "192.0.2.7")
    }
    assert "hunter2" not in await lab.text(), "people type their password where the name goes"


async def test_api_keys(lab: Lab) -> None:
    made = await lab.ask("POST", "/api/v1/api-keys", 201, json={"name": "rig", "scopes": ["events:write"]})
    await lab.ask("DELETE", f"/api/v1/api-keys/{made['id']}", 204)
    await lab.ask("DELETE", f"/api/v1/api-keys/{made['id']}", 204)

    created, revoked = await lab.entries(entity_type="api_key")
    assert told([created, revoked]) == [("create", made["id"]), ("revoke", made["id"])]
    assert created["changes"]["scopes"]["after"] == "events:write"
    assert made["key"].split("_", 2)[2] not in await lab.text()


async def test_who_acts_with_a_key_is_the_key(lab: Lab) -> None:
    made = await lab.ask("POST", "/api/v1/api-keys", 201, json={"name": "deployer", "scopes": ["rules:write"]})
    rule = {"name": "hot", "condition": "count > 5", "window": "1m"}
    answer = await lab.client.post("/api/v1/rules", headers={"X-API-Key": made["key"]}, json=rule)
    assert answer.status_code == 201, answer.text

    (entry,) = await lab.entries(entity_type="rule", action="create", actor_id=made["id"])
    assert (entry["actor_kind"], entry["actor_email"]) == ("api_key", "deployer")


async def test_channels_and_never_their_secrets(lab: Lab) -> None:
    hook = {"url": "http://127.0.0.1:9/", "secret": "very secret indeed"}
    made = await lab.ask("POST", "/api/v1/channels", 201, json={"name": "hook", "kind": "webhook", "settings": hook})
    path = f"/api/v1/channels/{made['id']}"
    await lab.ask("PATCH", path, 200, json={"settings": {"secret": "another secret then"}})
    await lab.ask("PATCH", path, 200, json={"enabled": False})
    await lab.ask("PATCH", path, 200, json={"enabled": False})
    await lab.ask("DELETE", path, 204)

    entries = await lab.entries(entity_type="channel")
    assert told(entries) == [(action, made["id"]) for action in ("create", "update", "update", "delete")]
    assert entries[0]["changes"]["settings.secret"] == {"before": None, "after": "****"}
    assert entries[1]["changes"] == {"settings.secret": {"before": "****", "after": "****"}}
    assert entries[2]["changes"] == {"enabled": {"before": True, "after": False}}
    assert entries[3]["changes"]["name"] == {"before": "hook", "after": None}
    whole = await lab.text()
    assert "very secret" not in whole
    assert "another secret" not in whole


async def test_rules_and_silences(lab: Lab) -> None:
    rule = {"name": "hot", "condition": "count > 5", "window": "1m"}
    made = (await lab.ask("POST", "/api/v1/rules", 201, json=rule))["data"]
    await lab.ask("PUT", f"/api/v1/rules/{made['id']}", 200, json={**rule, "condition": "count > 6"})
    await lab.ask("DELETE", f"/api/v1/rules/{made['id']}", 204)
    created, changed, removed = await lab.entries(entity_type="rule", actor_id=lab.admin_id)
    assert told([created, changed, removed]) == [(action, made["id"]) for action in ("create", "update", "delete")]
    assert changed["changes"] == {"condition": {"before": "count > 5", "after": "count > 6"}}

    ends_at = to_text(lab.resources.clock.now_us() + DAY_US)
    body = {"matchers": [{"name": "rule", "value": "hot"}], "ends_at": ends_at}
    silence = (await lab.ask("POST", "/api/v1/silences", 201, json=body))["data"]
    path = f"/api/v1/silences/{silence['id']}"
    await lab.ask("PUT", path, 200, json={**body, "comment": "repair"})
    await lab.ask("DELETE", path, 204)
    entries = await lab.entries(entity_type="silence")
    assert told(entries) == [(action, silence["id"]) for action in ("create", "update", "delete")]
    assert entries[1]["changes"] == {"comment": {"before": None, "after": "repair"}}


async def test_queries_and_dashboards(lab: Lab) -> None:
    query = {"name": "counts", "from": "events", "window": "10s", "select": {"count": "count"}}
    await lab.ask("POST", "/api/v1/queries", 201, json=query)
    await lab.ask("PUT", "/api/v1/queries/counts", 200, json={**query, "window": "20s"})
    await lab.ask("DELETE", "/api/v1/queries/counts", 204)
    entries = await lab.entries(entity_type="query")
    assert told(entries) == [("create", "counts"), ("update", "counts"), ("delete", "counts")]
    assert list(entries[1]["changes"]) == ["window"]

    draft = {"name": "mine", "panels": []}
    made = await lab.ask("POST", "/api/v1/dashboards", 201, json=draft)
    path = f"/api/v1/dashboards/{made['id']}"
    await lab.ask("PUT", path, 200, json={**draft, "shared": True}, headers={"If-Match": "*"})
    await lab.ask("DELETE", path, 204)
    entries = await lab.entries(entity_type="dashboard")
    assert told(entries) == [(action, made["id"]) for action in ("create", "update", "delete")]
    assert entries[1]["changes"] == {"shared": {"before": False, "after": True}}


@pytest.mark.contract("SW-audit-logs")
async def test_the_log_is_asked_by_type_action_actor_and_time_in_pages(lab: Lab) -> None:
    for number in range(3):
        await lab.ask("POST", "/api/v1/api-keys", 201, json={"name": f"key {number}", "scopes": ["events:write"]})

    page = await lab.ask("GET", LOGS, 200)
    assert set(page) == {"items", "total", "skip", "limit"}
    assert (page["skip"], page["limit"], page["total"]) == (0, 50, len(page["items"]))
    fields = {"id", "entity_type", "entity_id", "action", "actor_id", "actor_email", "changes", "created_at"}
    assert all(fields <= set(entry) for entry in page["items"])
    assert [int(entry["id"]) for entry in page["items"]] == list(range(page["total"], 0, -1)), "newest first"

    keys = {"entity_type": "api_key", "action": "create", "actor_id": lab.admin_id}
    second = await lab.ask("GET", LOGS, 200, params={**keys, "skip": 1, "limit": 1})
    assert [entry["changes"]["name"]["after"] for entry in second["items"]] == ["key 1"]
    assert second["total"] == 3
    beyond = await lab.ask("GET", LOGS, 200, params={**keys, "skip": 30})
    assert (beyond["items"], beyond["total"]) == ([], 3)
    for nothing in ({"actor_id": "x"}, {"entity_type": "x"}, {"since": "2999-01-01"}, {"until": "1999-12-31"}):
        assert (await lab.ask("GET", LOGS, 200, params={**keys, **nothing}))["total"] == 0

    newest = page["items"][0]["created_at"]
    today = newest[:10]
    assert (await lab.ask("GET", LOGS, 200, params={"since": today, "until": today}))["total"] == page["total"]
    assert newest not in {entry["created_at"] for entry in await lab.entries(until=newest)}
    for wrong in ({"action": "explode"}, {"since": "yesterday"}, {"limit": 0}, {"limit": 501}, {"skip": -1}):
        await lab.ask("GET", LOGS, 422, params=wrong)


@pytest.mark.contract("SW-audit-logs")
async def test_only_administrators_and_keys_made_for_it_may_read_the_log(lab: Lab) -> None:
    assert (await lab.client.get(LOGS)).status_code == 401
    await lab.ask("POST", "/api/admin/users", 201, json={"email": "op@example.org", "password": PASSWORD, "role": "operator"})
    operator = {"Authorization": f"Bearer {(await lab.log_in('op@example.org')).json()['access_token']}"}
    assert (await lab.client.get(LOGS, headers=operator)).status_code == 403
    auditor = await lab.ask("POST", "/api/v1/api-keys", 201, json={"name": "auditor", "scopes": ["audit:read"]})
    assert (await lab.client.get(LOGS, headers={"X-API-Key": auditor["key"]})).status_code == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await lab.client.request(method, LOGS, headers=lab.admin)).status_code == 405


def test_every_action_the_earlier_system_knew_is_one() -> None:
    assert {"create", "update", "delete", "restore"} <= {action.value for action in Action}


async def test_where_the_ledger_cannot_be_written_nothing_is_changed(lab: Lab) -> None:
    database = await lab.resources.database()
    async with database.writing() as session:
        await (await session.connection()).exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    try:
        made = {"email": "ada@example.org", "password": PASSWORD}
        assert (await lab.client.post("/api/admin/users", headers=lab.admin, json=made)).status_code == 503
        assert (await lab.log_in("root@example.org")).status_code == 503
    finally:
        async with database.writing() as session:
            await (await session.connection()).exec_driver_sql("DROP TRIGGER refuse")
    emails = [user["email"] for user in (await lab.ask("GET", "/api/admin/users", 200))["items"]]
    assert emails == ["root@example.org"]
    assert json.dumps(await lab.entries(action="login")).count('"login"') == 1
