"""A browser's session: a cookie no script can read, a CSRF token beside it, and only from our own pages."""

import pytest

from weft.api.caller import Caller
from weft.core.errors import NotAllowed, Unauthenticated

FORM = {"username": "ada@example.org", "password": "correct horse battery"}


async def sign_in(weft, **headers: str) -> str:
    await weft.account()
    answer = await weft.client.post("/auth/cookie/login", data=FORM, headers=headers)
    assert answer.status_code == 204, answer.text
    return answer.headers["x-csrf-token"]


@pytest.mark.contract("HC-S9", "SW-18")
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(weft) -> None:
    await weft.account()
    answer = await weft.client.post("/auth/cookie/login", data=FORM)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "max-age=43200" in cookie
    assert "domain" not in cookie
    assert answer.content == b""


async def test_in_production_the_cookie_travels_over_tls_only(opened) -> None:
    async with opened(environment="production", secret_key="kB3v-9dJq_w72hXz-PaLm40sTyUeRi1o") as weft:
        await weft.account()
        cookie = (await weft.client.post("/auth/cookie/login", data=FORM)).headers["set-cookie"]
        assert cookie.startswith("__Host-weft_session=")
        assert "Secure" in cookie


async def test_a_page_reads_who_it_is_and_its_csrf_token(weft) -> None:
    csrf = await sign_in(weft)
    body = (await weft.who({})).json()
    assert (body["auth_method"], body["name"], body["csrf_token"]) == ("cookie", "ada@example.org", csrf)


@pytest.mark.contract("HC-S9")
@pytest.mark.parametrize("shown", [None, "", "0" * 64, "ä"])
async def test_a_change_without_the_right_csrf_token_is_refused(weft, shown: str | None) -> None:
    await sign_in(weft)
    headers = {} if shown is None else {"X-CSRF-Token": shown.encode()}
    answer = await weft.client.patch("/users/me", json={}, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["details"]["header"] == "X-CSRF-Token"


async def test_a_change_with_the_csrf_token_passes_and_another_sessions_token_does_not(weft) -> None:
    csrf = await sign_in(weft)
    assert (await weft.client.patch("/users/me", json={}, headers={"X-CSRF-Token": csrf})).status_code == 200
    other = (await weft.client.post("/auth/cookie/login", data=FORM)).headers["x-csrf-token"]
    assert other != csrf
    assert (await weft.client.patch("/users/me", json={}, headers={"X-CSRF-Token": csrf})).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://weft.test", 200),
        ("https://lab.example.org", 200),
        ("https://evil.example.org", 403),
        ("http://weft.test.evil.org", 403),
        ("http://weft.test:8080", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_a_change_counts_only_from_our_own_pages_and_trusted_ones(weft, origin: str, status: int) -> None:
    csrf = await sign_in(weft)
    answer = await weft.client.patch("/users/me", json={}, headers={"X-CSRF-Token": csrf, "Origin": origin})
    assert answer.status_code == status


async def test_another_site_cannot_sign_a_browser_in(weft) -> None:
    await weft.account()
    for headers in [{"Origin": "https://evil.example.org"}, {"Sec-Fetch-Site": "cross-site"}]:
        answer = await weft.client.post("/auth/cookie/login", data=FORM, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


async def test_signing_out_needs_the_csrf_token_and_ends_the_cookie_for_good(weft) -> None:
    csrf = await sign_in(weft)
    kept = weft.client.cookies["weft_session"]
    assert (await weft.client.post("/auth/cookie/logout")).status_code == 403
    answer = await weft.client.post("/auth/cookie/logout", headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 204
    assert "weft_session" not in weft.client.cookies
    assert (await weft.who({"Cookie": f"weft_session={kept}"})).status_code == 401


async def test_a_cookie_session_ends_by_itself(opened) -> None:
    async with opened(cookie_hours=2) as weft:
        await sign_in(weft)
        weft.clock.advance(2 * 3600 - 1)
        assert (await weft.who({})).status_code == 200
        weft.clock.advance(1)
        assert (await weft.who({})).status_code == 401


async def test_a_wrong_header_is_not_saved_by_a_good_cookie(weft) -> None:
    await sign_in(weft)
    assert (await weft.who({"Authorization": "Bearer nonsense"})).status_code == 401
    assert (await weft.who({"X-API-Key": "nonsense"})).status_code == 401


@pytest.mark.contract("HC-S8")
async def test_a_socket_rides_on_a_cookie_only_from_our_own_pages(weft) -> None:
    await sign_in(weft)
    cookie = f"theme=dark; weft_session={weft.client.cookies['weft_session']}; x=1"

    async def connect(**headers: str) -> str:
        shown = {"cookie": cookie, "host": "weft.test", **headers}
        caller = Caller(headers=shown, client_ip="192.0.2.7", method="GET", is_websocket=True)
        return (await weft.parts.authenticator.authenticate(caller)).name

    assert await connect(origin="http://weft.test") == "ada@example.org"
    assert await connect(origin="https://lab.example.org") == "ada@example.org"
    with pytest.raises(NotAllowed, match="Origin header is missing"):
        await connect()
    with pytest.raises(NotAllowed, match=r"evil\.example\.org"):
        await connect(origin="https://evil.example.org")


async def test_a_cookie_is_no_bearer_token_and_a_bearer_token_no_cookie(weft) -> None:
    await sign_in(weft)
    cookie = weft.client.cookies["weft_session"]
    weft.client.cookies.clear()
    token = (await weft.tokens())["access_token"]
    with pytest.raises(Unauthenticated):
        await weft.parts.authenticator.authenticate_token(cookie)
    assert (await weft.who({"Authorization": f"Bearer {cookie}"})).status_code == 401
    assert (await weft.who({"Cookie": f"weft_session={token}"})).status_code == 401
