"""API keys: made once, shown once, never more than their owner, gone when revoked."""

import asyncio

import pytest

from weft.auth.tables import ApiKey
from weft.core.principal import Role
from weft.core.times import MINUTE_US, to_text

PATH = "/api/v1/api-keys"


async def make(weft, headers, **fields):
    answer = await weft.client.post(PATH, headers=headers, json={"name": "sensor 7", "scopes": ["events:write"], **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.contract("SF-262", "HC-S5")
async def test_a_key_is_shown_once_and_works_in_both_headers(weft) -> None:
    headers = await weft.new(Role.OPERATOR)
    made = await make(weft, headers, requests_per_minute=600)
    text = made["key"]
    assert text.startswith(made["prefix"] + "_")
    for shown in [{"X-API-Key": text}, {"Authorization": f"Bearer {text}"}, {"Authorization": f"bearer {text}"}]:
        body = (await weft.who(shown)).json()
        assert (body["kind"], body["id"], body["scopes"]) == ("api_key", made["id"], ["events:write"])
        assert (body["role"], body["requests_per_minute"], body["auth_method"]) == (None, 600, "api_key")
    listed = (await weft.client.get(PATH, headers=headers)).json()
    assert (listed["total"], listed["items"][0]["name"], listed["items"][0]["scopes"]) == (1, "sensor 7", ["events:write"])
    assert "key" not in listed["items"][0]
    assert text not in str(listed)


@pytest.mark.contract("HC-S5")
async def test_a_key_in_the_address_is_nobody(weft) -> None:
    made = await make(weft, await weft.new(Role.OPERATOR))
    for query in ["api_key", "token", "access_token", "key"]:
        assert (await weft.client.get(f"/api/v1/session?{query}={made['key']}")).status_code == 401


@pytest.mark.contract("SF-262", "SF-249")
async def test_a_key_does_only_what_it_was_made_for(weft) -> None:
    shown = {"X-API-Key": (await make(weft, await weft.new(Role.ADMIN)))["key"]}
    assert (await weft.client.get(PATH, headers=shown)).status_code == 403
    assert (await weft.client.get("/api/admin/users", headers=shown)).status_code == 403
    assert (await weft.client.get("/users/me", headers=shown)).status_code == 403
    assert (await weft.client.post("/auth/logout", headers=shown)).status_code == 400


@pytest.mark.contract("HC-S6")
async def test_nobody_gives_away_what_they_do_not_have(weft) -> None:
    operator = await weft.new(Role.OPERATOR)
    answer = await weft.client.post(PATH, headers=operator, json={"name": "k", "scopes": ["events:write", "events:erase"]})
    assert (answer.status_code, answer.json()["details"]["scopes"]) == (403, ["events:erase"])
    narrow = await make(weft, operator, scopes=["keys:manage"])
    answer = await weft.client.post(PATH, headers={"X-API-Key": narrow["key"]}, json={"name": "k", "scopes": ["events:write"]})
    assert answer.status_code == 403
    user = await weft.new(Role.USER)
    assert (await weft.client.post(PATH, headers=user, json={"name": "k", "scopes": ["events:read"]})).status_code == 403


async def test_a_key_loses_what_its_owner_loses(weft) -> None:
    operator = await weft.new(Role.OPERATOR)
    owner = (await weft.who(operator)).json()["id"]
    await weft.account("root@example.org", Role.ADMIN)
    made = await make(weft, operator, scopes=["events:read", "dead-letters:replay"])
    shown = {"X-API-Key": made["key"]}
    assert len((await weft.who(shown)).json()["scopes"]) == 2
    await weft.parts.accounts.change(owner, role=Role.USER)
    assert (await weft.who(shown)).json()["scopes"] == ["events:read"]
    await weft.parts.accounts.change(owner, is_active=False)
    assert (await weft.who(shown)).status_code == 401


async def test_a_revoked_key_is_refused_on_the_next_request(weft) -> None:
    headers = await weft.new(Role.OPERATOR)
    made = await make(weft, headers)
    shown = {"X-API-Key": made["key"]}
    assert (await weft.who(shown)).status_code == 200
    assert (await weft.client.delete(f"{PATH}/{made['id']}", headers=headers)).status_code == 204
    assert (await weft.who(shown)).status_code == 401
    assert (await weft.client.get(PATH, headers=headers)).json()["items"][0]["revoked_at"] is not None


@pytest.mark.contract("HC-S6")
async def test_people_see_and_revoke_their_own_keys_and_administrators_all(weft) -> None:
    mine = await weft.new(Role.OPERATOR, "a@example.org")
    other = await weft.new(Role.OPERATOR, "b@example.org")
    admin = await weft.new(Role.ADMIN)
    made = await make(weft, mine)
    assert (await weft.client.get(PATH, headers=other)).json()["total"] == 0
    assert (await weft.client.delete(f"{PATH}/{made['id']}", headers=other)).status_code == 404
    assert (await weft.who({"X-API-Key": made["key"]})).status_code == 200
    assert (await weft.client.get(PATH, headers=admin)).json()["total"] == 1
    assert (await weft.client.delete(f"{PATH}/{made['id']}", headers=admin)).status_code == 204


async def test_a_key_expires(weft) -> None:
    headers = await weft.new(Role.OPERATOR)
    made = await make(weft, headers, expires_at=to_text(weft.clock.now_us() + 10 * MINUTE_US))
    shown = {"X-API-Key": made["key"]}
    assert (await weft.who(shown)).status_code == 200
    weft.clock.advance(600)
    assert (await weft.who(shown)).status_code == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "events:write"},
        {"name": ""},
        {"name": "x" * 129},
        {"requests_per_minute": -1},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"owner_id": "somebody"},
        {"secret": "mine"},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(weft, fields) -> None:
    headers = await weft.new(Role.OPERATOR)
    answer = await weft.client.post(PATH, headers=headers, json={"name": "k", "scopes": ["events:write"], **fields})
    assert answer.status_code == 422


@pytest.mark.parametrize("spoil", ["secret", "prefix", "short", "empty", "case", "longer"])
async def test_a_key_with_one_wrong_character_is_refused(weft, spoil: str) -> None:
    text = (await make(weft, await weft.new(Role.OPERATOR)))["key"]
    wrong = {
        "secret": text[:-1] + ("A" if text[-1] != "A" else "B"),
        "prefix": text[:6] + ("a" if text[6] != "a" else "b") + text[7:],
        "short": text[:-1],
        "empty": "_".join([*text.split("_", 2)[:2], ""]),
        "case": text.swapcase(),
        "longer": text + "x",
    }[spoil]
    assert (await weft.who({"X-API-Key": wrong})).status_code == 401
    assert (await weft.who({"Authorization": f"Bearer {wrong}"})).status_code == 401


async def test_the_list_says_when_a_key_was_last_used_without_writing_for_every_event(weft) -> None:
    headers = await weft.new(Role.OPERATOR)
    made = await make(weft, headers)
    shown = {"X-API-Key": made["key"]}

    async def last_used() -> str | None:
        return (await weft.client.get(PATH, headers=headers)).json()["items"][0]["last_used_at"]

    assert await last_used() is None
    await weft.who(shown)
    first = await last_used()
    assert first == to_text(weft.clock.now_us())
    weft.clock.advance(30)
    await weft.who(shown)
    assert await last_used() == first
    weft.clock.advance(30)
    await weft.who(shown)
    assert await last_used() == to_text(weft.clock.now_us())


async def test_a_full_disk_turns_no_good_key_away(weft) -> None:
    made = await make(weft, await weft.new(Role.OPERATOR))
    async with weft.parts.database.reading() as session:  # a schema nobody can write to any more
        connection = await session.connection()
        await connection.exec_driver_sql("PRAGMA query_only=ON")
    engine = weft.parts.database.engine

    def forbid(connection, _record, _proxy) -> None:
        connection.cursor().execute("PRAGMA query_only=ON")

    from sqlalchemy import event

    event.listen(engine.sync_engine, "checkout", forbid)
    assert (await weft.who({"X-API-Key": made["key"]})).status_code == 200


async def test_many_requests_with_a_new_key_ask_the_database_once(weft) -> None:
    made = await make(weft, await weft.new(Role.OPERATOR))
    asked = 0
    real = weft.parts.api_keys.find

    async def counted(text: str):
        nonlocal asked
        asked += 1
        return await real(text)

    weft.parts.api_keys.find = counted  # counts, changes nothing
    answers = await asyncio.gather(*(weft.who({"X-API-Key": made["key"]}) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert asked == 1


async def test_a_scope_this_program_no_longer_knows_gives_nothing(weft) -> None:
    made = await make(weft, await weft.new(Role.OPERATOR))
    async with weft.parts.database.writing() as session:
        key = await session.get_one(ApiKey, made["id"])
        key.scopes = "events:write everything:always"
    assert (await weft.who({"X-API-Key": made["key"]})).json()["scopes"] == ["events:write"]
