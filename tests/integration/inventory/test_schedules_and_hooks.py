"""Schedules and hooks: what cannot work is refused when it is written, not when it should have run."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.inventory.conftest import Site

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
SCRIPT = {"implementation": "python_script", "builtin_name": None, "config": None, "script_path": "hooks/rename.py"}
WEBHOOK = {
    "implementation": "http_webhook",
    "builtin_name": None,
    "config": None,
    "webhook_url": "https://lab.example.org/hook?a=1",
}
RULES = {"rules": [{"pattern": r"(?P<sample>[^_]+)_.*", "source": "filename"}]}
METADATA = {"trigger": "post_transfer", "builtin_name": "metadata_enrichment"}
ACCESS = {"trigger": "post_transfer", "builtin_name": "access_assignment"}
GRANTS = {"grants": [{"grantee_type": "user", "match_field": "operator", "source": "metadata"}]}


@BOTH
@pytest.mark.contract("SW-10", "SW-schedules")
async def test_a_schedule_has_streamweaves_fields_and_a_time_zone(site: Site) -> None:
    made = await site.make("schedules")
    assert (made["cron_expression"], made["time_zone"], made["enabled"]) == ("0 2 * * *", "UTC", True)
    assert made["prefect_deployment_id"] is None
    one = f"/api/schedules/{made['id']}"
    changed = await site.admin.patch(one, {"cron_expression": " */15  8-18 * * MON-FRI ", "time_zone": "Europe/Berlin"})
    assert (changed["cron_expression"], changed["time_zone"]) == ("*/15 8-18 * * MON-FRI", "Europe/Berlin")


SHAPELESS = (
    "",
    "* * * *",
    "* * * * * *",
    "@daily",
    "a b c d e",
    "1-x * * * *",
    "0 0 L/2 * 1#9",
    "0 0 * * *; rm -rf /",
    None,
    5,
)
IMPOSSIBLE = ("61 * * * *", "* 24 * * *", "0 0 31 2 *", "*/0 * * * *", "9" * 100 + " * * * *")


@pytest.mark.parametrize("cron", [*SHAPELESS, *IMPOSSIBLE])
async def test_a_cron_expression_that_never_comes_is_refused(site: Site, cron: object) -> None:
    """StreamWeave took any text; such a schedule never ran and nobody was told."""
    refused = await site.admin.post("/api/schedules", await site.body("schedules", cron_expression=cron), 422)
    assert refused["details"]["field"] == "cron_expression"


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "/etc/passwd", "Europe", "a\x00b", None])
async def test_an_unknown_time_zone_is_refused(site: Site, zone: object) -> None:
    refused = await site.admin.post("/api/schedules", await site.body("schedules", time_zone=zone), 422)
    assert refused["details"]["field"] == "time_zone"


@BOTH
@pytest.mark.parametrize(
    ("field", "thing"), [("instrument_id", "instruments"), ("default_storage_location_id", "storage-locations")]
)
async def test_a_schedule_of_what_is_not_there_is_refused(site: Site, field: str, thing: str) -> None:
    refused = await site.admin.post("/api/schedules", await site.body("schedules", **{field: str(uuid4())}), 422)
    assert refused["details"]["field"] == field
    made = await site.make("schedules")
    other = await site.make(thing)
    assert (await site.admin.patch(f"/api/schedules/{made['id']}", {field: other["id"]}))[field] == other["id"]
    gone = await site.make(thing)
    await site.admin.delete(f"/api/{thing}/{gone['id']}")
    await site.admin.patch(f"/api/schedules/{made['id']}", {field: gone["id"]}, 422)


async def test_changing_the_hours_of_a_schedule_that_is_off_leaves_it_off(site: Site) -> None:
    made = await site.make("schedules", enabled=False)
    changed = await site.admin.patch(f"/api/schedules/{made['id']}", {"cron_expression": "5 5 * * *"})
    assert changed["enabled"] is False


@pytest.mark.contract("SW-hooks-builtins")
async def test_the_built_in_hooks_say_what_their_config_takes(site: Site) -> None:
    shown = {builtin["name"]: builtin for builtin in await site.admin.get("/api/hooks/builtins")}
    assert {name: (one["trigger"], sorted(one["config_schema"]["properties"])) for name, one in shown.items()} == {
        "file_filter": ("pre", ["exclude_patterns", "include_patterns", "min_size_bytes", "redirect_rules"]),
        "metadata_enrichment": ("post", ["rules"]),
        "access_assignment": ("post", ["grants"]),
    }
    assert all(one["display_name"] and one["description"] for one in shown.values())
    await site.user.get("/api/hooks/builtins", 403)


@BOTH
@pytest.mark.contract("SW-hooks")
@pytest.mark.parametrize(
    "changes",
    [
        {
            "config": {
                "include_patterns": ["*.raw"],
                "min_size_bytes": 1,
                "redirect_rules": [{"pattern": "x*", "destination": "qc"}],
            }
        },
        {"trigger": "post_transfer", "builtin_name": "metadata_enrichment", "config": RULES},
        {"trigger": "post_transfer", "builtin_name": "access_assignment", "config": GRANTS},
        SCRIPT,
        {**SCRIPT, "webhook_url": "", "builtin_name": ""},
        WEBHOOK,
    ],
)
async def test_hooks_of_every_implementation_are_kept(site: Site, changes: dict[str, Any]) -> None:
    instrument = await site.make("instruments")
    made = await site.make("hooks", priority=-3, instrument_id=instrument["id"], **changes)
    assert await site.admin.get(f"/api/hooks/{made['id']}") == made
    assert (made["priority"], made["instrument_id"]) == (-3, instrument["id"])
    assert {name: made[name] for name in changes} == {name: value or None for name, value in changes.items()}
    assert (await site.admin.patch(f"/api/hooks/{made['id']}", {"instrument_id": None}))["instrument_id"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"builtin_name": None}, "builtin_name"),
        ({"builtin_name": "nonsense"}, "builtin_name"),
        ({"trigger": "post_transfer"}, "trigger"),
        ({"trigger": "whenever"}, "trigger"),
        ({"implementation": "shell"}, "implementation"),
        ({"config": None}, "config"),
        ({"config": {}}, "config"),
        ({"config": {"exclude": ["*"]}}, "config.exclude"),
        ({"config": {"redirect_rules": [{"pattern": "*", "destination": "../../etc"}]}}, "config.redirect_rules.0.destination"),
        ({**METADATA, "config": {"rules": []}}, "config.rules"),
        ({**METADATA, "config": {"rules": [{"pattern": "(?P<a>"}]}}, "config.rules.0.pattern"),
        ({**METADATA, "config": {"rules": [{"pattern": "abc"}]}}, "config.rules.0.pattern"),
        ({**ACCESS, "config": {"grants": [{**GRANTS["grants"][0], "source": "literal"}]}}, "config.grants.0"),
        ({"webhook_url": "https://lab.example.org"}, "webhook_url"),
        ({**SCRIPT, "script_path": None}, "script_path"),
        ({**SCRIPT, "script_path": "../x.py"}, "script_path"),
        ({**SCRIPT, "builtin_name": "file_filter"}, "builtin_name"),
        ({**WEBHOOK, "webhook_url": None}, "webhook_url"),
        ({**WEBHOOK, "webhook_url": "file:///etc/passwd"}, "webhook_url"),
        ({**WEBHOOK, "webhook_url": "http://user:pw@host/"}, "webhook_url"),
        ({"instrument_id": str(uuid4())}, "instrument_id"),
        ({"priority": 10**9}, "priority"),
    ],
)  # fmt: skip
async def test_a_hook_that_could_not_work_is_refused(site: Site, changes: dict[str, Any], field: str) -> None:
    """StreamWeave kept them all with 201, and they did nothing."""
    refused = await site.admin.post("/api/hooks", await site.body("hooks", **changes), 422)
    assert refused["details"]["field"] == field
    assert (await site.admin.get("/api/hooks"))["total"] == 0


async def test_a_change_of_a_hook_is_checked_as_a_whole(site: Site) -> None:
    made = await site.make("hooks")
    one = f"/api/hooks/{made['id']}"
    await site.admin.patch(one, {"trigger": "post_transfer"}, 422)
    await site.admin.patch(one, {"implementation": "python_script", "script_path": "x.py"}, 422)
    changed = await site.admin.patch(one, {"implementation": "python_script", "script_path": "x.py", "builtin_name": None})
    assert (changed["implementation"], changed["builtin_name"]) == ("python_script", None)
