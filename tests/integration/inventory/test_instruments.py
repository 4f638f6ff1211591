"""Instruments: where they are reached, what their names may be, and who they point at."""

from uuid import uuid4

import pytest

from tests.integration.inventory.conftest import Site

PATH = "/api/instruments"


@pytest.mark.contract("SW-instruments")
async def test_an_instrument_has_streamweaves_fields_and_its_defaults(site: Site) -> None:
    made = await site.make("instruments", name="NMR 500")
    assert {name: value for name, value in made.items() if name not in {"id", "created_at", "updated_at"}} == {
        "name": "NMR 500",
        "description": None,
        "location": None,
        "pid": None,
        "cifs_host": "nmr.lab.local",
        "cifs_port": 445,
        "cifs_share": "data",
        "cifs_base_path": None,
        "service_account_id": None,
        "transfer_adapter": "rclone",
        "transfer_config": None,
        "enabled": True,
        "last_harvested_at": None,
        "deleted_at": None,
    }


async def test_the_port_and_the_quiet_period_of_an_instrument_can_be_set(site: Site) -> None:
    made = await site.make("instruments", cifs_port=1445, transfer_config={"quiet_s": 2.5, "other": {"a": [1]}})
    assert (made["cifs_port"], made["transfer_config"]) == (1445, {"quiet_s": 2.5, "other": {"a": [1]}})
    one = f"{PATH}/{made['id']}"
    assert (await site.admin.patch(one, {"cifs_port": 446}))["cifs_port"] == 446
    for wrong in ({"quiet_s": -1}, {"quiet_s": "1m"}, {"quiet_s": True}, {"quiet_s": 1e9}, [], "x"):
        refused = await site.admin.patch(one, {"transfer_config": wrong}, 422)
        assert refused["details"]["field"].startswith("transfer_config")
    for port in (0, 65536, "x", None):
        await site.admin.patch(one, {"cifs_port": port}, 422)
    assert (await site.admin.patch(one, {"transfer_config": None}))["transfer_config"] is None


BAD_FOLDERS = (
    "",
    " ",
    "../../etc",
    "a/b",
    "a\\b",
    ".",
    "..",
    "...",
    ".hidden",
    "dot.",
    " a",
    "a ",
    "a\nb",
    "a\x00b",
    "a:b",
    "NUL",
)


@pytest.mark.parametrize("name", [*BAD_FOLDERS, "com1.x", "ä" * 128, "a" * 256, "\u202eabc", None, 7])
async def test_a_name_that_could_leave_its_folder_is_refused(site: Site, name: object) -> None:
    refused = await site.admin.post(PATH, await site.body("instruments", name=name), 422)
    assert refused["details"]["field"] == "name"
    assert (await site.admin.get(PATH))["total"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("cifs_host", value) for value in ("", "a b", "a;b", "a/b", "-x", "..", "a..b", "$(id)", "a\n")]
    + [("cifs_share", value) for value in ("", "a/b", "a\\b", "..", "a\x00b", "a:b")]
    + [("cifs_base_path", value) for value in ("../x", "a/../../b", "a\\..\\b", "a\x00b")]
    + [("transfer_adapter", "scp"), ("service_account_id", "x"), ("enabled", "perhaps")],
)
async def test_hosts_shares_and_paths_are_checked(site: Site, field: str, value: str) -> None:
    refused = await site.admin.post(PATH, await site.body("instruments", **{field: value}), 422)
    assert refused["details"]["field"] == field


@pytest.mark.parametrize("host", ["10.1.2.3", "fe80::1", "NMR-500", "nmr_2.lab.local", "nmr.lab.local."])
async def test_hosts_have_names_or_addresses(site: Site, host: str) -> None:
    assert (await site.make("instruments", cifs_host=host))["cifs_host"] == host


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_changing_the_service_account_of_an_instrument_works(site: Site) -> None:
    """StreamWeave answered 500 to a change of any field that is an id."""
    first, second = await site.make("service-accounts"), await site.make("service-accounts")
    made = await site.make("instruments", service_account_id=first["id"])
    one = f"{PATH}/{made['id']}"
    assert (await site.admin.patch(one, {"service_account_id": second["id"]}))["service_account_id"] == second["id"]
    change = site.witness.deeds[-1].changes
    assert change is not None
    assert (change["service_account_id"].before, change["service_account_id"].after) == (first["id"], second["id"])
    assert (await site.admin.patch(one, {"service_account_id": None}))["service_account_id"] is None
    unknown = await site.admin.patch(one, {"service_account_id": str(uuid4())}, 422)
    assert unknown["details"]["field"] == "service_account_id"


async def test_a_deleted_service_account_is_not_named_anew_and_does_not_spoil_the_form(site: Site) -> None:
    account = await site.make("service-accounts")
    made = await site.make("instruments", service_account_id=account["id"])
    await site.admin.delete(f"/api/service-accounts/{account['id']}")
    form = {**made, "description": "still to be edited"}
    assert (await site.admin.patch(f"{PATH}/{made['id']}", form))["service_account_id"] == account["id"]
    await site.admin.post(PATH, await site.body("instruments", service_account_id=account["id"]), 422)


async def test_the_forms_empty_texts_mean_nothing(site: Site) -> None:
    made = await site.make("instruments", location="", pid="", cifs_base_path="", service_account_id="", description="")
    assert [made[name] for name in ("location", "pid", "cifs_base_path", "service_account_id")] == [None] * 4


async def test_a_config_that_cannot_be_kept_is_refused(site: Site) -> None:
    refused = await site.admin.post(PATH, await site.body("instruments", transfer_config={"a": "x" * 20_000}), 422)
    assert "16384" in refused["message"]
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        text = f'{{"name":"a","cifs_host":"h","cifs_share":"s","transfer_config":{{"a":[{number}]}}}}'
        refused = await site.admin.ask("POST", PATH, 422, content=text, headers={"Content-Type": "application/json"})
        assert refused["details"]["field"] == "transfer_config"
    exact = {"a": 2**70 + 1, "b": 0.1, "c": [None, True, "ä"]}
    made = await site.make("instruments", transfer_config=exact)
    assert (await site.admin.get(f"{PATH}/{made['id']}"))["transfer_config"] == exact
