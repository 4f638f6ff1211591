"""The first start: one administrator, once, however many processes start."""

import asyncio

import pytest

from weft.auth.bootstrap import make_first_administrator
from weft.auth.checks import auth_checks
from weft.core.errors import Invalid
from weft.core.principal import Role
from weft.core.verdict import Level


@pytest.mark.contract("SW-24")
async def test_an_empty_installation_gets_an_administrator_with_a_password_told_once(weft) -> None:
    made = await make_first_administrator(weft.parts)
    assert made is not None
    assert made.password is not None
    body = await weft.tokens(made.email, made.password)
    session = (await weft.who({"Authorization": f"Bearer {body['access_token']}"})).json()
    assert (session["name"], session["role"]) == ("admin@localhost", "admin")
    assert await make_first_administrator(weft.parts) is None


async def test_no_two_installations_get_the_same_password(opened) -> None:
    from weft.auth.account import make_password

    made = {make_password() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(password) for password in made} == {23}


async def test_unattended_installations_name_their_administrator(opened) -> None:
    async with opened(admin_email="Boss@example.org", admin_password="a good long password") as weft:
        made = await make_first_administrator(weft.parts)
        assert made is not None
        assert (made.email, made.password) == ("boss@example.org", None)
        assert await weft.tokens("boss@example.org", "a good long password")


async def test_a_weak_password_from_settings_stops_the_start(opened) -> None:
    async with opened(admin_password="admin123") as weft:
        with pytest.raises(Invalid, match="first anybody would try"):
            await make_first_administrator(weft.parts)


async def test_of_many_processes_starting_at_once_one_makes_the_administrator(opened) -> None:
    async with opened() as a, opened() as b, opened() as c:
        made = await asyncio.gather(*(make_first_administrator(weft.parts) for weft in (a, b, c)))
        assert sum(one is not None for one in made) == 1
        assert await a.parts.accounts.count() == 1


async def test_an_installation_with_accounts_keeps_them(weft) -> None:
    await weft.account("ada@example.org", Role.USER)
    assert await make_first_administrator(weft.parts) is None
    assert await weft.parts.accounts.count() == 1


async def test_the_verdict_tells_when_the_printed_password_is_still_in_use(opened) -> None:
    secret = "kB3v-9dJq_w72hXz-PaLm40sTyUeRi1o"
    async with opened(environment="production", secret_key=secret) as weft:
        made = await make_first_administrator(weft.parts)
        check = auth_checks(weft.parts)["auth.first_password"]
        assert (await check()).level is Level.LOOK
        assert made is not None
        user = await weft.parts.accounts.find_by_email(made.email)
        await weft.parts.accounts.set_password(user.id, "another good one")
        assert (await check()).level is Level.FINE


@pytest.mark.parametrize(("secret", "level"), [("changeme", Level.LOOK), ("kB3v-9dJq_w72hXz-PaLm40sTyUeRi1o", Level.FINE)])
async def test_the_verdict_tells_when_the_secret_can_be_guessed(opened, secret: str, level: Level) -> None:
    async with opened(secret_key=secret) as weft:
        finding = await auth_checks(weft.parts)["auth.secret"]()
        assert finding.level is level
        assert secret not in finding.why
