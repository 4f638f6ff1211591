"""A person's own account: registering, looking, changing, letters."""

from dataclasses import replace

import pytest

from weft.core.errors import Unavailable

PASSWORD = "correct horse battery"
NEW = {"email": "new@example.org", "password": PASSWORD}


@pytest.mark.contract("HC-S7", "HC-S6")
async def test_registering_never_gives_power_however_it_is_asked_for(weft) -> None:
    asked = {"role": "admin", "is_superuser": True, "is_verified": True, "is_active": False, "id": "1", "token_version": 7}
    answer = await weft.client.post("/auth/register", json={**NEW, **asked})
    body = answer.json()
    assert answer.status_code == 201
    assert (body["role"], body["is_superuser"], body["is_verified"], body["is_active"]) == ("user", False, False, True)
    assert body["id"] != "1"
    assert (await weft.who(await weft.headers("new@example.org"))).json()["role"] == "user"


async def test_a_taken_address_is_refused_as_clients_know_it(weft) -> None:
    await weft.client.post("/auth/register", json=NEW)
    answer = await weft.client.post("/auth/register", json={**NEW, "email": "NEW@example.org"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "REGISTER_USER_ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("password", "reason"),
    [("short", "at least 8"), ("password123", "first anybody"), ("aaaaaaaaaa", "first anybody"), ("new@example.org", "e-mail")],
)
async def test_a_password_anybody_would_guess_is_refused_with_the_reason(weft, password: str, reason: str) -> None:
    answer = await weft.client.post("/auth/register", json={**NEW, "password": password})
    assert answer.status_code == 400
    assert answer.json()["detail"]["code"] == "REGISTER_INVALID_PASSWORD"
    assert reason in answer.json()["detail"]["reason"]
    assert password not in answer.text or password == "new@example.org"


@pytest.mark.parametrize("email", ["nonsense", "", "@", "a@", "@b", "a b@c", "a@b\nBcc: c@d", "x" * 65 + "@b", None, 7])
async def test_a_text_that_is_no_address_is_refused(weft, email: object) -> None:
    answer = await weft.client.post("/auth/register", json={**NEW, "email": email})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, "email")


async def test_a_name_inside_the_laboratory_is_an_address(weft) -> None:
    answer = await weft.client.post("/auth/register", json={**NEW, "email": "Ada@lab.local"})
    assert (answer.status_code, answer.json()["email"]) == (201, "ada@lab.local")


async def test_registration_is_closed_in_production_unless_it_is_opened(opened) -> None:
    secret = "kB3v-9dJq_w72hXz-PaLm40sTyUeRi1o"
    async with opened(environment="production", secret_key=secret) as weft:
        answer = await weft.client.post("/auth/register", json=NEW)
        assert (answer.status_code, answer.json()["detail"]) == (403, "REGISTER_CLOSED")
    async with opened(environment="production", secret_key=secret, allow_registration=True) as weft:
        assert (await weft.client.post("/auth/register", json=NEW)).status_code == 201


async def test_registering_in_bulk_is_slowed_down_by_address(weft) -> None:
    statuses = []
    for number in range(22):
        answer = await weft.client.post("/auth/register", json={**NEW, "email": f"n{number}@example.org"})
        statuses.append(answer.status_code)
    assert 429 in statuses
    assert statuses[:20] == [201] * 20


async def test_me_is_who_is_signed_in(weft) -> None:
    user = await weft.account()
    headers = await weft.headers()
    body = (await weft.client.get("/users/me", headers=headers)).json()
    assert (body["id"], body["email"], body["deleted_at"]) == (user.id, "ada@example.org", None)
    assert "password" not in str(body)


@pytest.mark.contract("HC-S7")
async def test_nobody_raises_their_own_role(weft) -> None:
    await weft.account()
    headers = await weft.headers()
    asked = {"role": "admin", "is_superuser": True, "is_verified": True}
    body = (await weft.client.patch("/users/me", headers=headers, json=asked)).json()
    assert (body["role"], body["is_superuser"], body["is_verified"]) == ("user", False, False)


@pytest.mark.parametrize("change", [{"password": "another good one"}, {"email": "else@example.org"}])
async def test_a_stolen_session_cannot_take_the_account_over(weft, change: dict[str, str]) -> None:
    await weft.account()
    headers = await weft.headers()
    for current in [{}, {"current_password": "wrong"}]:
        answer = await weft.client.patch("/users/me", headers=headers, json={**change, **current})
        assert answer.status_code == 400
    assert await weft.tokens()


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(weft) -> None:
    await weft.account()
    here, there = await weft.headers(), await weft.headers()
    change = {"password": "another good one", "current_password": PASSWORD}
    assert (await weft.client.patch("/users/me", headers=here, json=change)).status_code == 200
    assert (await weft.who(here)).status_code == 200
    assert (await weft.who(there)).status_code == 401
    assert (await weft.client.post("/auth/login", json={"username": NEW["email"], "password": PASSWORD})).status_code == 401
    assert await weft.tokens(password="another good one")


async def test_a_new_address_has_to_be_verified_anew_and_free(weft) -> None:
    user = await weft.account()
    await weft.parts.accounts.change(user.id, is_verified=True)
    await weft.account("taken@example.org")
    headers = await weft.headers()
    taken = {"email": "Taken@example.org", "current_password": PASSWORD}
    answer = await weft.client.patch("/users/me", headers=headers, json=taken)
    assert (answer.status_code, answer.json()["detail"]) == (400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
    free = {"email": "else@example.org", "current_password": PASSWORD}
    body = (await weft.client.patch("/users/me", headers=headers, json=free)).json()
    assert (body["email"], body["is_verified"]) == ("else@example.org", False)


@pytest.mark.parametrize("path", ["/auth/forgot-password", "/auth/request-verify-token"])
async def test_without_mail_the_routes_say_so_for_every_address_alike(weft, path: str) -> None:
    await weft.account()
    known = await weft.client.post(path, json={"email": "ada@example.org"})
    unknown = await weft.client.post(path, json={"email": "nobody@example.org"})
    assert known.status_code == unknown.status_code == 501
    assert known.json()["message"] == unknown.json()["message"]
    assert "weft users" in known.json()["message"]


@pytest.mark.parametrize("path", ["/auth/forgot-password", "/auth/request-verify-token"])
async def test_asking_for_a_letter_tells_nobody_whether_there_is_an_account(opened, path: str) -> None:
    async with opened(mail=True) as weft:
        await weft.account()
        answers = [await weft.client.post(path, json={"email": f"{name}@example.org"}) for name in ("ada", "nobody")]
        assert [(answer.status_code, answer.content) for answer in answers] == [(202, b"null")] * 2
        assert [email for _, email, _ in weft.letters] == ["ada@example.org"]


async def test_nobodys_letter_box_is_filled(opened) -> None:
    async with opened(mail=True) as weft:
        await weft.account()
        statuses = [
            (await weft.client.post("/auth/forgot-password", json={"email": "ada@example.org"})).status_code for _ in range(8)
        ]
        assert 429 in statuses
        assert len(weft.letters) <= 6


async def test_a_letter_that_cannot_be_delivered_is_told_to_the_log_alone(opened, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(mail=True) as weft:
        await weft.account()

        async def away(*_: str) -> None:
            raise Unavailable("the mail server does not answer")

        weft.app.state.auth = replace(weft.parts, deliver=away)
        answer = await weft.client.post("/auth/forgot-password", json={"email": "ada@example.org"})
        assert answer.status_code == 202
        assert "letter_not_delivered" in caplog.text


async def test_a_letter_sets_a_new_password_once(opened) -> None:
    async with opened(mail=True) as weft:
        await weft.account()
        signed_in = await weft.headers()
        await weft.client.post("/auth/forgot-password", json={"email": "ada@example.org"})
        token = weft.letters[0][2]
        weak = await weft.client.post("/auth/reset-password", json={"token": token, "password": "short"})
        assert (weak.status_code, weak.json()["detail"]["code"]) == (400, "RESET_PASSWORD_INVALID_PASSWORD")
        answer = await weft.client.post("/auth/reset-password", json={"token": token, "password": "another good one"})
        assert (answer.status_code, answer.content) == (200, b"null")
        assert (await weft.who(signed_in)).status_code == 401
        assert await weft.tokens(password="another good one")
        again = await weft.client.post("/auth/reset-password", json={"token": token, "password": "a third good one"})
        assert (again.status_code, again.json()["detail"]) == (400, "RESET_PASSWORD_BAD_TOKEN")


async def test_a_letter_is_for_its_purpose_its_hour_and_its_account(opened) -> None:
    async with opened(mail=True) as weft:
        user = await weft.account()
        await weft.client.post("/auth/request-verify-token", json={"email": "ada@example.org"})
        await weft.client.post("/auth/forgot-password", json={"email": "ada@example.org"})
        (_, _, verify), (_, _, reset) = weft.letters
        access = (await weft.tokens())["access_token"]
        for token in [reset, access, "", "x", "a.b.c"]:
            answer = await weft.client.post("/auth/verify", json={"token": token})
            assert (answer.status_code, answer.json()["detail"]) == (400, "VERIFY_USER_BAD_TOKEN")
        assert (await weft.who({"Authorization": f"Bearer {verify}"})).status_code == 401
        weft.clock.advance(3600)
        assert (await weft.client.post("/auth/verify", json={"token": verify})).status_code == 400
        weft.clock.jump(-3600)
        assert (await weft.client.post("/auth/verify", json={"token": verify})).json()["is_verified"] is True
        again = await weft.client.post("/auth/verify", json={"token": verify})
        assert again.json()["detail"] == "VERIFY_USER_ALREADY_VERIFIED"
        await weft.parts.accounts.delete(user.id)
        answer = await weft.client.post("/auth/reset-password", json={"token": reset, "password": "another good one"})
        assert answer.status_code == 400
