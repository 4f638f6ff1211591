"""Commands that talk to a running server, as a shell sees them."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.deployment import Done, Process, clean_environment, run_weft, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One server for all tests here; each uses a source of its own."""
    process = Process(tmp_path_factory.mktemp("server"))
    try:
        process.url()
        yield process
    finally:
        process.kill()


def weft(server: Process, *arguments: str, check: bool = True, **environment: str) -> Done:
    return run_weft(*arguments, "--data-dir", str(server.data_dir), cwd=server.data_dir.parent, check=check, extra=environment)


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_sent_are_found_in_every_format(server: Process) -> None:
    sent = json.loads(
        weft(server, "send-event", "--type", "metric", "--count", "3", "--source", "a", "--data",
             '{"name": "t", "value": 21.5}', "--severity", "high", "--format", "json").stdout
    )  # fmt: skip

    assert sent["sent"] == 3
    assert sent["errors"] == []
    found = json.loads(weft(server, "query", "--source", "a", "--format", "json").stdout)
    assert sorted(event["id"] for event in found) == sorted(sent["event_ids"])
    assert found[0]["data"] == {"name": "t", "value": 21.5}
    assert found[0]["severity"] == "high"
    assert lines(weft(server, "query", "--source", "a", "--format", "ndjson").stdout) == found
    table = weft(server, "query", "--source", "a").stdout
    assert table.count("metric") == 3
    rows = list(csv.DictReader(io.StringIO(weft(server, "query", "--source", "a", "--format", "csv").stdout)))
    assert [json.loads(row["data"]) for row in rows] == [{"name": "t", "value": 21.5}] * 3


def test_more_events_than_a_request_holds_are_sent_and_paged(server: Process) -> None:
    weft(server, "send-event", "--count", "1203", "--source", "many")

    found = lines(weft(server, "query", "--source", "many", "--limit", "1300", "--order", "asc", "--format", "ndjson").stdout)
    assert [event["data"]["number"] for event in found] == list(range(1203))
    assert len(lines(weft(server, "query", "--source", "many", "--limit", "7", "--format", "ndjson").stdout)) == 7


def test_conditions_and_times_narrow_a_query(server: Process) -> None:
    for room, value in (("lab", "1"), ("hall", "2")):
        weft(server, "send-event", "--source", "where", "--data", f'{{"room": "{room}", "value": {value}}}')

    def ask(*arguments: str) -> list[Any]:
        return [
            event["data"]["room"]
            for event in lines(weft(server, "query", "--source", "where", "--format", "ndjson", *arguments).stdout)
        ]

    assert ask("--where", "room=lab") == ["lab"]
    assert ask("--where", "data.value=2") == ["hall"]
    assert len(ask("--from", "5m")) == 2
    assert ask("--to", "2020-01-01T00:00:00Z") == []
    wrong = weft(server, "query", "--where", "room", check=False)
    assert (wrong.returncode, "'room' is not a condition" in wrong.stderr) == (2, True)
    wrong = weft(server, "query", "--from", "yesterday", check=False)
    assert (wrong.returncode, "start" in wrong.stderr) == (2, True)


def test_aggregations_have_one_row_per_group(server: Process) -> None:
    for value in ("1", "3"):
        weft(server, "send-event", "--source", "sums", "--data", f'{{"value": {value}, "room": "lab"}}')
    base = ("query", "--source", "sums", "--metric", "sum", "--field", "data.value", "--format", "json")

    assert json.loads(weft(server, *base, "--group-by", "source").stdout) == [{"source": "sums", "value": 4}]
    (row,) = json.loads(weft(server, *base, "-g", "source", "-g", "data.room").stdout)
    assert (row["source"], row["data.room"], row["value"]) == ("sums", "lab", 4)
    assert json.loads(weft(server, *base, "--interval", "1h").stdout)[0]["value"] == 4


def test_tail_reads_what_is_there_and_follow_what_comes(server: Process) -> None:
    weft(server, "send-event", "--source", "tail-before")
    there = lines(weft(server, "tail", "events").stdout)
    assert there[-1]["source"] == "tail-before"
    last = there[-1]
    assert lines(weft(server, "tail", "--from", f"0:{last['offset']}").stdout) == [last]
    assert weft(server, "tail", "--from", "latest").stdout == ""

    following = subprocess.Popen(
        [sys.executable, "-m", "weft", "tail", "--follow", "--from", f"0:{last['offset']}", "--limit", "2",
         "--data-dir", str(server.data_dir)],
        env=clean_environment(), stdout=subprocess.PIPE, text=True, cwd=server.data_dir.parent,
    )  # fmt: skip
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["id"] == last["id"]
    weft(server, "send-event", "--source", "tail-after")
    assert json.loads(following.stdout.readline())["source"] == "tail-after"
    assert following.wait(20) == 0
    following.stdout.close()


def test_a_topic_nobody_wrote_to_ends_with_5(server: Process) -> None:
    assert weft(server, "tail", "nothing", check=False).returncode == 5


def test_refused_events_are_told_and_end_with_1(server: Process) -> None:
    done = weft(server, "send-event", "--type", "metric", "--data", '{"value": "warm"}', check=False)

    assert done.returncode != 0
    assert "value" in done.stderr or "name" in done.stderr
    wrong = weft(server, "send-event", "--data", "[1]", check=False)
    assert (wrong.returncode, "JSON object" in wrong.stderr) == (2, True)


@pytest.mark.contract("SF-27", "SF-28")
def test_status_and_health_agree_with_the_server(server: Process) -> None:
    status = json.loads(weft(server, "status", "--format", "json").stdout)
    (process,) = status["processes"]
    assert process["status"] == "healthy"
    assert sorted(process["roles"]) == ["alerting", "analytics", "dashboard", "ingestion", "storage"]
    assert status["verdict"]["level"] in {"fine", "unknown"}
    assert {"log.writable", "query.conservation", "ingest.rate"} <= {found["code"] for found in status["verdict"]["findings"]}
    assert set(status["metrics"]) == {"events_per_second", "active_users", "error_rate", "response_time_avg"}
    assert json.loads(weft(server, "health", "--format", "json").stdout)[0]["checks"]["store"] == {"status": "healthy"}
    assert weft(server, "health", "--service", "alerting").returncode == 0
    assert weft(server, "health", "--service", "harvest", check=False).returncode == 3


def test_a_url_and_a_token_reach_a_server_without_its_folder(server: Process, tmp_path: Path) -> None:
    key = (server.data_dir / "secrets" / "local.key").read_text(encoding="utf-8")

    done = run_weft("query", "--url", server.url(), cwd=tmp_path, extra={"WEFT_TOKEN": key})
    assert done.returncode == 0
    stranger = run_weft("query", cwd=tmp_path, check=False, extra={"WEFT_URL": server.url()})
    assert stranger.returncode == 4
    assert run_weft("health", "--url", server.url(), cwd=tmp_path).returncode == 0


def test_a_key_made_beside_a_running_server_works_at_once_and_no_longer_when_revoked(server: Process) -> None:
    made = json.loads(weft(server, "keys", "create", "probe", "--format", "json").stdout)
    event = {"type": "custom", "source": "key", "data": {}}

    def post() -> int:
        return httpx.post(f"{server.url()}/events", json=event, headers={"X-API-Key": made["key"]}).status_code

    assert post() == 201
    weft(server, "keys", "revoke", made["prefix"])
    wait_until(lambda: post() == 401 or None, "the server went on trusting a revoked key")


def test_there_are_no_dead_letters_on_a_good_day(server: Process) -> None:
    assert json.loads(weft(server, "dlq", "list", "--format", "json").stdout) == []
    assert weft(server, "dlq", "replay").stdout == "Handed in 0 events again.\n"


def test_verify_beside_a_running_server_finds_everything(server: Process) -> None:
    weft(server, "send-event", "--count", "20", "--source", "verify")

    done = json.loads(weft(server, "verify", "--all", "--format", "json").stdout)

    assert done["ok"]
    assert done["looked_up"] >= 20


def test_an_answer_cut_off_by_its_reader_is_no_error(server: Process) -> None:
    weft(server, "send-event", "--count", "500", "--source", "head")
    command = f"{sys.executable} -m weft query --source head --limit 500 --format ndjson --data-dir {server.data_dir} | head -1"

    done = subprocess.run(command, shell=True, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True)

    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_instruments_are_added_listed_deleted_and_restored(server: Process) -> None:
    weft(
        server,
        "instruments",
        "add",
        "NMR 500",
        "--host",
        "nmr.lab.local",
        "--share",
        "data",
        "--port",
        "1445",
        "--quiet-s",
        "2",
    )
    (made,) = json.loads(weft(server, "instruments", "list", "--format", "json").stdout)
    assert (made["name"], made["cifs_port"], made["transfer_config"]) == ("NMR 500", 1445, {"quiet_s": 2.0})
    again = weft(server, "instruments", "add", "nmr 500", "--host", "h", "--share", "s", check=False)
    assert (again.returncode, "NMR 500" in again.stderr) == (1, True)
    weft(server, "instruments", "delete", made["id"])
    assert json.loads(weft(server, "instruments", "list", "--format", "json").stdout) == []
    weft(server, "instruments", "restore", made["id"])
    assert "NMR 500" in weft(server, "instruments", "list").stdout
