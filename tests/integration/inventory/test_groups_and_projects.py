"""Groups and projects: who is in them, and what an account belongs to."""

from uuid import uuid4

import pytest

from tests.integration.inventory.conftest import Site

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@BOTH
@pytest.mark.contract("SW-12", "SW-groups")
async def test_accounts_are_put_into_groups_and_taken_out(site: Site) -> None:
    group = await site.make("groups")
    assert sorted(group) == ["created_at", "description", "id", "name", "updated_at"]
    members = f"/api/groups/{group['id']}/members"
    added = await site.admin.post(members, {"user_id": site.user.id})
    assert added == {"group_id": group["id"], "user_id": site.user.id, "email": "ada@example.org"}
    assert (await site.admin.post(members, {"user_id": site.user.id}, 409))["detail"] == "User already in group"
    site.clock.advance(1)
    await site.admin.post(members, {"user_id": site.admin.id})
    assert [row["email"] for row in await site.admin.get(members)] == ["ada@example.org", "admin@example.org"]
    assert [row["email"] for row in await site.admin.get(members, skip=1, limit=1)] == ["admin@example.org"]
    assert (await site.admin.post(members, {"user_id": str(uuid4())}, 404))["detail"] == "User not found"
    await site.admin.post(f"/api/groups/{uuid4()}/members", {"user_id": site.user.id}, 404)
    await site.admin.delete(f"{members}/{site.user.id}")
    await site.admin.delete(f"{members}/{site.user.id}", 404)
    for path in (members, f"{members}/{site.admin.id}"):
        await site.user.ask("DELETE" if path != members else "GET", path, 403)


@BOTH
@pytest.mark.contract("SW-12", "SW-projects")
async def test_accounts_and_groups_are_put_into_projects_and_taken_out(site: Site) -> None:
    project, group = await site.make("projects"), await site.make("groups")
    members = f"/api/projects/{project['id']}/members"
    one = await site.admin.post(members, {"member_type": "user", "member_id": site.user.id})
    assert (one["project_id"], one["member_type"], one["member_id"]) == (project["id"], "user", site.user.id)
    assert one["email"] == "ada@example.org"
    site.clock.advance(1)
    two = await site.admin.post(members, {"member_type": "group", "member_id": group["id"]})
    assert two["email"] is None
    assert await site.admin.get(members) == [one, two]
    await site.admin.post(members, {"member_type": "group", "member_id": group["id"]}, 409)
    await site.admin.post(members, {"member_type": "robot", "member_id": group["id"]}, 422)
    await site.admin.delete(f"{members}/{site.user.id}")
    await site.admin.delete(f"{members}/{two['id']}")
    await site.admin.delete(f"{members}/{two['id']}", 404)
    assert await site.admin.get(members) == []


@pytest.mark.parametrize("member_type", ["user", "group"])
async def test_a_member_that_is_not_there_is_refused(site: Site, member_type: str) -> None:
    """StreamWeave took any id."""
    project = await site.make("projects")
    body = {"member_type": member_type, "member_id": str(uuid4())}
    refused = await site.admin.post(f"/api/projects/{project['id']}/members", body, 404)
    assert refused["detail"] == f"{member_type.capitalize()} not found"
    wrong = {"member_type": "group" if member_type == "user" else "user", "member_id": site.user.id}
    if member_type == "user":
        await site.admin.post(f"/api/projects/{project['id']}/members", wrong, 404)


@BOTH
@pytest.mark.contract("SW-api-me", "SW-admin-users-groups", "SW-admin-users-projects")
async def test_an_account_says_what_it_belongs_to_each_once_and_nothing_that_is_deleted(site: Site) -> None:
    group, gone = await site.make("groups"), await site.make("groups")
    direct, through, both, lost = [await site.make("projects") for _ in range(4)]
    for each in (group, gone):
        await site.admin.post(f"/api/groups/{each['id']}/members", {"user_id": site.user.id})
    pairs = [(direct, "user", site.user.id), (through, "group", group["id"]), (both, "user", site.user.id)]
    pairs += [(both, "group", group["id"]), (lost, "group", gone["id"])]
    for project, member_type, member_id in pairs:
        body = {"member_type": member_type, "member_id": member_id}
        await site.admin.post(f"/api/projects/{project['id']}/members", body)
    await site.admin.delete(f"/api/groups/{gone['id']}")

    me = await site.user.get("/api/me")
    assert me == {**await site.user.get("/users/me"), "groups": [group], "projects": [direct, through, both]}
    assert await site.admin.get(f"/api/admin/users/{site.user.id}/groups") == [group]
    assert await site.admin.get(f"/api/admin/users/{site.user.id}/projects") == [direct, both]
    assert (await site.admin.get(f"/api/admin/users/{uuid4()}/groups", 404))["detail"] == "User not found"
    await site.user.get(f"/api/admin/users/{site.user.id}/groups", 403)
    await site.stranger.get("/api/me", 401)
    await site.admin.delete(f"/api/projects/{both['id']}")
    assert (await site.user.get("/api/me"))["projects"] == [direct, through]
    await site.admin.ask("POST", f"/api/groups/{gone['id']}/restore")
    assert (await site.user.get("/api/me"))["projects"] == [direct, through, lost]


async def test_who_is_deleted_is_in_nothing_until_they_come_back(site: Site) -> None:
    group, project = await site.make("groups"), await site.make("projects")
    await site.admin.post(f"/api/groups/{group['id']}/members", {"user_id": site.user.id})
    await site.admin.post(f"/api/projects/{project['id']}/members", {"member_type": "user", "member_id": site.user.id})
    await site.admin.delete(f"/api/admin/users/{site.user.id}")
    assert await site.admin.get(f"/api/groups/{group['id']}/members") == []
    assert await site.admin.get(f"/api/projects/{project['id']}/members") == []
    other = await site.make("groups")
    await site.admin.post(f"/api/groups/{other['id']}/members", {"user_id": site.user.id}, 404)
    await site.admin.ask("POST", f"/api/admin/users/{site.user.id}/restore")
    assert len(await site.admin.get(f"/api/groups/{group['id']}/members")) == 1
