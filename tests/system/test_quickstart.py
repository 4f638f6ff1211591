"""What a newcomer does first works as printed."""

import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.system.deployment import FreshProcess, Process, clean_environment, run_weft

SAMPLING = {"WEFT_INGEST__HOST_SOURCE": "true", "WEFT_INGEST__HOST_INTERVAL_S": "0.2"}


def paste(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell does with a line."""
    return subprocess.run(
        line, shell=True, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_both_printed_lines_work_when_pasted_and_ctrl_c_ends_it_with_0(tmp_path: Path) -> None:
    process = FreshProcess(tmp_path, environment=SAMPLING)
    try:
        url = process.url()
        printed = process.wait_for("Ctrl-C stops it.")
        curl = next(line.strip() for line in printed.splitlines() if line.strip().startswith("curl "))
        weft = next(line.strip() for line in printed.splitlines() if " query " in line)

        posted = paste(curl, tmp_path)
        process.wait_for_events(source="host")
        queried = paste(weft, tmp_path)

        assert url in printed
        assert str(process.data_dir) in printed
        assert posted.returncode == 0, posted.stderr
        assert '"success":true' in posted.stdout
        assert '"durability":"fsync"' in posted.stdout
        assert queried.returncode == 0, queried.stderr
        assert "system.metric" in queried.stdout
        assert "cpu_share" in queried.stdout
        process.signal(signal.SIGINT)
        assert process.wait() == 0
        assert not list((process.data_dir / "run").glob("*.json"))
    finally:
        process.kill()


def test_the_first_administrator_can_sign_in_and_the_password_is_printed_once(tmp_path: Path) -> None:
    first = Process(tmp_path)
    try:
        url = first.url()
        found = re.search(r"First administrator: (\S+)\s+password: (\S+)", first.wait_for("Ctrl-C stops it."))
        assert found is not None
        signed_in = httpx.post(f"{url}/auth/login", json={"username": found[1], "password": found[2]}, timeout=30)
        assert signed_in.status_code == 200, signed_in.text
        assert first.stop() == 0
        second = Process(tmp_path)
        second.url()
        assert "password:" not in second.wait_for("Ctrl-C stops it.")
        second.kill()
    finally:
        first.kill()


@pytest.mark.contract("SF-29", "SF-30")
def test_send_event_sends_as_many_as_asked(tmp_path: Path) -> None:
    process = Process(tmp_path)
    try:
        process.url()
        folder = ("--data-dir", str(process.data_dir))
        run_weft("send-event", "--type", "web.click", "--count", "10", *folder, cwd=tmp_path)
        run_weft("send-event", "--type", "api.request", *folder, cwd=tmp_path)
        counted = run_weft("query", "--group-by", "type", "--format", "csv", *folder, cwd=tmp_path)

        assert sorted(counted.stdout.split()) == ["api.request,1", "type,value", "web.click,10"]
    finally:
        process.kill()


@pytest.mark.contract("SF-24")
def test_both_module_forms_are_the_same_program(tmp_path: Path) -> None:
    import sys

    for module in ("weft", "weft.cli"):
        done = subprocess.run(
            [sys.executable, "-m", module, "version"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stdout.startswith("weft ")
