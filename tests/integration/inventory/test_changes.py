"""Every change is known in one place with what was before and after, and is made only where it was written down."""

import asyncio
from typing import Any

import pytest

from tests.integration.inventory.conftest import Site
from weft.core.errors import Unavailable

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
ENTITIES = {
    "instruments": "instrument",
    "service-accounts": "service_account",
    "storage-locations": "storage_location",
    "schedules": "schedule",
    "hooks": "hook",
    "groups": "group",
    "projects": "project",
}


@pytest.mark.parametrize("thing", ENTITIES)
async def test_making_changing_deleting_and_restoring_is_told_with_who_and_what(site: Site, thing: str) -> None:
    made = await site.make(thing)
    one = f"/api/{thing}/{made['id']}"
    site.witness.deeds.clear()
    field, value = ("cron_expression", "1 1 * * *") if thing == "schedules" else ("name", "another")
    await site.admin.patch(one, {field: value})
    await site.admin.delete(one)
    await site.admin.ask("POST", f"{one}/restore")
    update, delete, restore = site.witness.deeds
    assert [deed.action for deed in site.witness.deeds] == ["update", "delete", "restore"]
    for deed in (update, delete, restore):
        assert (deed.entity_type, deed.entity_id) == (ENTITIES[thing], made["id"])
        assert deed.by is not None
        assert (deed.by.id, deed.by.name) == (site.admin.id, "admin@example.org")
    assert update.changes is not None
    assert {name: (one.before, one.after) for name, one in update.changes.items()} == {field: (made[field], value)}
    assert (delete.changes, restore.changes) == (None, None)


@BOTH
async def test_what_cannot_be_written_down_is_not_done(site: Site) -> None:
    made, account = await site.make("instruments"), await site.make("service-accounts")
    group = await site.make("groups")
    site.witness.refuses = Unavailable("the ledger is away")
    await site.admin.post("/api/instruments", await site.body("instruments"), 503)
    await site.admin.patch(f"/api/instruments/{made['id']}", {"description": "x"}, 503)
    await site.admin.delete(f"/api/instruments/{made['id']}", 503)
    await site.admin.patch(f"/api/service-accounts/{account['id']}", {"password": "x"}, 503)
    await site.admin.post(f"/api/groups/{group['id']}/members", {"user_id": site.user.id}, 503)
    await site.user.post(
        "/api/instrument-requests", {"name": "a", "location": "b", "harvest_frequency": "c", "justification": "d"}, 503
    )
    site.witness.refuses = None
    assert (await site.admin.get("/api/instruments"))["items"] == [made]
    assert (await site.admin.get(f"/api/service-accounts/{account['id']}/password"))["password"] != "x"
    assert await site.admin.get(f"/api/groups/{group['id']}/members") == []
    assert await site.admin.get("/api/notifications") == []


async def test_who_joins_and_leaves_is_told(site: Site) -> None:
    group, project = await site.make("groups"), await site.make("projects")
    site.witness.deeds.clear()
    await site.admin.post(f"/api/groups/{group['id']}/members", {"user_id": site.user.id})
    await site.admin.post(f"/api/projects/{project['id']}/members", {"member_type": "group", "member_id": group["id"]})
    await site.admin.delete(f"/api/projects/{project['id']}/members/{group['id']}")
    await site.admin.delete(f"/api/groups/{group['id']}/members/{site.user.id}")
    told: list[Any] = []
    for deed in site.witness.deeds:
        assert deed.changes is not None
        told.append((deed.entity_type, deed.changes["members"].before, deed.changes["members"].after))
    assert told == [
        ("group", None, "ada@example.org"),
        ("project", None, group["name"]),
        ("project", group["name"], None),
        ("group", "ada@example.org", None),
    ]


@BOTH
async def test_of_two_who_take_a_name_at_once_one_is_refused(site: Site) -> None:
    body = await site.body("groups", name="chemists")
    answers = await asyncio.gather(*(site.admin.client.post("/api/groups", json=body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert site.witness.told() == [("create", "group")]
