"""The requirements files are complete, hold hashes, name no registry, and follow pyproject.toml."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docs.generator.page import ROOT
from docs.generator.tree import imports_of, modules

# Asked for by name because a package we import needs them and does not bring them, and why.
NEEDED_BY_OTHERS = {
    "aiosqlite": "SQLAlchemy's driver for SQLite",
    "email-validator": "checks the addresses of accounts",
    "greenlet": "SQLAlchemy's asynchronous side",
    "fastapi-swagger": "its files are served, its code is not called",
    "httptools": "uvicorn's parser",
    "python-multipart": "reads the login form",
    "websockets": "uvicorn's WebSocket protocol",
}
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-uv.txt")


def _pins(name: str) -> dict[str, str]:
    """What is pinned for the platform that runs this test."""
    lines = re.findall(r"^([A-Za-z0-9][^\\\n]*)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    pinned = [Requirement(line.strip()) for line in lines]
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pinned
        if pin.marker is None or pin.marker.evaluate({"extra": ""})
    }


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.contract("HC-S40")
def test_every_pin_has_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", text) if re.match(r"[A-Za-z0-9]", entry)]

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?://|--(?:extra-)?index|--find-links|git\+", text) == []


@pytest.mark.parametrize(("name", "groups"), [("requirements.txt", False), ("requirements-dev.txt", True)])
def test_the_pins_satisfy_what_the_project_asks_for(project: dict[str, Any], name: str, groups: bool) -> None:
    pins = _pins(name)
    asked = [
        Requirement(text)
        for text in project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if groups else [])
    ]
    wrong = [
        f"{requirement}: {pins.get(canonicalize_name(requirement.name), 'missing')}"
        for requirement in asked
        if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]

    assert wrong == [], "run `make lock`"


def test_both_files_pin_the_same_versions() -> None:
    runtime, development = _pins("requirements.txt"), _pins("requirements-dev.txt")

    assert {name: (pin, development.get(name)) for name, pin in runtime.items() if development.get(name) != pin} == {}


def test_the_environment_is_the_one_that_is_pinned() -> None:
    from importlib.metadata import PackageNotFoundError, version

    wrong: dict[str, str] = {}
    for name, pin in _pins("requirements.txt").items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "nothing"
        if installed != pin:
            wrong[name] = f"{installed} is installed, {pin} is pinned"

    assert wrong == {}, "run `make setup`"


@pytest.mark.contract("SF-D46")
def test_the_floor_is_python_3_11(project: dict[str, Any]) -> None:
    assert project["project"]["requires-python"] == ">=3.11"


def test_every_dependency_is_accounted_for_in_the_decision(project: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "decisions" / "0008-dependencies-and-pins.md").read_text(encoding="utf-8")
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]

    assert [text for text in asked if f"| {Requirement(text).name} |" not in page] == []


def test_the_limits_of_prefect_are_kept() -> None:
    pins = _pins("requirements.txt")

    for limit in ("fastapi<0.160", "sqlalchemy<2.1", "websockets<17"):
        requirement = Requirement(limit)
        assert requirement.specifier.contains(pins[requirement.name]), f"{limit}: see docs/decisions/0008"


@pytest.mark.contract("SF-10", "SF-324")
def test_the_test_tools_are_the_promised_ones() -> None:
    pins = _pins("requirements-dev.txt")

    assert {"pytest", "pytest-asyncio", "pytest-cov", "httpx"} <= set(pins)


@pytest.mark.contract("SF-21")
def test_types_are_checked_strictly(project: dict[str, Any]) -> None:
    assert project["tool"]["pyright"]["typeCheckingMode"] == "strict"
    assert project["tool"]["pyright"]["include"] == ["src"]
    assert (ROOT / "src" / "weft" / "py.typed").exists()


def test_no_dependency_is_asked_for_in_vain(project: dict[str, Any]) -> None:
    from importlib.metadata import packages_distributions

    brought_by = packages_distributions()
    imported = {name.split(".")[0] for module in modules().values() for name in imports_of(module)}
    used = {canonicalize_name(package) for name in imported for package in brought_by.get(name, [])}
    asked = {canonicalize_name(Requirement(text).name) for text in project["project"]["dependencies"]}

    assert asked - used - set(NEEDED_BY_OTHERS) == set(), "nothing imports these"
    assert set(NEEDED_BY_OTHERS) - asked == set()
