"""Secrets of service accounts and storage locations: encrypted at rest, masked, kept by the mask, revealed on purpose alone."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from tests.integration.inventory.conftest import Notebook, Site
from weft.auth.secrets import Cipher
from weft.core.errors import Unavailable
from weft.inventory.parts import InventoryParts
from weft.inventory.tables import LocationRow

SECRET = "s3cret of the share"
S3 = {"bucket": "archive", "region": "eu-1", "access_key_id": "AK", "secret_access_key": SECRET}
CIFS = {"host": "nas.lab.local", "share": "archive", "username": "weft", "password": SECRET}
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


async def location(site: Site, kind: str = "s3", config: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    config = (S3 if kind == "s3" else CIFS) if config is None else config
    return await site.make("storage-locations", type=kind, base_path="data", connection_config=config, **changes)


async def stored(site: Site, made: dict[str, Any]) -> str:
    """The secrets of a location, opened with the installation's key."""
    async with site.database.reading() as session:
        sealed = await session.scalar(select(LocationRow.secrets).where(LocationRow.id == made["id"]))
    return Cipher(site.keys).decrypt(sealed or "")


@BOTH
@pytest.mark.contract("SW-2", "SW-service-accounts")
async def test_a_password_is_never_answered_and_never_stored_as_it_is(site: Site, kind: str, tmp_path: Path) -> None:
    made = await site.make("service-accounts")
    one = f"/api/service-accounts/{made['id']}"
    shown = [made, await site.admin.get(one), await site.admin.get("/api/service-accounts")]
    shown.append(await site.admin.patch(one, {"password": "another one"}))
    assert SECRET not in str(shown)
    assert "another one" not in str(shown)
    assert "password" not in made
    assert SECRET not in str(site.witness.deeds)
    assert "another one" not in str(site.witness.deeds)
    if kind == "sqlite":
        dump = "\n".join(sqlite3.connect(tmp_path / "weft.db").iterdump())
        assert made["id"] in dump
        assert SECRET not in dump
        assert "another one" not in dump


@BOTH
@pytest.mark.contract("SW-3", "SW-service-accounts-password")
async def test_an_administrator_reveals_a_password_and_that_is_written_down_first(site: Site) -> None:
    made = await site.make("service-accounts")
    one = f"/api/service-accounts/{made['id']}"
    answer = await site.admin.client.get(f"{one}/password")
    assert (answer.json(), answer.headers["cache-control"]) == ({"password": SECRET}, "no-store")
    change = site.witness.deeds[-1]
    assert (change.action, change.entity_type, change.entity_id) == ("reveal", "service_account", made["id"])
    assert change.by is not None
    assert (change.by.id, change.by.name) == (site.admin.id, "admin@example.org")
    await site.user.get(f"{one}/password", 403)
    await site.stranger.get(f"{one}/password", 401)
    site.witness.refuses = Unavailable("the ledger is away")
    assert SECRET not in str(await site.admin.get(f"{one}/password", 503)), "it was given without being written down"


async def test_the_mask_keeps_a_password_and_anything_else_changes_it(site: Site) -> None:
    made = await site.make("service-accounts")
    one = f"/api/service-accounts/{made['id']}"
    await site.admin.patch(one, {"password": "****", "domain": "LAB"})
    assert (await site.admin.get(f"{one}/password"))["password"] == SECRET
    await site.admin.patch(one, {"password": "new"})
    assert (await site.admin.get(f"{one}/password"))["password"] == "new"
    change = next(each for each in reversed(site.witness.deeds) if each.action == "update")
    assert change.changes is not None
    assert (change.changes["password"].before, change.changes["password"].after) == ("****", "****")
    await site.admin.post("/api/service-accounts", await site.body("service-accounts", password="****"), 422)


@BOTH
@pytest.mark.contract("SW-4", "SW-storage-locations")
async def test_secrets_of_a_location_are_masked_and_kept_by_the_mask(site: Site) -> None:
    made = await location(site)
    one = f"/api/storage-locations/{made['id']}"
    assert made["connection_config"] == {**S3, "secret_access_key": "****"}
    await site.admin.patch(one, {"connection_config": {**made["connection_config"], "bucket": "other"}})
    assert SECRET in await stored(site, made)
    assert (await site.admin.get(one))["connection_config"]["bucket"] == "other"
    await site.admin.patch(one, {"connection_config": {"region": "eu-2"}})
    assert SECRET in await stored(site, made), "what is not sent stays"
    await site.admin.patch(one, {"connection_config": None})
    assert SECRET in await stored(site, made), "null keeps everything"
    changed = await site.admin.patch(one, {"connection_config": {"secret_access_key": "new"}})
    assert changed["connection_config"] == {**S3, "bucket": "other", "region": "eu-2", "secret_access_key": "****"}
    assert "new" in await stored(site, made)
    seen = [await site.user.get("/api/storage-locations"), site.witness.deeds]
    assert SECRET not in str(seen)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_new_type_never_shows_the_secret_of_the_old_one(site: Site) -> None:
    """StreamWeave showed the stored text of a secret to everybody once only the type was changed."""
    made = await location(site)
    one = f"/api/storage-locations/{made['id']}"
    for protocol, path in (("cifs", "data"), ("nfs", "/mnt/data")):
        await site.admin.patch(one, {"type": protocol, "base_path": path}, 422)
    plain = await site.admin.patch(one, {"type": "posix", "base_path": "/archive"})
    assert plain["connection_config"] == {}
    back = await site.admin.patch(one, {"type": "s3", "connection_config": {**S3, "secret_access_key": "****"}}, 422)
    assert back["details"]["field"] == "connection_config.secret_access_key"
    async with site.database.reading() as session:
        row = await session.get(LocationRow, made["id"])
    assert row is not None
    assert row.secrets is None, "the old secret is gone with its type"


async def test_a_secret_by_name_is_a_secret_whatever_the_type(site: Site) -> None:
    made = await site.make("storage-locations", connection_config={"password": SECRET, "note": "x"})
    assert made["connection_config"] == {"password": "****", "note": "x"}


async def test_a_cifs_location_has_a_port(site: Site) -> None:
    made = await location(site, "cifs")
    assert made["connection_config"] == {**CIFS, "password": "****", "port": 445}
    changed = await site.admin.patch(
        f"/api/storage-locations/{made['id']}", {"connection_config": {"port": 1445, "domain": "LAB"}}
    )
    assert (changed["connection_config"]["port"], changed["connection_config"]["domain"]) == (1445, "LAB")
    removed = await site.admin.patch(f"/api/storage-locations/{made['id']}", {"connection_config": {"domain": None}})
    assert "domain" not in removed["connection_config"]


@pytest.mark.parametrize(
    ("protocol", "config", "field"),
    [("s3", {name: value for name, value in S3.items() if name != missing}, missing) for missing in S3]
    + [("cifs", {name: value for name, value in CIFS.items() if name != missing}, missing) for missing in CIFS]
    + [
        ("nfs", {"host": "nas"}, "export_path"),
        ("nfs", {"export_path": "/x"}, "host"),
        ("nfs", {"host": "nas", "export_path": "x"}, "export_path"),
        ("cifs", {**CIFS, "port": 0}, "port"),
        ("cifs", {**CIFS, "share": "../x"}, "share"),
        ("s3", {**S3, "endpoint_url": "file:///etc/passwd"}, "endpoint_url"),
        ("s3", {**S3, "endpoint_url": "http://user:pw@host/"}, "endpoint_url"),
        ("s3", {**S3, "buket": "x"}, "buket"),
        ("s3", {**S3, "secret_access_key": "****"}, "secret_access_key"),
        ("posix", {"password": 7}, "password"),
    ],
)
async def test_a_connection_is_checked_for_its_type_and_its_secret_is_not_said(
    site: Site, protocol: str, config: dict[str, Any], field: str
) -> None:
    body = await site.body("storage-locations", type=protocol, base_path="/data", connection_config=config)
    refused = await site.admin.post("/api/storage-locations", body, 422)
    assert refused["details"]["field"] == f"connection_config.{field}"
    assert SECRET not in str(refused)


@pytest.mark.parametrize(
    ("protocol", "path"), [("posix", "data"), ("nfs", "data"), ("posix", "/a/../b"), ("s3", "../x"), ("posix", "")]
)
async def test_a_base_path_begins_where_it_says(site: Site, protocol: str, path: str) -> None:
    config = {"s3": S3, "nfs": {"host": "nas", "export_path": "/x"}}.get(protocol)
    body = await site.body("storage-locations", type=protocol, base_path=path, connection_config=config)
    assert (await site.admin.post("/api/storage-locations", body, 422))["details"]["field"] == "base_path"


@BOTH
async def test_a_new_key_takes_over_every_secret_so_that_the_old_one_can_go(site: Site) -> None:
    account, place = await site.make("service-accounts"), await location(site)
    new = Fernet.generate_key()
    site.keys.insert(0, new)
    parts = InventoryParts.of(site.database, cipher=Cipher(site.keys), witness=Notebook(), clock=site.clock)
    await parts.renew_secrets()
    del site.keys[1:]
    assert SECRET in await stored(site, place)
    row = await site.parts.service_accounts.shelf.get(account["id"])
    assert Cipher([new]).decrypt(row.password) == SECRET


async def test_a_missing_key_stops_no_start_and_is_said_when_the_secret_is_needed(site: Site) -> None:
    account = await site.make("service-accounts")
    parts = InventoryParts.of(site.database, cipher=Cipher([Fernet.generate_key()]), witness=Notebook(), clock=site.clock)
    await parts.renew_secrets()
    assert (await site.admin.get(f"/api/service-accounts/{account['id']}/password"))["password"] == SECRET


@pytest.mark.contract("SW-5", "SW-storage-locations-test")
async def test_a_folder_is_tested_by_writing_in_it(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    made = await site.make("storage-locations", base_path=str(folder))
    one = f"/api/storage-locations/{made['id']}"
    assert await site.admin.get(f"{one}/test") == {"status": "ok", "type": "posix", "name": made["name"]}
    assert list(folder.iterdir()) == [], "the test leaves nothing behind"
    folder.rmdir()
    gone = await site.admin.get(f"{one}/test", 502)
    assert str(folder) in gone["detail"]
    folder.touch()
    await site.admin.get(f"{one}/test", 502)
    await site.admin.patch(one, {"enabled": False})
    assert (await site.admin.get(f"{one}/test", 409))["error"] == "Conflict"
    await site.user.get(f"{one}/test", 403)


async def test_an_nfs_location_has_to_be_mounted(site: Site, tmp_path: Path) -> None:
    config = {"host": "nas", "export_path": "/x"}
    made = await site.make("storage-locations", type="nfs", base_path=str(tmp_path), connection_config=config)
    refused = await site.admin.get(f"/api/storage-locations/{made['id']}/test", 502)
    assert "mounted" in refused["detail"]


@pytest.mark.parametrize("protocol", ["s3", "cifs"])
async def test_a_location_nothing_can_reach_yet_says_so_and_is_not_called_fine(site: Site, protocol: str) -> None:
    made = await location(site, protocol)
    refused = await site.admin.get(f"/api/storage-locations/{made['id']}/test", 501)
    assert (refused["error"], refused["details"]) == ("NotSupported", {"type": protocol})
