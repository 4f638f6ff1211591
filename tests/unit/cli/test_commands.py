"""Commands that need no server: help, configuration, accounts, keys, and how failures are said."""

import csv
import io
import json
import stat
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Weft
from weft import __version__
from weft.cli.exits import Exit, Unreachable, code_of
from weft.core import errors

COMMANDS = ("start", "status", "health", "send-event", "query", "tail", "verify", "erase", "init", "version")


def test_help_lists_every_command_and_the_exit_codes(weft: Weft) -> None:
    done = weft("--help")

    assert done.code == 0
    for command in (*COMMANDS, "dlq", "users", "keys", "config"):
        assert f"  {command} " in done.out
    assert "3 no server reached" in " ".join(done.out.split())


@pytest.mark.parametrize(
    "command", [(name,) for name in COMMANDS] + [("users", "create"), ("keys", "revoke"), ("dlq", "replay")]
)
def test_every_command_explains_itself(weft: Weft, command: tuple[str, ...]) -> None:
    done = weft(*command, "--help")

    assert done.code == 0
    assert "Usage: weft " + " ".join(command) in done.out


def test_nothing_at_all_shows_the_help(weft: Weft) -> None:
    done = weft()

    assert "Usage: weft" in done.out + done.err


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("query", "--nonsense"), ("send-event", "--count", "many"), ("tail", "--format", "xml")]
)
def test_wrong_usage_ends_with_2(weft: Weft, arguments: tuple[str, ...]) -> None:
    done = weft(*arguments)

    assert done.code == Exit.USAGE
    assert done.err


def test_the_version_is_the_installed_one(weft: Weft) -> None:
    assert weft("version").out.startswith(f"weft {__version__} ")
    assert json.loads(weft("version", "--format", "json").out)["version"] == __version__


def test_the_exit_codes_never_change_their_meaning() -> None:
    assert {code.name: code.value for code in Exit} == {
        "OK": 0, "FAILED": 1, "USAGE": 2, "UNREACHABLE": 3, "NOT_ALLOWED": 4, "NOT_FOUND": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Invalid("x"), 2), (errors.Malformed("x"), 2), (errors.Unauthenticated("x"), 4), (errors.NotAllowed("x"), 4),
        (errors.NotFound("x"), 5), (Unreachable("x"), 3), (errors.Unavailable("x"), 1), (errors.Conflict("x"), 1),
        (errors.Corrupt("x"), 1), (errors.Busy("x"), 1),
    ],
)  # fmt: skip
def test_every_kind_of_error_has_its_exit_code(error: errors.WeftError, code: int) -> None:
    assert code_of(error) == code


def test_config_check_says_what_would_run(weft: Weft) -> None:
    done = weft("config", "check")

    assert done.code == 0
    assert "storage, analytics, alerting, dashboard, ingestion on 127.0.0.1 port 8000" in done.out


def test_config_check_lists_every_problem_and_ends_with_2(weft: Weft) -> None:
    done = weft("config", "check", WEFT_APP__PROT="1", LOG_LEVEL="LOUD")

    assert done.code == Exit.USAGE
    assert "WEFT_APP__PROT is not a setting; did you mean WEFT_APP__PORT?" in done.err
    assert "LOG_LEVEL: 'LOUD' cannot be used" in done.err


def test_config_show_tells_values_and_origins(weft: Weft) -> None:
    assert "Nothing differs" in weft("config", "show", "--changed").err
    rows = json.loads(weft("config", "show", "--changed", "--format", "json", LOG_LEVEL="ERROR", JWT_SECRET_KEY="hunter2").out)

    shown = {row["field"]: (row["value"], row["origin"]) for row in rows}
    assert shown == {"api.log_level": ("ERROR", "LOG_LEVEL"), "auth.secret_key": ("********", "JWT_SECRET_KEY")}
    assert "api.log_level" in weft("config", "show").out


def test_init_writes_a_file_that_can_be_used_and_secrets_nobody_else_reads(weft: Weft, tmp_path: Path) -> None:
    done = weft("init")

    assert done.code == 0
    assert weft("config", "check").out.startswith("The configuration is fine (config.yaml)")
    secrets = list((tmp_path / "weft-data" / "secrets").glob("*.key"))
    assert secrets
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets} == {0o600}
    again = weft("init")
    assert again.code == Exit.FAILED
    assert "--force" in again.err
    assert weft("init", "--force").code == 0


@pytest.mark.parametrize("command", ["status", "health", "query", "tail", "send-event"])
def test_without_a_server_every_command_says_how_to_start_one_and_ends_with_3(weft: Weft, command: str) -> None:
    done = weft(command)

    assert done.code == Exit.UNREACHABLE
    assert done.err.startswith("weft: no server runs on the data folder weft-data; start one with `weft start`")


def test_a_server_that_does_not_answer_is_said_so(weft: Weft, free_port: int) -> None:
    done = weft("query", "--url", f"http://127.0.0.1:{free_port}")

    assert done.code == Exit.UNREACHABLE
    assert f"http://127.0.0.1:{free_port} cannot be reached" in done.err


def test_the_health_of_a_server_that_is_not_there_ends_with_3(weft: Weft, free_port: int) -> None:
    for url in (f"http://127.0.0.1:{free_port}", "nonsense"):
        assert weft("health", "--url", url).code == Exit.UNREACHABLE


def test_a_file_that_cannot_be_written_is_a_sentence(weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = weft("init", str(tmp_path / "file"))

    assert done.code == Exit.FAILED
    assert done.err.startswith(f"weft: {tmp_path}/file")


def test_a_configuration_file_that_is_not_there_ends_with_5(weft: Weft) -> None:
    assert weft("config", "show", "--config", "missing.yaml").code == Exit.NOT_FOUND


def test_accounts_are_made_listed_changed_and_locked(weft: Weft) -> None:
    made = weft("users", "create", "Ada@Example.org", "--role", "admin")
    assert made.code == 0
    assert "Password: " in made.out
    assert weft("users", "create", "bob@example.org", "--password", "a long pass phrase").code == 0
    taken = weft("users", "create", "bob@example.org")
    assert (taken.code, "exists already" in taken.err) == (Exit.FAILED, True)

    assert weft("users", "set-role", "bob@example.org", "operator").code == 0
    assert weft("users", "set-password", "bob@example.org").code == 0
    assert weft("users", "deactivate", "bob@example.org").code == 0
    last = weft("users", "deactivate", "ada@example.org")
    assert (last.code, "last administrator" in last.err) == (Exit.FAILED, True)
    assert weft("users", "set-role", "nobody@example.org", "user").code == Exit.NOT_FOUND
    assert weft("users", "create", "c@example.org", "--password", "short").code == Exit.USAGE

    rows = json.loads(weft("users", "list", "--format", "json").out)
    assert [(row["email"], row["role"], row["is_active"]) for row in rows] == [
        ("ada@example.org", "admin", True),
        ("bob@example.org", "operator", False),
    ]


def test_keys_are_made_listed_and_revoked(weft: Weft) -> None:
    assert weft("keys", "create", "probe").code == Exit.NOT_FOUND
    weft("users", "create", "ada@example.org", "--role", "admin")

    made = weft("keys", "create", "probe", "--scope", "events:read", "--scope", "events:write", "--format", "json")
    key = json.loads(made.out)
    assert key["key"].startswith(key["prefix"] + "_")
    plain = weft("keys", "create", "other")
    assert plain.out.startswith("weft_")
    assert len(plain.out.split()) == 1, "a script must be able to take the output as the key"
    assert weft("keys", "revoke", key["prefix"]).code == 0
    assert weft("keys", "revoke", "nonsense").code == Exit.NOT_FOUND

    listed = list(csv.DictReader(io.StringIO(weft("keys", "list", "--format", "csv").out)))
    assert [(row["name"], row["scopes"], bool(row["revoked_at"])) for row in listed] == [
        ("other", "events:write", False),
        ("probe", "events:read events:write", True),
    ]


def test_the_secret_of_a_key_is_never_listed(weft: Weft) -> None:
    weft("users", "create", "ada@example.org", "--role", "admin")
    secret = weft("keys", "create", "probe").out.strip().rpartition("_")[2]

    for style in ("table", "json", "ndjson", "csv"):
        assert secret not in weft("keys", "list", "--format", style).out


def test_erase_refuses_to_erase_everything(weft: Weft) -> None:
    done = weft("erase", "--yes")

    assert done.code == Exit.USAGE
    assert "say what to erase" in done.err


def test_a_table_in_a_pipe_has_no_colours(weft: Weft) -> None:
    assert "\x1b" not in weft("config", "show").out


def test_verify_of_a_folder_nobody_ever_used_is_a_sentence(weft: Weft) -> None:
    done = weft("verify")

    assert done.code == Exit.FAILED
    assert "there is no log at" in done.err
