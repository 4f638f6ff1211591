"""The manual is true: generated pages are up to date, links lead somewhere, every noun has its entry."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generator.page import ROOT
from docs.generator.tree import ROOMS, modules

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])
NOUNS = """
Event batch topic partition offset positions group lag tick watermark late repeat horizon segment tail flush manifest compaction
retention erasure cursor series conservation verdict finding principal role scope door feed adapter port reach worker clock
subject severity data source
"""
NOUNS_TO_COME = """
window rule alert instrument device driver lease interlock location dataset transfer receipt identifier ledger
"""
NOUNS_OF_MANY_WORDS = ("process role", "API key", "dead letter", "event type", "host source", "continuous query")


def test_the_generated_pages_are_what_the_code_says() -> None:
    command = [sys.executable, "-m", "docs", "--check"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("word", [*ROOMS, *NOUNS.split(), *NOUNS_TO_COME.split(), *NOUNS_OF_MANY_WORDS])
def test_every_room_and_noun_has_an_entry_in_the_glossary(word: str) -> None:
    entries = re.findall(r"\*\*([^*]+)\*\*", (DOCS / "glossary.md").read_text(encoding="utf-8"))

    assert entries.count(word) == 1, f"'{word}' stands {entries.count(word)} times in docs/glossary.md"


def test_every_port_has_an_entry_in_the_glossary() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    ports = [
        name
        for place, module in modules().items()
        if place.endswith("/port.py")
        for name in re.findall(r"class (\w+)\([^)]*\bABC\)", (ROOT / "src" / "weft" / place).read_text(encoding="utf-8"))
    ]

    assert ports
    assert [port for port in ports if f"**{port}**" not in glossary] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_inside_the_manual_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not target.startswith(("http://", "https://", "#", "mailto:")) and not (page.parent / target.split("#")[0]).exists()
    ]

    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.name != "README.md"]

    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize("number", range(1, 13))
def test_every_promise_names_the_tests_that_prove_it(number: int) -> None:
    text = (DOCS / "promises.md").read_text(encoding="utf-8")
    found = re.search(rf"^## P{number} .*?(?=^## P|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"P{number} is missing"

    if "*Not built yet" not in found[0]:
        proofs = re.findall(r"`((?:tests|src)/[^`]+\.py)`", found[0])
        assert proofs, f"P{number} names no test"
        assert [proof for proof in proofs if not (ROOT / proof).exists()] == []


def test_every_decision_has_its_parts() -> None:
    for path in sorted((DOCS / "decisions").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} ", text), f"{path.name} does not begin with its number"
        for part in ("Status:", "## Context", "## Decision", "## Consequences", "## Alternatives that lost"):
            assert part in text, f"{path.name} has no '{part}'"
