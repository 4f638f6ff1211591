"""What a stranger finds: it installs from the source, sets itself up, and cleans up after itself without touching data."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from docs.generator.page import ROOT
from docs.generator.tree import texts

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.contract("SF-314")
def test_a_wheel_builds_from_the_source_and_holds_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("weft/")}

    kept = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "weft").rglob("*") if path.is_file()}
    assert {name for name in kept if "__pycache__" not in name} - held == set(), "these files would be missing after an install"


@pytest.mark.contract("SF-318", "SF-D45")
def test_nothing_asks_for_the_event_loop_of_another_system() -> None:
    found = [name for name, text in texts(".py") if re.search(r"WindowsSelector\w+|set_event_loop_polic[y]", text)]

    assert found == []


@pytest.mark.contract("SF-327", "SF-329")
@pytest.mark.parametrize("page", ["docs/explanation/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/README.md"])
def test_the_promised_pages_are_there(page: str) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8")) > 500


@pytest.mark.contract("LM-12", "LM-19", "HC-372", "SF-10")
def test_every_command_is_in_the_makefile_and_explained() -> None:
    targets = dict(re.findall(r"^([a-z]+):[^#\n]*## (.+)$", MAKEFILE, re.MULTILINE))

    assert {"setup", "run", "test", "check", "fix", "bench", "docs", "clean"} <= set(targets)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make run" in readme
    assert "make test" in readme


@pytest.mark.contract("LM-26")
def test_cleaning_leaves_the_data_alone() -> None:
    recipe = MAKEFILE.partition("\nclean:")[2].partition("\n\n")[0]

    assert "rm -rf" in recipe
    assert "weft-data" not in recipe


@pytest.mark.contract("SF-D12")
def test_every_setting_has_a_description_with_its_default_on_the_page() -> None:
    from weft.app.tree import description_of, fields

    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

    assert [field for field in fields() if not description_of(field).endswith((".", ")"))] == [], (
        "a setting does not say what it is"
    )
    assert [field for field in fields() if f"`{'.'.join(field)}`" not in page] == []


def test_ci_runs_the_checks_and_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    for command in ("make setup", "make check", "make test", ".ci/skipped.py"):
        assert command in script


def test_what_may_be_skipped_has_a_reason() -> None:
    lines = (ROOT / ".ci" / "may-skip.txt").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.strip() and not line.startswith("#") and not line.partition("#")[2].strip()] == []


def test_hooks_come_from_the_projects_own_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks["repos"][0]["hooks"])


def test_a_skipped_test_that_is_not_on_the_list_fails_the_build(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    case = '<testcase classname="a" name="b"><skipped message="no broker"/></testcase>'
    report.write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    allowed = tmp_path / "may-skip.txt"

    for text, code in (("", 1), ("no broker  # there is none here", 0)):
        allowed.write_text(text)
        command = [sys.executable, str(ROOT / ".ci" / "skipped.py"), str(report), str(allowed)]
        assert subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == code
