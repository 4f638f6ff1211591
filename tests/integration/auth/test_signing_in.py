"""Signing in by form, JSON and cookie; what the answer says; what a failure does not say."""

import asyncio
import base64
import json

import pytest

from weft.core.principal import Role
from weft.core.times import HOUR_US
from weft.db.database import Database

FORM = {"username": "ada@example.org", "password": "correct horse battery"}


@pytest.mark.contract("SF-254", "SF-255", "SF-256", "SF-257", "SF-259", "SF-D7")
async def test_a_json_login_answers_with_a_bearer_token_for_thirty_minutes(weft) -> None:
    await weft.account()
    answer = await weft.client.post("/auth/login", json=FORM)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in body["access_token"].split(".")[:2])
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert claims["exp"] - claims["iat"] == 1800
    assert body["refresh_expires_in"] == 14 * 86400
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.contract("SF-D5", "SF-D6")
@pytest.mark.parametrize("path", ["/auth/jwt/login", "/api/v1/auth/token"])
async def test_the_same_account_signs_in_by_form(weft, path: str) -> None:
    await weft.account()
    answer = await weft.client.post(path, data=FORM)
    assert answer.status_code == 200
    assert set(answer.json()) >= {"access_token", "token_type", "expires_in", "refresh_token"}


@pytest.mark.contract("SF-D5")
async def test_the_wrong_kind_of_body_is_refused_not_guessed(weft) -> None:
    await weft.account()
    assert (await weft.client.post("/auth/login", data=FORM)).status_code == 422
    assert (await weft.client.post("/auth/jwt/login", json=FORM)).status_code == 422


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/auth/jwt/login", "data", 400),
        ("/auth/cookie/login", "data", 400),
        ("/auth/login", "json", 401),
        ("/api/v1/auth/token", "data", 401),
    ],
)
async def test_wrong_credentials_are_told_as_each_client_knows_it(weft, path: str, form: str, status: int) -> None:
    await weft.account()
    answer = await weft.client.post(path, **{form: {**FORM, "password": "wrong"}})
    assert answer.status_code == status
    assert answer.json()["detail"] == "LOGIN_BAD_CREDENTIALS"
    assert set(answer.json()) >= {"error", "message", "details", "timestamp", "correlation_id"}


@pytest.mark.contract("HC-S4")
async def test_unknown_wrong_deactivated_and_deleted_accounts_are_told_apart_by_nobody(weft) -> None:
    await weft.account()
    asleep = await weft.account("asleep@example.org")
    await weft.parts.accounts.change(asleep.id, is_active=False)
    gone = await weft.account("gone@example.org")
    await weft.parts.accounts.delete(gone.id)
    answers = []
    for email, password in [
        ("ada@example.org", "wrong"),
        ("nobody@example.org", FORM["password"]),
        ("asleep@example.org", FORM["password"]),
        ("gone@example.org", FORM["password"]),
        ("ada@example.org", "x" * 4000),
        ("", ""),
    ]:
        answer = await weft.client.post("/auth/login", json={"username": email, "password": password})
        body = answer.json()
        answers.append((answer.status_code, body["error"], body["message"], json.dumps(body["details"])))
    assert len(set(answers)) == 1


async def test_an_address_is_found_however_it_is_written(weft) -> None:
    await weft.account("Ada@Example.org")
    assert (await weft.tokens(" ADA@example.ORG "))["access_token"]


@pytest.mark.contract("SF-47", "SF-258", "SF-246")
async def test_a_token_is_asked_for_and_an_expired_one_refused(weft) -> None:
    await weft.account()
    headers = await weft.headers()
    assert (await weft.who({})).status_code == 401
    assert (await weft.who({})).headers["www-authenticate"] == "Bearer"
    assert (await weft.who(headers)).status_code == 200
    weft.clock.advance(30 * 60 - 1)
    assert (await weft.who(headers)).status_code == 200
    weft.clock.advance(1)
    answer = await weft.who(headers)
    assert answer.status_code == 401
    assert "expired" in answer.json()["message"]


async def test_a_session_says_who_and_what_and_until_when(weft) -> None:
    user = await weft.account()
    body = (await weft.who(await weft.headers())).json()
    assert body["id"] == user.id
    assert (body["kind"], body["name"], body["role"], body["auth_method"]) == ("user", "ada@example.org", "user", "token")
    assert body["scopes"] == [
        "alerts:read",
        "dashboards:write",
        "events:read",
        "events:write",
        "inventory:read",
        "queries:read",
        "verdict:read",
    ]
    assert body["csrf_token"] is None
    assert body["version"] == "1.2.3"
    assert body["server_time"] == "2026-05-28T20:26:40Z"
    assert body["expires_at"] == "2026-05-28T20:56:40Z"


@pytest.mark.contract("HC-S3")
@pytest.mark.parametrize("path", ["/auth/logout", "/auth/jwt/logout"])
async def test_signing_out_ends_the_access_token_and_the_refresh_token(weft, path: str) -> None:
    await weft.account()
    tokens = await weft.tokens()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await weft.who(headers)).status_code == 200  # remembered by now
    assert (await weft.client.post(path, headers=headers)).status_code == 204
    assert (await weft.who(headers)).status_code == 401
    answer = await weft.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 401


async def test_signing_out_here_leaves_the_other_device_signed_in(weft) -> None:
    await weft.account()
    here, there = await weft.headers(), await weft.headers()
    await weft.client.post("/auth/logout", headers=here)
    assert (await weft.who(there)).status_code == 200


@pytest.mark.contract("SF-260")
async def test_a_refresh_token_is_replaced_at_each_use(weft) -> None:
    await weft.account()
    first = await weft.tokens()
    weft.clock.advance(40 * 60)
    answer = await weft.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    second = answer.json()
    assert answer.status_code == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert (await weft.who({"Authorization": f"Bearer {second['access_token']}"})).status_code == 200


@pytest.mark.contract("SF-260", "HC-S3")
async def test_a_refresh_token_used_twice_ends_the_whole_family(weft) -> None:
    await weft.account()
    stolen = (await weft.tokens())["refresh_token"]
    thief = (await weft.client.post("/auth/refresh", json={"refresh_token": stolen})).json()
    assert (await weft.who({"Authorization": f"Bearer {thief['access_token']}"})).status_code == 200
    owner = await weft.client.post("/auth/refresh", json={"refresh_token": stolen})
    assert owner.status_code == 401
    assert "used before" in owner.json()["message"]
    assert (await weft.who({"Authorization": f"Bearer {thief['access_token']}"})).status_code == 401
    again = await weft.client.post("/auth/refresh", json={"refresh_token": thief["refresh_token"]})
    assert again.status_code == 401


async def test_of_many_refreshes_at_once_exactly_one_wins_and_the_family_ends(weft) -> None:
    await weft.account()
    token = (await weft.tokens())["refresh_token"]
    answers = await asyncio.gather(*(weft.client.post("/auth/refresh", json={"refresh_token": token}) for _ in range(8)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.status_code for answer in answers} == {200, 401}
    after = await weft.client.post("/auth/refresh", json={"refresh_token": won[0].json()["refresh_token"]})
    assert after.status_code == 401


async def test_a_refresh_token_left_alone_too_long_is_refused_and_so_is_a_session_too_old(opened) -> None:
    async with opened(refresh_days=2, session_days=3) as weft:
        await weft.account()
        unused = (await weft.tokens())["refresh_token"]
        weft.clock.advance(2 * 86400)
        assert (await weft.client.post("/auth/refresh", json={"refresh_token": unused})).status_code == 401
        token = (await weft.tokens())["refresh_token"]
        for _ in range(2):
            weft.clock.advance(86400)
            answer = await weft.client.post("/auth/refresh", json={"refresh_token": token})
            assert answer.status_code == 200
            token = answer.json()["refresh_token"]
        weft.clock.advance(86400)
        assert (await weft.client.post("/auth/refresh", json={"refresh_token": token})).status_code == 401


async def test_a_made_up_refresh_token_ends_nobody(weft) -> None:
    await weft.account()
    headers = await weft.headers()
    for token in ["", "x", "x" * 256, "' OR 1=1 --"]:
        assert (await weft.client.post("/auth/refresh", json={"refresh_token": token})).status_code == 401
    assert (await weft.who(headers)).status_code == 200


async def test_sessions_long_over_are_swept_away(weft) -> None:
    await weft.account()
    await weft.tokens()
    weft.clock.advance((90 + 31) * 24 * HOUR_US / 1e6)
    await weft.tokens()
    database: Database = weft.parts.database
    async with database.reading() as session:
        connection = await session.connection()
        left = [
            (await connection.exec_driver_sql(f"SELECT count(*) FROM {t}")).scalar() for t in ("sessions", "refresh_tokens")
        ]
    assert left == [1, 1]


@pytest.mark.contract("HC-S5", "HC-S29")
async def test_nothing_in_the_database_file_can_be_used_to_sign_in(weft) -> None:
    await weft.account()
    tokens = await weft.tokens()
    cookie = (await weft.client.post("/auth/cookie/login", data=FORM)).cookies["weft_session"]
    weft.client.cookies.clear()
    admin = await weft.new(Role.ADMIN)
    made = await weft.client.post("/api/v1/api-keys", headers=admin, json={"name": "k", "scopes": ["events:write"]})
    secret = made.json()["key"].split("_", 2)[2]
    await weft.parts.database.close()
    raw = b"".join(file.read_bytes() for file in weft.parts.database.file.parent.glob("weft.db*"))
    for text in [FORM["password"], tokens["refresh_token"], tokens["access_token"], cookie, secret]:
        assert text.encode() not in raw


@pytest.mark.contract("HC-346")
async def test_the_api_document_tells_tools_where_to_sign_in(weft) -> None:
    schemes = weft.app.openapi()["components"]["securitySchemes"]
    flow = schemes["password"]["flows"]["password"]
    answer = await weft.client.post(flow["tokenUrl"], data={"username": "x", "password": "x"})
    assert schemes["password"]["type"] == "oauth2"
    assert answer.json()["detail"] == "LOGIN_BAD_CREDENTIALS"
