"""The example programs work as their page says."""

import subprocess
import sys

import pytest

from docs.generator.page import ROOT
from tests.docs.conftest import Weft

pytestmark = pytest.mark.xdist_group("manual")  # one Weft serves them all

PROGRAMS = sorted((ROOT / "examples").glob("*.py"))


def _run(weft: Weft, program: str, *arguments: str) -> str:
    url = f"http://127.0.0.1:{weft.ports['8000']}"
    command = [sys.executable, str(ROOT / "examples" / program), *arguments, "--url", url]
    done = subprocess.run(
        command, cwd=weft.folder, env=weft.environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.contract("SF-326")
def test_a_csv_file_sent_twice_is_stored_once(weft: Weft) -> None:
    lines = ["time_min,uv_254"] + [f"{number / 10},{number * 1.5}" for number in range(1, 1201)]
    (weft.folder / "run.csv").write_text("\n".join(lines), encoding="utf-8")

    assert _run(weft, "send_csv.py", "run.csv", "--source", "hplc-1") == "1200 stored, 0 were there already, 0 refused"
    assert _run(weft, "send_csv.py", "run.csv", "--source", "hplc-1") == "0 stored, 1200 were there already, 0 refused"


def test_a_topic_is_followed_from_its_beginning(weft: Weft) -> None:
    key = (weft.folder / "weft-data" / "secrets" / "local.key").read_text().strip()

    printed = _run(weft, "follow_topic.py", "--key", key, "--from", "earliest", "--count", "5")

    assert len(printed.splitlines()) == 5


def test_every_program_is_on_the_page() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

    assert [program.name for program in PROGRAMS if f"({program.name})" not in page] == []
