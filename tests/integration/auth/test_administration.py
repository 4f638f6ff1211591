"""What administrators do with accounts, what others may not, and that it takes effect at once."""

import asyncio

import pytest

from weft.core.errors import Conflict
from weft.core.principal import Role

PASSWORD = "correct horse battery"


@pytest.mark.contract("SF-261", "HC-S6")
@pytest.mark.parametrize("role", [Role.USER, Role.OPERATOR])
async def test_only_administrators_see_or_change_accounts(weft, role: Role) -> None:
    victim = await weft.account("victim@example.org")
    headers = await weft.new(role)
    calls = [
        ("GET", "/api/admin/users"),
        ("POST", "/api/admin/users"),
        ("GET", f"/api/admin/users/{victim.id}"),
        ("PATCH", f"/api/admin/users/{victim.id}"),
        ("DELETE", f"/api/admin/users/{victim.id}"),
        ("POST", f"/api/admin/users/{victim.id}/restore"),
        ("GET", f"/users/{victim.id}"),
        ("PATCH", f"/users/{victim.id}"),
        ("DELETE", f"/users/{victim.id}"),
        ("GET", "/api/auth/check-admin"),
    ]
    for method, path in calls:
        answer = await weft.client.request(method, path, headers=headers, json={} if method in {"POST", "PATCH"} else None)
        assert (answer.status_code, answer.json()["error"]) == (403, "PermissionDenied"), path
        assert (await weft.client.request(method, path)).status_code == 401, path


async def test_accounts_are_listed_in_pages(weft) -> None:
    headers = await weft.new(Role.ADMIN)
    for number in range(5):
        weft.clock.advance(1)
        await weft.account(f"n{number}@example.org")
    page = (await weft.client.get("/api/admin/users?skip=2&limit=3", headers=headers)).json()
    assert [user["email"] for user in page["items"]] == ["n1@example.org", "n2@example.org", "n3@example.org"]
    assert (page["total"], page["skip"], page["limit"]) == (6, 2, 3)
    beyond = (await weft.client.get("/api/admin/users?skip=60", headers=headers)).json()
    assert (beyond["items"], beyond["total"], beyond["limit"]) == ([], 6, 25)
    for wrong in ["skip=-1", "limit=0", "limit=501", "limit=x"]:
        assert (await weft.client.get(f"/api/admin/users?{wrong}", headers=headers)).status_code == 422


async def test_an_administrator_makes_an_account_with_a_role(weft) -> None:
    headers = await weft.new(Role.ADMIN)
    made = {"email": "op@example.org", "password": PASSWORD, "role": "operator"}
    answer = await weft.client.post("/api/admin/users", headers=headers, json=made)
    assert (answer.status_code, answer.json()["role"]) == (201, "operator")
    assert "dead-letters:replay" in (await weft.who(await weft.headers("op@example.org"))).json()["scopes"]
    taken = await weft.client.post("/api/admin/users", headers=headers, json=made)
    assert (taken.status_code, taken.json()["detail"]) == (400, "REGISTER_USER_ALREADY_EXISTS")
    unknown = await weft.client.post(
        "/api/admin/users", headers=headers, json={**made, "email": "x@example.org", "is_superuser": 1}
    )
    assert unknown.status_code == 422


@pytest.mark.contract("HC-S3")
@pytest.mark.parametrize("how", ["deactivate", "delete", "password"])
async def test_putting_an_account_out_of_force_takes_effect_on_the_next_request(weft, how: str) -> None:
    admin = await weft.new(Role.ADMIN)
    user = await weft.account()
    tokens = await weft.tokens()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await weft.who(headers)).status_code == 200
    path = f"/api/admin/users/{user.id}"
    if how == "deactivate":
        answer = await weft.client.patch(path, headers=admin, json={"is_active": False})
    elif how == "delete":
        answer = await weft.client.delete(path, headers=admin)
    else:
        answer = await weft.client.patch(path, headers=admin, json={"password": "another good one"})
    assert answer.is_success
    assert (await weft.who(headers)).status_code == 401
    refreshed = await weft.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refreshed.status_code == 401


@pytest.mark.contract("HC-S3")
async def test_what_another_process_does_takes_effect_within_the_stated_seconds(opened) -> None:
    async with opened(cache_s=5) as here, opened(cache_s=5, clock=here.clock) as there:
        user = await here.account()
        headers = await here.headers()
        assert (await here.who(headers)).status_code == 200
        await there.parts.accounts.change(user.id, is_active=False)
        here.clock.advance(5)
        assert (await here.who(headers)).status_code == 401


async def test_a_role_taken_away_is_gone_on_the_next_request(weft) -> None:
    boss = await weft.new(Role.ADMIN)
    other = await weft.account("other@example.org", Role.ADMIN)
    headers = await weft.headers("other@example.org")
    assert (await weft.client.get("/api/admin/users", headers=headers)).status_code == 200
    await weft.client.patch(f"/api/admin/users/{other.id}", headers=boss, json={"role": "user"})
    assert (await weft.client.get("/api/admin/users", headers=headers)).status_code == 403


async def test_an_account_that_comes_back_has_to_sign_in_again(weft) -> None:
    admin = await weft.new(Role.ADMIN)
    user = await weft.account()
    old = await weft.headers()
    path = f"/api/admin/users/{user.id}"
    assert (await weft.client.delete(path, headers=admin)).status_code == 204
    assert (await weft.client.delete(path, headers=admin)).status_code == 404
    listed = (await weft.client.get("/api/admin/users", headers=admin)).json()["items"]
    assert user.id not in [item["id"] for item in listed]
    listed = (await weft.client.get("/api/admin/users?include_deleted=true", headers=admin)).json()["items"]
    assert [item["deleted_at"] is not None for item in listed if item["id"] == user.id] == [True]
    assert (await weft.client.post(f"{path}/restore", headers=admin)).json()["deleted_at"] is None
    assert (await weft.client.post(f"{path}/restore", headers=admin)).status_code == 404
    assert (await weft.who(old)).status_code == 401
    assert (await weft.who(await weft.headers())).status_code == 200


async def test_there_is_always_an_administrator(weft) -> None:
    admin = await weft.new(Role.ADMIN)
    me = (await weft.client.get("/users/me", headers=admin)).json()["id"]
    path = f"/api/admin/users/{me}"
    assert (await weft.client.delete(path, headers=admin)).status_code == 400
    assert (await weft.client.patch(path, headers=admin, json={"is_active": False})).status_code == 400
    answer = await weft.client.patch(path, headers=admin, json={"role": "user"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "LAST_ADMINISTRATOR")
    assert (await weft.client.get("/api/admin/users", headers=admin)).status_code == 200


@pytest.mark.parametrize("user_id", ["nobody", "0", "' OR 1=1 --", "me%00"])
async def test_an_unknown_account_is_not_found(weft, user_id: str) -> None:
    admin = await weft.new(Role.ADMIN)
    answer = await weft.client.get(f"/api/admin/users/{user_id}", headers=admin)
    assert answer.status_code in ({404, 422} if "%00" in user_id else {404})  # PostgreSQL takes no NUL, not even in a question


async def test_a_reverse_proxy_can_ask_whether_somebody_is_an_administrator(weft) -> None:
    answer = await weft.client.get("/api/auth/check-admin", headers=await weft.new(Role.ADMIN))
    assert (answer.status_code, answer.json()) == (200, {"email": "admin@example.org"})


async def test_of_two_administrators_who_dismiss_each_other_at_once_one_stays(weft) -> None:
    admins = [await weft.account(f"{name}@example.org", Role.ADMIN) for name in ("a", "b")]
    results = await asyncio.gather(
        *(weft.parts.accounts.change(admin.id, role=Role.USER) for admin in admins), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1


async def test_an_administrator_sets_everything_at_once(weft) -> None:
    admin = await weft.new(Role.ADMIN)
    user = await weft.account()
    await weft.account("taken@example.org")
    path = f"/users/{user.id}"
    taken = await weft.client.patch(path, headers=admin, json={"email": "taken@example.org"})
    assert (taken.status_code, taken.json()["detail"]) == (400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
    weak = await weft.client.patch(path, headers=admin, json={"password": "short"})
    assert (weak.status_code, weak.json()["detail"]["code"]) == (400, "UPDATE_USER_INVALID_PASSWORD")
    weak = await weft.client.post("/api/admin/users", headers=admin, json={"email": "x@example.org", "password": "short"})
    assert (weak.status_code, weak.json()["detail"]["code"]) == (400, "REGISTER_INVALID_PASSWORD")
    change = {"email": "new@example.org", "password": "another good one", "role": "operator", "is_verified": True}
    body = (await weft.client.patch(path, headers=admin, json=change)).json()
    assert (body["email"], body["role"], body["is_verified"], body["is_active"]) == ("new@example.org", "operator", True, True)
    assert await weft.tokens("new@example.org", "another good one")
