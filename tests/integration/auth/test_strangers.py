"""Nobody first: what a caller sees that shows nothing, or something forged."""

import base64
import json
from typing import Any

import jwt
import pytest
from fastapi.routing import APIRoute

from weft.api.caller import Caller
from weft.auth import account_routes, admin_routes, key_routes, login_routes, session_routes
from weft.auth.signature import find_requirement
from weft.core.errors import Unauthenticated
from weft.core.principal import Role, Scope

ROUTES = [
    (method, route.path, find_requirement(route))
    for part in (account_routes, admin_routes, key_routes, login_routes, session_routes)
    for route in part.router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]
PUBLIC = {
    "/auth/cookie/login",
    "/auth/forgot-password",
    "/auth/jwt/login",
    "/auth/login",
    "/auth/refresh",
    "/auth/register",
    "/auth/request-verify-token",
    "/auth/reset-password",
    "/auth/verify",
    "/api/v1/auth/token",
}


@pytest.mark.contract("HC-S1")
def test_only_what_nobody_could_sign_in_for_is_public() -> None:
    assert {path for _, path, needs in ROUTES if needs == "public"} == PUBLIC
    assert all(needs is not None for _, _, needs in ROUTES)


@pytest.mark.contract("HC-S1")
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, needs in ROUTES if needs != "public"])
async def test_every_other_route_refuses_nobody_before_it_looks_at_anything(weft, method: str, path: str) -> None:
    answer = await weft.client.request(method, path.format(user_id="x", key_id="x"), content=b"{not json")
    assert (answer.status_code, answer.json()["error"]) == (401, "AuthenticationError")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_a_public_route_answers_nonsense_with_a_refusal(weft, path: str) -> None:
    for body in [b"", b"{", b"null", b"[]", b'{"username":null,"email":[],"token":7,"password":{}}']:
        answer = await weft.client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, body
        assert set(answer.json()) >= {"error", "message", "details", "timestamp", "correlation_id"}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YWRhOng=", "Token x", "Bearer a b", "Bearer a.b.c", "Bearer " + "x" * 100_000,
     "Bearer weft_", "Bearer weft_a_b", "Bearer ..", "Bearer é.é.é"],
)  # fmt: skip
async def test_what_is_no_token_is_refused(weft, header: str) -> None:
    answer = await weft.who({"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.contract("HC-S2")
async def test_a_forged_token_is_refused(weft) -> None:
    await weft.account()
    victim = await weft.account("root@example.org", Role.ADMIN)
    token = (await weft.tokens())["access_token"]
    secret = weft.parts.secrets.signing
    claims = jwt.decode(token, options={"verify_signature": False})
    good = {"alg": "HS256", "typ": "JWT"}

    def signed(changes: dict[str, Any], header: dict[str, Any] | None = None, alg: str = "HS256", key: bytes = secret) -> str:
        body = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.PyJWS().encode(json.dumps(body).encode(), key, algorithm=alg, headers=header)

    assert (await weft.who({"Authorization": f"Bearer {signed({})}"})).status_code == 200  # the forge itself works
    head, body, signature = token.split(".")
    forgeries = {
        "alg none": f"{_part({**good, 'alg': 'none'})}.{body}.",
        "alg None": f"{_part({**good, 'alg': 'None'})}.{body}.{signature}",
        "no signature": f"{head}.{body}.",
        "other secret": signed({}, key=b"x" * 48),
        "HS512": signed({}, alg="HS512", key=secret),
        "kid": signed({}, {"kid": "../../dev/null"}),
        "jku": signed({}, {"jku": "https://evil.example.org/keys"}),
        "crit": signed({}, {"crit": ["exp"]}),
        "no typ": signed({}, {"typ": None}),
        "other iss": signed({"iss": "elsewhere"}),
        "other aud": signed({"aud": "elsewhere"}),
        "list aud": signed({"aud": ["weft"]}),
        "no exp": signed({"exp": None}),
        "text exp": signed({"exp": "9999999999"}),
        "future iat": signed({"iat": claims["iat"] + 3600, "exp": claims["exp"] + 7200}),
        "no sid": signed({"sid": None}),
        "no jti": signed({"jti": None}),
        "other user": signed({"sub": victim.id}),
        "other version": signed({"ver": claims["ver"] + 1}),
        "changed": f"{head}.{_part({**claims, 'sub': victim.id})}.{signature}",
        "encrypted": f"{head}.{body}.{signature}.{signature}.{signature}",
    }
    for name, forged in forgeries.items():
        answer = await weft.who({"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 401, name


async def test_a_token_of_another_installation_is_refused(opened, tmp_path) -> None:
    async with opened() as here:
        await here.account()
        token = (await here.tokens())["access_token"]
    (tmp_path / "secrets" / "signing.key").unlink()
    async with opened() as anew:
        assert (await anew.who({"Authorization": f"Bearer {token}"})).status_code == 401


def local(**headers: str) -> Caller:
    return Caller(headers=headers, client_ip="127.0.0.1", method="POST")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_in_development_a_program_on_this_machine_may_write_events_and_nothing_else(weft, address: str) -> None:
    caller = Caller(headers={"host": "localhost:8000"}, client_ip=address, method="POST")
    principal = await weft.parts.authenticator.authenticate(caller)
    assert (principal.kind, principal.scopes) == ("anonymous", frozenset({Scope.EVENTS_WRITE}))


@pytest.mark.parametrize(
    "caller",
    [
        Caller(headers={}, client_ip="192.0.2.7", method="POST"),
        Caller(headers={}, client_ip="", method="POST"),
        Caller(headers={}, client_ip="127.evil.example", method="POST"),
        local(**{"x-forwarded-for": "192.0.2.7"}),
        local(forwarded="for=192.0.2.7"),
        local(**{"x-real-ip": "192.0.2.7"}),
        local(host="weft.example.org"),
        local(host="localhost.evil.org:8000"),
        local(host="["),
        local(host="localhost:8000", origin="https://evil.example.org"),
        local(host="localhost:8000", origin="null"),
        local(origin="http://"),
        local(authorization=""),
        local(authorization="Bearer x"),
        local(**{"x-api-key": ""}),
        local(cookie="weft_session=x"),
    ],
)
async def test_whoever_is_not_surely_a_program_on_this_machine_has_to_show_something(weft, caller: Caller) -> None:
    with pytest.raises(Unauthenticated):
        await weft.parts.authenticator.authenticate(caller)


@pytest.mark.parametrize(
    "settings", [{"allow_anonymous_writes": False}, {"environment": "production"}, {"environment": "staging"}]
)
async def test_the_open_door_can_be_closed_and_is_closed_in_production(opened, settings: dict[str, Any]) -> None:
    async with opened(**{"secret_key": "kB3v-9dJq_w72hXz-PaLm40sTyUeRi1o", **settings}) as weft:
        with pytest.raises(Unauthenticated):
            await weft.parts.authenticator.authenticate(local(host="localhost"))


async def test_the_local_program_is_not_signed_in(weft) -> None:
    weft.client._transport.client = ("127.0.0.1", 1)
    answer = await weft.client.get("/api/v1/session", headers={"Host": "localhost"})
    assert answer.status_code == 401
