"""The files that say which processes run on a data folder."""

import os
import subprocess
import sys
from pathlib import Path

from weft.app.run_file import RunFile, announced, read_run_files


def run(service: str = "weft", pid: int | None = None) -> RunFile:
    return RunFile(service=service, roles=("storage",), url="http://x", pid=pid or os.getpid(), started_at_us=1)


def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_process_is_listed_while_it_runs(tmp_path: Path) -> None:
    with announced(tmp_path, run()):
        assert read_run_files(tmp_path) == [run()]
        assert read_run_files(tmp_path)[0].is_alive

    assert read_run_files(tmp_path) == []


def test_a_process_that_was_killed_stays_listed_as_dead_until_its_service_runs_again(tmp_path: Path) -> None:
    killed = run("storage", dead_pid())
    (tmp_path / "run").mkdir()
    with announced(tmp_path, killed):
        text = (tmp_path / "run" / f"storage-{killed.pid}.json").read_text()
    (tmp_path / "run" / f"storage-{killed.pid}.json").write_text(text)

    with announced(tmp_path, run("dashboard")):
        assert [(found.service, found.is_alive) for found in read_run_files(tmp_path)] == [
            ("dashboard", True),
            ("storage", False),
        ]
    with announced(tmp_path, run("storage")):
        assert [(found.service, found.is_alive) for found in read_run_files(tmp_path)] == [("storage", True)]


def test_a_file_that_cannot_be_read_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "torn-1.json").write_text('{"service": ')

    assert read_run_files(tmp_path) == []
    with announced(tmp_path, run()):
        assert [found.service for found in read_run_files(tmp_path)] == ["weft"]
