"""What may stand in the repository, and what may not."""

import re
import tomllib

import pytest

from docs.generator.page import ROOT
from docs.generator.tree import kept_files, texts

AT_THE_ROOT = {
    ".ci",
    ".env.example",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "bench",
    "docs",
    "examples",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-uv.txt",
    "requirements.txt",
    "src",
    "tests",
}
LARGEST_BYTES = 1024 * 1024


def test_nothing_unexpected_stands_at_the_root() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in kept_files()}

    assert found - AT_THE_ROOT == set(), "a new folder or file at the root needs a decision record and a line here"


def test_no_file_is_large() -> None:
    large = [path.name for path in kept_files() if path.stat().st_size > LARGEST_BYTES]

    assert large == [], "data belongs elsewhere"


# Each pattern, and what it would mean to find it. They are written so that this file does not match itself.
FORBIDDEN = {
    r"(?:pypi|pythonhosted|npmjs)\.(?:org|com)|index-u[r]l\s*=": "the name of a package registry",
    r"(?<![\w.:/-])/(?:wor[k]|hom[e]|roo[t]|User[s])/[\w.]": "an absolute path of somebody's machine",
    r"\bLD_LIBRARY_PAT[H]\b": "a setting of somebody's machine",
    r"BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KE[Y]": "a private key",
    r"\bAKI[A][0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{20,}": "a credential",
    r"(?i)\b(?:TOD[O]|FIXM[E]|XX[X])\b": "a note to self; do it or leave it out",
}


@pytest.mark.parametrize(("pattern", "meaning"), FORBIDDEN.items())
@pytest.mark.contract("SF-343", "HC-S29")
def test_no_file_holds(pattern: str, meaning: str) -> None:
    expression = re.compile(pattern)
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if expression.search(line)
    ]

    assert found == [], f"these lines hold {meaning}"


@pytest.mark.contract("SF-D56")
def test_the_package_has_its_own_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["name"] == "weft"
    assert set(project["scripts"]) == {"weft"}


@pytest.mark.contract("SF-40")
def test_the_version_is_written_once() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    expression = re.compile(rf"""["']{re.escape(version)}["']""")
    written = [name for name, text in texts(".py", ".toml") if not name.startswith("tests/") and expression.search(text)]

    assert written == ["pyproject.toml"], "everything else asks the installed package for its version"


@pytest.mark.contract("SF-330", "LM-69")
def test_the_licence_is_mit() -> None:
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.contract("SF-319", "SF-320", "SF-321", "SF-322", "SF-323", "SF-36", "LM-67")
def test_every_kind_of_test_has_its_folder() -> None:
    for kind in ("unit", "conformance", "integration", "system", "repo", "docs"):
        assert list((ROOT / "tests" / kind).rglob("test_*.py")), f"tests/{kind} is empty"
    assert list((ROOT / "bench").rglob("*.py")), "bench is empty"


def test_python_files_use_absolute_imports_and_no_tests_hide_in_the_package() -> None:
    hidden = [path.name for path in (ROOT / "src").rglob("test_*.py")]

    assert hidden == []
