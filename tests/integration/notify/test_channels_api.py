"""Channels over HTTP: stored, masked, tried; and the list of what was sent."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI, Request
from sqlalchemy import text

from tests.integration.notify.conftest import Office, OpenOffice, notification
from tests.services.sinks import Answer
from weft.alerts.notify.routes import router
from weft.api.errors import add_error_handlers
from weft.auth.proof import Proof
from weft.auth.secrets import MASK, Cipher
from weft.auth.signature import prove
from weft.core.errors import Corrupt
from weft.core.principal import SCOPES_OF, Principal, Role, Scope

SECRET = "correct-horse-battery"


@dataclass
class Desk:
    """An office behind its routes, and who asks."""

    office: Office
    client: httpx.AsyncClient
    scopes: frozenset[Scope] = SCOPES_OF[Role.OPERATOR]

    async def make(self, **body: Any) -> dict[str, Any]:
        usual = {"name": "hook", "kind": "webhook", "settings": {"url": self.office.sink.url, "secret": SECRET}}
        answer = await self.client.post("/api/v1/channels", json={**usual, **body})
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
async def desk(office: Office) -> AsyncIterator[Desk]:
    app = FastAPI()
    app.include_router(router)
    add_error_handlers(app, office.clock)
    app.state.notify = office.parts
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://weft.test") as client:
        desk = Desk(office, client)

        async def prove_as(request: Request) -> Proof:
            principal = Principal(kind="user", id="u", name="ada@example.org", role=Role.OPERATOR, scopes=desk.scopes)
            return Proof(principal=principal, method="token", expires_at_us=None)

        app.dependency_overrides[prove] = prove_as
        yield desk


async def test_a_channel_lives_and_its_secrets_are_never_shown(desk: Desk) -> None:
    made = await desk.make(template={}, messages_per_minute=5)

    assert made["settings"]["secret"] == MASK
    listed = (await desk.client.get("/api/v1/channels")).json()
    assert [row["name"] for row in listed["data"]] == ["hook"]
    assert listed["pagination"]["total"] == 1
    for path in (f"/api/v1/channels/{made['id']}", "/api/v1/channels/hook"):
        answer = await desk.client.get(path)
        assert answer.json() == made
        assert SECRET not in answer.text
    assert (await desk.client.delete("/api/v1/channels/hook")).status_code == 204
    assert (await desk.client.get("/api/v1/channels/hook")).status_code == 404


async def test_a_secret_cannot_be_read_from_the_database(desk: Desk) -> None:
    await desk.make()

    async with desk.office.database.reading() as session:
        row = (await session.execute(text("SELECT * FROM notification_channels"))).one()

    assert SECRET not in str(tuple(row))


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_the_mask_keeps_the_secret(method: str, desk: Desk) -> None:
    made = await desk.make()
    body: dict[str, Any] = {"settings": {**made["settings"], "shape": "alertmanager"}}
    if method == "PUT":
        body |= {"name": "renamed", "kind": "webhook"}

    answer = await desk.client.request(method, "/api/v1/channels/hook", json=body)

    assert answer.status_code == 200, answer.text
    channel = answer.json()["name"]
    await desk.client.post(f"/api/v1/channels/{channel}/test")
    assert "webhook-signature" in desk.office.sink.taken[0].headers
    assert desk.office.sink.taken[0].json["version"] == "4"


async def test_a_secret_is_not_carried_to_another_place(desk: Desk) -> None:
    """Who may change a channel may not thereby learn its secrets."""
    await desk.make()

    answer = await desk.client.patch("/api/v1/channels/hook", json={"settings": {"url": "http://127.0.0.1:9/x"}})

    assert answer.status_code == 422
    assert "settings.secret" in answer.json()["message"]
    both = {"settings": {"url": "http://127.0.0.1:9/x", "secret": "another-secret-here"}}
    assert (await desk.client.patch("/api/v1/channels/hook", json=both)).status_code == 200


async def test_a_change_changes_only_what_it_says(desk: Desk) -> None:
    made = await desk.make(messages_per_minute=5)

    changed = (await desk.client.patch("/api/v1/channels/hook", json={"enabled": False})).json()
    assert {**changed, "updated_at": ""} == {**made, "enabled": False, "updated_at": ""}
    without = (await desk.client.patch("/api/v1/channels/hook", json={"settings": {"secret": None}})).json()
    assert without["settings"] == {"url": desk.office.sink.url}
    free = (await desk.client.patch("/api/v1/channels/hook", json={"messages_per_minute": None})).json()
    assert free["messages_per_minute"] is None


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"kind": "pigeon"}, 422, "known are: email"),
        ({"name": "slack"}, 422, "is a kind of channels"),
        ({"name": "a/b"}, 422, "letters, digits"),
        ({"settings": {}}, 422, "settings.url"),
        ({"settings": {"url": "ftp://example.org"}}, 422, "https://host/path"),
        ({"settings": {"url": "https://u:p@example.org"}}, 422, "name or password"),
        ({"settings": {"url": "http://169.254.169.254/latest/meta-data"}}, 422, "metadata"),
        ({"settings": {"url": "http://example.org", "secret": MASK}}, 422, "none is stored"),
        ({"settings": {"url": "http://example.org", "secret": "short"}}, 422, "16 characters"),
        ({"settings": {"url": "http://example.org", "colour": "red"}}, 422, "settings.colour"),
        ({"template": {"text": "x"}}, 422, "has no field 'text'"),
        ({"kind": "slack", "settings": {"url": "http://example.org"}, "template": {"text": "{secret}"}}, 422, "known are"),
        ({"messages_per_minute": 0}, 422, "messages_per_minute"),
    ],
)
async def test_a_channel_that_cannot_work_is_refused_by_the_name_of_what_is_wrong(
    body: dict[str, Any], status: int, says: str, desk: Desk
) -> None:
    usual = {"name": "hook", "kind": "webhook", "settings": {"url": desk.office.sink.url}}

    answer = await desk.client.post("/api/v1/channels", json={**usual, **body})

    assert answer.status_code == status, answer.text
    assert says in answer.text


async def test_a_name_is_taken_once_and_a_kind_stays(desk: Desk) -> None:
    await desk.make()

    again = await desk.client.post(
        "/api/v1/channels", json={"name": "hook", "kind": "webhook", "settings": {"url": desk.office.sink.url}}
    )
    other = await desk.client.put(
        "/api/v1/channels/hook", json={"name": "hook", "kind": "slack", "settings": {"url": desk.office.sink.url}}
    )

    assert again.status_code == 409
    assert "'hook'" in again.json()["message"]
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        (Answer(200, b"hello"), "delivered", "200 Said: hello"),
        (Answer(403, b"go away"), "refused", "127.0.0.1 answered 403 Said: go away"),
        (Answer(503, b"not now"), "delayed", "127.0.0.1 answered 503 Said: not now"),
    ],
)
async def test_a_test_really_sends_and_says_what_was_said(answer: Answer, outcome: str, said: str, desk: Desk) -> None:
    await desk.make(enabled=False)
    desk.office.sink.usual = answer

    result = (await desk.client.post("/api/v1/channels/hook/test")).json()

    assert (result["outcome"], result["said"]) == (outcome, said)
    (taken,) = desk.office.sink.taken
    assert taken.headers["idempotency-key"] == result["key"]
    assert taken.json["notifications"][0]["state"] == "test"


async def test_who_may_not_manage_channels_sees_none(desk: Desk) -> None:
    await desk.make()
    desk.scopes = SCOPES_OF[Role.USER]

    for method, path in (
        ("GET", ""), ("POST", ""), ("GET", "/hook"), ("PUT", "/hook"), ("PATCH", "/hook"), ("DELETE", "/hook"),
        ("POST", "/hook/test"), ("GET", "/kinds"),
    ):  # fmt: skip
        body = {"name": "x", "kind": "webhook", "settings": {}} if method in {"POST", "PUT", "PATCH"} else None
        assert (await desk.client.request(method, f"/api/v1/channels{path}", json=body)).status_code == 403, f"{method} {path}"
    assert (await desk.client.get("/api/v1/notifications")).status_code == 200


async def test_every_notification_is_listed_with_its_attempts(desk: Desk) -> None:
    await desk.make()
    desk.office.sink.answers.append(Answer(500, b"oops"))
    await desk.office.tell(notification(1), notification(2), channels=("hook", "sms"))
    await desk.office.pass_time(30)

    answer = (await desk.client.get("/api/v1/notifications", params={"fingerprint": "alert-1"})).json()

    assert answer["pagination"]["total"] == 2
    by_channel = {row["channel"]: row for row in answer["data"]}
    assert by_channel["sms"]["state"] == "no_channel"
    tried = [(attempt["outcome"], attempt["said"]) for attempt in by_channel["hook"]["attempts"]]
    assert tried[-1] == ("delivered", "200 Said: ok")
    refused = (await desk.client.get("/api/v1/notifications", params={"state": "no_channel", "limit": 1})).json()
    assert (len(refused["data"]), refused["pagination"]["total"], refused["pagination"]["has_next"]) == (1, 2, True)


async def test_kinds_say_what_they_need_and_which_settings_are_secret(desk: Desk) -> None:
    answer = (await desk.client.get("/api/v1/channels/kinds")).json()

    kinds = {row["kind"]: row for row in answer["data"]}
    assert list(kinds) == ["email", "slack", "webhook", "sms", "apprise", "command"]
    assert kinds["webhook"]["settings"]["properties"]["secret"]["anyOf"][0]["writeOnly"] is True
    assert set(kinds["email"]["template"]) == {"subject", "text"}
    assert "summary" in answer["names"]


@pytest.mark.contract("SF-279")
async def test_a_new_key_takes_over_every_secret(open_office: OpenOffice) -> None:
    old_key = b""
    async with open_office() as office:
        await office.channel(settings={"url": office.sink.url, "secret": SECRET})
        old_key = office.keys[0]
        office.keys.insert(0, Fernet.generate_key())
    async with open_office() as office:
        await office.parts.deliverer.settle()
        row = await office.parts.directory.get("hook")
        assert row.secrets is not None
        assert SECRET in Cipher(office.keys[:1]).decrypt(row.secrets)
        with pytest.raises(Corrupt):
            Cipher([old_key]).decrypt(row.secrets)


async def test_a_secret_without_its_key_delays_its_channel_and_no_other(open_office: OpenOffice) -> None:
    async with open_office() as office:
        await office.channel("locked", settings={"url": office.sink.url, "secret": SECRET})
        await office.channel("plain")
        office.keys[:] = [Fernet.generate_key()]
    async with open_office() as office:
        await office.parts.directory.replace("plain", office.parts.directory.plan_of(await office.parts.directory.get("plain")))
        await office.tell(notification(), channels=("locked", "plain"))

        told = {one.delivery.channel_name: one for one in await office.told() if one.delivery}
        assert "WEFT_AUTH__ENCRYPTION_KEYS" in told["locked"].attempts[0].said
        assert told["locked"].state == "sending"
        rows, _ = await office.parts.directory.list_all()
        assert [office.parts.directory.plan_of(row).settings.get("secret") for row in rows] == [MASK, None]
