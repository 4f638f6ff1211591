"""Resolving: whoever has a name gets to what it names, or is told the truth about it; nobody is sent anywhere else."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.identifiers.conftest import Office, OpenOffice, describe
from weft.core.principal import Role, Scope

PAGES = {"landing": {"file": "/files/{id}"}, "public_url": "https://lab.example.org"}


async def get(office: Office, path: str, **headers: str) -> Any:
    return await office.stranger.get(path, headers=headers)


@pytest.mark.contract("SW-identifiers")
async def test_info_answers_who_what_when_where_and_what_is_promised(open_office: OpenOffice) -> None:
    async with open_office(**PAGES) as office:
        minted = await office.mint()

        for inflection in ("?info", "??"):
            answer = await get(office, f"/{minted.name}{inflection}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
            assert answer.text.splitlines() == [
                "erc:",
                "who: Ada Lovelace",
                "what: scan-1.tif",
                "when: 2026-05-28",
                f"where: https://lab.example.org/{minted.name}",
                "version: 1",
                "",
                "erc-support:",
                "who: The Lab",
                "what: (:tba) a name for trying; it is not persistent",
                "when: 2026-05-28T20:26:40Z",
                f"where: https://lab.example.org/{minted.name}",
            ]


async def test_info_is_json_for_who_asks_for_it(office: Office) -> None:
    minted = await office.mint()

    body = (await get(office, f"/{minted.name}?info", Accept="application/json")).json()

    assert (body["identifier"], body["state"], body["persistent"]) == (minted.name, "public", False)
    assert body["metadata"]["who"] == ["Ada Lovelace"]
    assert "target_id" not in body, "where a thing is kept is nobody's business"


async def test_a_value_cannot_forge_a_line_of_the_record(office: Office) -> None:
    minted = await office.mint(description=describe("x\nwithdrawn: never\u2028where: https://evil.example"))

    lines = (await get(office, f"/{minted.name}?info")).text.splitlines()

    assert lines[2] == "what: x withdrawn: never where: https://evil.example"


async def test_every_writing_leads_to_the_page(open_office: OpenOffice) -> None:
    async with open_office(**PAGES) as office:
        bare = (await office.mint("f/1?x=#2")).bare_name
        for written in (f"ark:{bare}", f"ark:/{bare}", f"ARK:{bare.upper()}", f"ark:{bare[:10]}-{bare[10:]}", f"ark:{bare}/"):
            answer = await get(office, f"/{written}")
            assert (answer.status_code, answer.headers["location"]) == (302, "/files/f%2F1%3Fx%3D%232"), written


async def test_what_is_below_a_name_is_passed_on(open_office: OpenOffice) -> None:
    async with open_office(**PAGES) as office:
        name = (await office.mint("f-1")).name
        await office.mint("f-2", version_of=name)

        wanted = {
            f"/{name}/page-1": "/files/f-1/page-1",
            f"/{name}.v2": "/files/f-2",
            f"/{name}/page-1.v2": "/files/f-2/page-1",
            f"/{name}.v2/page-1": "/files/f-2/page-1",
            f"/{name}.v9": "/files/f-1.v9",
            f"/{name}/a%20b": "/files/f-1/a%20b",
        }
        found = {path: (await get(office, path)).headers.get("location") for path in wanted}
        assert found == wanted


async def test_each_version_keeps_its_name_and_knows_the_next(open_office: OpenOffice) -> None:
    async with open_office(**PAGES) as office:
        first = await office.mint("f-1")
        second = await office.mint("f-2", version_of=first.name)

        old, new = await get(office, f"/{first.name}"), await get(office, f"/{second.name}")

        assert (old.headers["location"], new.headers["location"]) == ("/files/f-1", "/files/f-2")
        assert f'</{second.name}>; rel="successor-version"' in old.headers["link"]
        assert "successor-version" not in new.headers["link"]
        assert f"version-of: {first.name}" in (await get(office, f"/{second.name}?info")).text


async def test_never_minted_is_404_and_withdrawn_is_410_with_its_reason(office: Office) -> None:
    minted = await office.mint()
    await office.withdraw(minted.name, "the sample was mislabelled")

    gone = await get(office, f"/{minted.name}")
    assert (gone.status_code, gone.json()["error"]) == (410, "Gone")
    assert gone.json()["details"]["reason"] == "the sample was mislabelled"
    told = await get(office, f"/{minted.name}?info")
    assert (told.status_code, "withdrawn: 2026-05-28T20:26:40Z the sample was mislabelled" in told.text) == (200, True)

    never = await get(office, "/ark:99999/fk41234")
    assert (never.status_code, never.json()["error"]) == (404, "NotFound")
    elsewhere = await get(office, "/ark:12148/btv1b8449691v/f29")
    assert elsewhere.status_code == 404
    assert elsewhere.json()["details"]["elsewhere"] == "https://n2t.net/ark:12148/btv1b8449691v/f29"
    assert "location" not in elsewhere.headers, "nobody is sent away from here"


async def test_a_slip_of_the_pen_is_told_with_what_was_meant(office: Office) -> None:
    name = (await office.mint()).name
    wrong = name[:-1] + ("b" if name[-1] != "b" else "c")

    answer = await get(office, f"/{wrong}")

    assert answer.status_code == 404
    assert answer.json()["details"]["did_you_mean"] == [name]


async def test_what_is_reserved_is_nobodys_business(office: Office) -> None:
    minted = await office.mint(is_public=False)
    wrong = minted.name[:-1] + ("b" if minted.name[-1] != "b" else "c")

    assert (await get(office, f"/{minted.name}")).status_code == 404
    assert (await get(office, f"/{minted.name}?info")).status_code == 404
    assert (await get(office, f"/{wrong}")).json()["details"]["did_you_mean"] == []
    await office.publish(minted.name)
    assert (await get(office, f"/{minted.name}")).status_code == 200


HOSTILE = st.builds(
    lambda start, rest, query: quote(f"/ark:{start}{rest}", safe="/:%\\") + query,
    st.sampled_from(["", "99999/fk4", "/99999/", "//evil.example/", "99999/fk4x/../../", "99999/\\evil.example", "{known}/"]),
    st.text(max_size=120) | st.binary(max_size=60).map(lambda content: content.decode("latin-1")),
    st.sampled_from(["", "?info", "??", "?", "?info=1&x", "?%00", "?next=https://evil.example"]),
)


@given(paths=st.lists(HOSTILE, min_size=40, max_size=40))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_hostile_name_breaks_it_or_leads_elsewhere(open_office: OpenOffice, paths: list[str]) -> None:
    async with open_office(**PAGES) as office:
        known = (await office.mint()).bare_name
        for path in (path.replace("%7Bknown%7D", known) for path in paths):
            head = (await raw(office, path)).decode("latin-1")
            assert head.split(" ")[1] in {"200", "302", "400", "404", "422"}, path
            for line in head.lower().split("\r\n"):
                if line.startswith("location: "):
                    assert line.startswith("location: /files/f-1"), path
                    assert "//" not in line


async def test_names_below_a_known_one_cannot_climb_out_of_its_page(open_office: OpenOffice) -> None:
    async with open_office(**PAGES) as office:
        name = (await office.mint("f-1")).name
        for suffix in (
            "/../../admin",
            "/%2e%2e/%2e%2e/admin",
            "//evil.example",
            "/..%2f..%2fadmin",
            "/%5cevil",
            "/%0d%0aSet-Cookie:x=1",
        ):
            answer = await raw(office, f"/{name}{suffix}")
            head = answer.decode("latin-1").lower()
            status = int(head.split(" ")[1])
            assert status in {302, 400, 404}, suffix
            if status == 302:
                location = next(line for line in head.split("\r\n") if line.startswith("location: ")).removeprefix("location: ")
                assert location.startswith("/files/f-1/"), location
                assert ".." not in location
                assert "//" not in location
            assert "\r\nset-cookie" not in head


async def raw(office: Office, path: str) -> bytes:
    """The head of an answer, asked for with exactly this path: clients would tidy it up."""
    host, _, port = office.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {office.address}\r\nConnection: close\r\n\r\n".encode("latin-1"))
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[0]


async def test_strangers_resolve_but_neither_list_nor_mint(office: Office) -> None:
    body = {"target_kind": "file", "target_id": "f-1", "metadata": {"what": "x"}}
    assert (await office.stranger.get("/api/v1/identifiers")).status_code == 401
    assert (await office.stranger.post("/api/v1/identifiers", json=body)).status_code == 401
    owner = await office.auth.accounts.create("bob@example.org", "correct horse battery", role=Role.OPERATOR)
    _, key = await office.auth.api_keys.create(
        owner_id=owner.id, name="key", scopes=frozenset({Scope.IDENTIFIERS_READ}), may_give=Scope
    )
    headers = {"X-API-Key": key}
    assert (await office.stranger.get("/api/v1/identifiers", headers=headers)).status_code == 200
    assert (await office.stranger.post("/api/v1/identifiers", json=body, headers=headers)).status_code == 403


async def test_resolving_counts_against_the_limit_of_pages(open_office: OpenOffice) -> None:
    async with open_office(rate_limits=True) as office:
        name = (await office.mint()).name

        assert "x-ratelimit-remaining" in (await get(office, f"/{name}")).headers


async def test_identifiers_are_minted_listed_and_looked_after_over_http(office: Office) -> None:
    path = "/api/v1/identifiers"
    body = {"target_kind": "file", "target_id": "f-1", "metadata": {"what": "x", "who": ["Ada"]}, "reserve": True}
    minted = await office.admin.post(path, json=body)
    assert (minted.status_code, minted.json()["state"]) == (201, "reserved")
    one = f"{path}/{minted.json()['id']}"
    assert (await office.admin.post(path, json=body)).json()["identifier"] == minted.json()["identifier"]

    assert (await office.admin.post(f"{one}/publish")).json()["state"] == "public"
    assert (await office.admin.put(f"{one}/metadata", json={"what": "y"})).json()["metadata"]["what"] == "y"
    assert (await office.admin.get(f"{one}/agency")).json()["state"] == "public"
    name = minted.json()["identifier"].replace("ark:", "ARK:/")
    listed = (await office.admin.get(path, params={"name": name, "state": "public", "scheme": "ark"})).json()
    assert ([row["id"] for row in listed["data"]], listed["pagination"]["total"]) == ([minted.json()["id"]], 1)
    assert (await office.admin.get(path, params={"target_id": "f-2"})).json()["pagination"]["total"] == 0
    assert (await office.admin.get(path, params={"registration": "waiting"})).json()["data"] == []
    assert (await office.admin.post(f"{one}/withdraw", json={"reason": "why not"})).json()["state"] == "tombstone"
    assert (await office.admin.put(f"{one}/metadata", json={"what": "z"})).status_code == 409
    assert (await office.admin.get(f"{path}/nothing")).status_code == 404
    assert (await office.admin.post(path, json={**body, "metadata": {"what": " "}})).json()["details"][
        "field"
    ] == "metadata.what"
