"""What every kind of thing in the inventory has in common: who may ask, how it is listed, deleted and restored."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.integration.inventory.conftest import Site
from weft.core.principal import Role, Scope

NOUNS = {
    "instruments": "Instrument",
    "service-accounts": "Service account",
    "storage-locations": "Storage location",
    "schedules": "Schedule",
    "hooks": "Hook",
    "groups": "Group",
    "projects": "Project",
}
NAMED = [kind for kind in NOUNS if kind != "schedules"]
SWITCHED = ("instruments", "storage-locations", "schedules", "hooks")
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@pytest.mark.contract("SW-instruments", "SW-service-accounts", "SW-storage-locations", "SW-schedules", "SW-hooks")
@pytest.mark.contract("SW-groups", "SW-projects", "SW-uuid")
@pytest.mark.parametrize("thing", NOUNS)
async def test_a_thing_is_made_read_changed_deleted_and_restored(site: Site, thing: str) -> None:
    body = await site.body(thing)
    made = await site.admin.post(f"/api/{thing}", body)
    one = f"/api/{thing}/{made['id']}"
    assert {name: made.get(name) for name in body if name != "password"} == {
        name: value for name, value in body.items() if name != "password"
    }
    assert await site.admin.get(one) == made
    site.clock.advance(60)
    change = (
        {"description": "other"} if "description" in made else {"enabled": False} if "enabled" in made else {"domain": "LAB"}
    )
    changed = await site.admin.patch(one, change)
    assert changed == {**made, **change, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]
    await site.admin.delete(one)
    await site.admin.get(one, 404)
    restored = await site.admin.ask("POST", f"{one}/restore")
    assert restored["id"] == made["id"]
    await site.admin.ask("POST", f"{one}/restore", 404)


@pytest.mark.contract("SW-401")
@pytest.mark.parametrize("thing", NOUNS)
async def test_strangers_are_401_users_403_and_what_is_not_there_404_in_the_words_clients_know(site: Site, thing: str) -> None:
    made = await site.make(thing)
    one = f"/api/{thing}/{made['id']}"
    for method, path in (("GET", one), ("PATCH", one), ("DELETE", one), ("POST", f"{one}/restore"), ("POST", f"/api/{thing}")):
        nobody = await site.stranger.ask(method, path, 401, json={})
        assert (nobody["detail"], nobody["error"]) == ("Unauthorized", "AuthenticationError")
        refused = await site.user.ask(method, path, 403, json={})
        assert (refused["detail"], refused["error"]) == ("Admin access required", "PermissionDenied")
        assert refused["correlation_id"]
    assert await site.admin.get(one) == made, "somebody who may not has changed it"
    absent = await site.admin.get(f"/api/{thing}/{uuid4()}", 404)
    assert (absent["detail"], absent["error"]) == (f"{NOUNS[thing]} not found", "NotFound")
    await site.admin.get(f"/api/{thing}/nonsense", 422)


@pytest.mark.contract("SW-envelope")
@pytest.mark.parametrize("thing", [thing for thing in NOUNS if thing != "service-accounts"])
async def test_a_list_is_paged_in_the_order_things_were_made(site: Site, thing: str) -> None:
    ids = [(await site.make(thing))["id"] for _ in range(5)]
    first = await site.admin.get(f"/api/{thing}")
    assert ([item["id"] for item in first["items"]], first["total"], first["skip"], first["limit"]) == (ids, 5, 0, 25)
    page = await site.admin.get(f"/api/{thing}", skip=1, limit=2)
    assert ([item["id"] for item in page["items"]], page["total"], page["skip"], page["limit"]) == (ids[1:3], 5, 1, 2)
    beyond = await site.admin.get(f"/api/{thing}", skip=9)
    assert (beyond["items"], beyond["total"]) == ([], 5)
    for wrong in ({"limit": 0}, {"limit": 501}, {"skip": -1}):
        await site.admin.get(f"/api/{thing}", 422, **wrong)


@pytest.mark.contract("SW-service-accounts")
async def test_the_bare_list_of_service_accounts_can_be_paged(site: Site) -> None:
    ids = [(await site.make("service-accounts"))["id"] for _ in range(3)]
    assert [item["id"] for item in await site.admin.get("/api/service-accounts")] == ids
    assert [item["id"] for item in await site.admin.get("/api/service-accounts", skip=1, limit=1)] == ids[1:2]


@BOTH
@pytest.mark.contract("SW-17", "SW-restore")
@pytest.mark.parametrize("thing", SWITCHED)
async def test_what_is_deleted_is_off_and_out_of_sight_and_comes_back_off(site: Site, thing: str) -> None:
    made = await site.make(thing)
    assert made["enabled"] is True
    other = await site.make(thing)
    one = f"/api/{thing}/{made['id']}"
    await site.admin.delete(one)
    assert [item["id"] for item in (await site.admin.get(f"/api/{thing}"))["items"]] == [other["id"]]
    with_deleted = await site.admin.get(f"/api/{thing}", include_deleted=True)
    assert [item["id"] for item in with_deleted["items"]] == [made["id"], other["id"]]
    assert with_deleted["items"][0]["deleted_at"] is not None
    await site.admin.patch(one, {"enabled": True}, 404)
    await site.admin.delete(one, 404)
    restored = await site.admin.ask("POST", f"{one}/restore")
    assert (restored["enabled"], restored["deleted_at"]) == (False, None)


@BOTH
@pytest.mark.parametrize("thing", NAMED)
async def test_a_name_belongs_to_one_thing_deleted_ones_included(site: Site, thing: str) -> None:
    first = await site.make(thing, name="Größe A")
    taken = await site.admin.post(f"/api/{thing}", await site.body(thing, name="GRÖSSE A"), 409)
    assert (taken["error"], taken["details"]["id"]) == ("Conflict", first["id"])
    second = await site.make(thing, name="B")
    await site.admin.patch(f"/api/{thing}/{second['id']}", {"name": "größe a"}, 409)
    await site.admin.patch(f"/api/{thing}/{first['id']}", {"name": "GRÖßE A"})  # its own, written another way
    await site.admin.delete(f"/api/{thing}/{first['id']}")
    deleted = await site.admin.post(f"/api/{thing}", await site.body(thing, name="Größe A"), 409)
    assert "restore" in deleted["message"]


@pytest.mark.parametrize("thing", NOUNS)
async def test_a_change_that_says_null_where_something_has_to_be_is_422_and_not_500(site: Site, thing: str) -> None:
    made = await site.make(thing)
    for name in await site.body(thing):
        if name not in {"config", "builtin_name"}:
            refused = await site.admin.patch(f"/api/{thing}/{made['id']}", {name: None}, 422)
            assert refused["details"]["field"] == name
    assert await site.admin.get(f"/api/{thing}/{made['id']}") == made


@pytest.mark.contract("SW-patch")
@pytest.mark.parametrize("thing", NOUNS)
async def test_what_was_read_can_be_sent_back_unchanged(site: Site, thing: str) -> None:
    """The forms of StreamWeave send every field; it answered 500 wherever one of them was an id."""
    made = await site.make(thing)
    site.witness.deeds.clear()
    site.clock.advance(60)
    assert await site.admin.patch(f"/api/{thing}/{made['id']}", made) == made
    assert site.witness.deeds == [], "nothing was changed, so nothing happened"


@pytest.mark.parametrize("thing", NOUNS)
async def test_a_misspelt_field_is_told_and_not_dropped(site: Site, thing: str) -> None:
    refused = await site.admin.post(f"/api/{thing}", await site.body(thing, enbaled=True), 422)
    assert refused["details"]["field"] == "enbaled"


async def test_every_signed_in_user_lists_instruments_and_locations_and_nothing_else(site: Site) -> None:
    for thing in NOUNS:
        expected = 200 if thing in {"instruments", "storage-locations"} else 403
        await site.user.get(f"/api/{thing}", expected)
        await site.stranger.get(f"/api/{thing}", 401)
    await site.user.get("/api/instruments", 403, include_deleted=True)
    await site.user.get("/api/storage-locations", 403, include_deleted=True)


async def test_an_operator_manages_nothing_and_a_key_only_what_its_scopes_say(site: Site) -> None:
    operator = await site.person("olga@example.org", Role.OPERATOR)
    await operator.post("/api/groups", {"name": "mine"}, 403)
    keys = site.auth.api_keys
    scopes = frozenset({Scope.INVENTORY_READ, Scope.INVENTORY_MANAGE})
    _, key = await keys.create(owner_id=site.admin.id, name="script", scopes=scopes, may_give=Scope)
    account = await site.make("service-accounts")
    headers = {"X-API-Key": key}
    await site.stranger.ask("GET", f"/api/service-accounts/{account['id']}", headers=headers)
    await site.stranger.ask("GET", f"/api/service-accounts/{account['id']}/password", 403, headers=headers)


async def test_who_is_deleted_or_signed_out_is_let_in_no_more(site: Site) -> None:
    grace = await site.person("grace@example.org", Role.ADMIN)
    await grace.get("/api/groups")
    await site.admin.delete(f"/api/admin/users/{grace.id}")
    assert (await grace.get("/api/groups", 401))["detail"] == "Unauthorized"
    again = await site.stranger.ask("POST", "/auth/jwt/login", 400, data={"username": grace.email, "password": "x"})
    assert again["detail"] == "LOGIN_BAD_CREDENTIALS"
    await site.user.ask("POST", "/auth/jwt/logout", 204)
    await site.user.get("/api/instruments", 401)


async def test_nobody_makes_themselves_an_administrator(site: Site) -> None:
    body = {"email": "eve@example.org", "password": "correct horse battery", "role": "admin", "is_superuser": True}
    assert (await site.stranger.post("/auth/register", body))["role"] == "user"
    assert (await site.user.patch("/users/me", {"role": "admin"}))["role"] == "user"
    await site.user.post("/api/groups", {"name": "mine"}, 403)


@BOTH
async def test_pages_are_found_by_an_index_however_many_things_there_are(site: Site, kind: str) -> None:
    async with site.database.writing() as session:
        if kind == "postgresql":
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if kind == "sqlite" else "EXPLAIN"
        asked = "SELECT * FROM instruments ORDER BY created_at_us, id LIMIT 25"
        plan: Any = (await session.execute(text(f"{explain} {asked}"))).all()
    assert "ix_instruments_created_at_us_id" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
