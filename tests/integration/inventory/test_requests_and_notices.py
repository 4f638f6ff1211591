"""Requests for instruments, and what each side is told."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.inventory.conftest import Person, Site
from weft.core.principal import Role, Scope
from weft.inventory.request import MOST_PENDING

PATH = "/api/instrument-requests"
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
WISH = {"name": "HPLC 3", "location": "B 2.14", "harvest_frequency": "daily", "justification": "we lose its files"}


async def notices(person: Person, **page: Any) -> list[Any]:
    found: list[Any] = await person.get("/api/notifications", **page)
    return found


async def count(person: Person) -> int:
    return int((await person.get("/api/notifications/unread-count"))["count"])


@BOTH
@pytest.mark.contract("SW-14", "SW-instrument-requests")
async def test_a_user_asks_every_administrator_hears_and_the_user_hears_what_was_decided(site: Site) -> None:
    second = await site.person("grace@example.org", Role.ADMIN)
    away = await site.person("old@example.org", Role.ADMIN)
    await site.admin.delete(f"/api/admin/users/{away.id}")
    made = await site.user.post(PATH, {**WISH, "description": "third floor"})
    assert (made["requester_id"], made["requester_email"]) == (site.user.id, "ada@example.org")
    assert (made["status"], made["admin_notes"], made["description"]) == ("pending", None, "third floor")
    for admin in (site.admin, second):
        (notice,) = await notices(admin)
        assert (notice["recipient_id"], notice["read"], notice["dismissed_at"]) == (admin.id, False, None)
        assert "HPLC 3" in notice["message"]
        assert "ada@example.org" in notice["message"]
    assert await notices(site.user) == []
    decided = await site.admin.patch(f"{PATH}/{made['id']}", {"status": "approved", "admin_notes": "next week"})
    assert (decided["status"], decided["admin_notes"]) == ("approved", "next week")
    (notice,) = await notices(site.user)
    assert (notice["type"], "approved" in notice["message"]) == ("instrument_request_approved", True)
    assert (await site.admin.get("/api/instruments"))["total"] == 0
    assert ("create", "instrument_request") in site.witness.told()
    assert ("update", "instrument_request") in site.witness.told()


async def test_a_request_that_is_opened_again_is_not_called_rejected(site: Site) -> None:
    made = await site.user.post(PATH, WISH)
    one = f"{PATH}/{made['id']}"
    for status, word in (("rejected", "rejected"), ("pending", "open again"), ("approved", "approved")):
        site.clock.advance(1)
        await site.admin.patch(one, {"status": status})
        assert word in (await notices(site.user))[0]["message"]
    await site.admin.patch(one, {"admin_notes": "only a note"})
    assert len(await notices(site.user)) == 3
    for wrong in ({"status": "maybe"}, {"status": None}, {"name": "other"}):
        await site.admin.patch(one, wrong, 422)


@BOTH
async def test_requests_are_seen_by_who_made_them_and_by_administrators(site: Site) -> None:
    bob = await site.person("bob@example.org")
    ids: list[str] = []
    for person in (site.user, bob, site.user):
        site.clock.advance(1)
        ids.append((await person.post(PATH, WISH))["id"])
    assert [row["id"] for row in (await site.admin.get(PATH))["items"]] == ids[::-1]
    mine = await site.user.get(PATH, limit=1)
    assert ([row["id"] for row in mine["items"]], mine["total"]) == ([ids[2]], 2)
    await site.user.get(f"{PATH}/{ids[0]}")
    await site.admin.get(f"{PATH}/{ids[0]}")
    await bob.get(f"{PATH}/{ids[0]}", 403)
    assert (await bob.get(f"{PATH}/{uuid4()}", 404))["detail"] == "Instrument request not found"
    await bob.patch(f"{PATH}/{ids[1]}", {"status": "approved"}, 403)
    for method, path in (("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/{ids[0]}")):
        await site.stranger.ask(method, path, 401, json=WISH)


@pytest.mark.parametrize("name", list(WISH))
@pytest.mark.parametrize("value", [None, "", "a\x00b"])
async def test_a_request_says_everything_it_has_to(site: Site, name: str, value: object) -> None:
    assert (await site.user.post(PATH, {**WISH, name: value}, 422))["details"]["field"] == name


async def test_one_person_cannot_bury_the_administrators_in_requests(site: Site) -> None:
    for _ in range(MOST_PENDING):
        await site.parts.requests.submit(dict(WISH), requester_id=site.user.id)
    await site.user.post(PATH, WISH, 413)


@BOTH
@pytest.mark.contract("SW-15", "SW-notifications")
async def test_notices_are_read_and_dismissed_by_whom_they_are_for(site: Site) -> None:
    for _ in range(3):
        site.clock.advance(1)
        await site.user.post(PATH, WISH)
    newest, middle, oldest = await notices(site.admin)
    assert newest["created_at"] > middle["created_at"] > oldest["created_at"]
    assert await count(site.admin) == 3
    read = await site.admin.ask("POST", f"/api/notifications/{newest['id']}/read")
    assert read == {**newest, "read": True}
    assert [row["id"] for row in await notices(site.admin)] == [middle["id"], oldest["id"], newest["id"]], "unread come first"
    dismissed = await site.admin.ask("POST", f"/api/notifications/{middle['id']}/dismiss")
    assert dismissed["dismissed_at"] is not None
    assert [row["id"] for row in await notices(site.admin)] == [oldest["id"], newest["id"]]
    assert await count(site.admin) == 1
    assert [row["id"] for row in await notices(site.admin, skip=1, limit=1)] == [newest["id"]]
    for verb in ("read", "dismiss"):
        await site.user.ask("POST", f"/api/notifications/{oldest['id']}/{verb}", 403)
        unknown = await site.admin.ask("POST", f"/api/notifications/{uuid4()}/{verb}", 404)
        assert unknown["detail"] == "Notification not found"
        await site.stranger.ask("POST", f"/api/notifications/{oldest['id']}/{verb}", 401)
    await site.user.patch(f"{PATH}/x", {}, 403)
    assert await site.admin.ask("POST", "/api/notifications/read-all") == {"ok": True}
    assert await count(site.admin) == 0


async def test_read_all_reads_only_ones_own(site: Site) -> None:
    await site.user.post(PATH, WISH)
    assert await site.user.ask("POST", "/api/notifications/read-all") == {"ok": True}
    assert await count(site.admin) == 1


async def test_no_more_than_fifty_notices_are_shown_unasked(site: Site) -> None:
    for _ in range(60):
        await site.parts.requests.submit(dict(WISH), requester_id=site.user.id)
    assert (len(await notices(site.admin)), len(await notices(site.admin, limit=100))) == (50, 60)


async def test_a_key_is_nobody_who_could_be_told_anything(site: Site) -> None:
    scopes = frozenset({Scope.INVENTORY_READ})
    _, key = await site.auth.api_keys.create(owner_id=site.user.id, name="script", scopes=scopes, may_give=Scope)
    for path in ("/api/notifications", PATH, "/api/me"):
        await site.stranger.ask("GET", path, 403, headers={"X-API-Key": key})
