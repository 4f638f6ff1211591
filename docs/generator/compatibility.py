"""The compatibility page: every row of the earlier systems' contracts, with the tests that prove it or the reason it differs.

The rows stand in `docs/reference/compatibility/*.yaml`. The proofs are read from the tests' own marks
(`@pytest.mark.contract("SF-64")`), by looking at the source, so nothing has to be imported to write the page.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import yaml

from docs.generator.page import ROOT, header

Status = Literal["met", "differs", "later"]

ROWS: Final = ROOT / "docs" / "reference" / "compatibility"
CONTRACTS: Final = ("streamflow", "hardware", "loom", "streamweave")
MARKED: Final = (ROOT / "tests", ROOT / "src" / "weft" / "testing")
_KEYS: Final[dict[Status, set[str]]] = {"met": {"note", "proof"}, "differs": {"why"}, "later": {"room", "now"}}
_NEEDED: Final[dict[Status, str | None]] = {"met": None, "differs": "why", "later": "room"}
_SHOWN: Final = 3


class WrongRow(Exception):
    """A row of the data is not written as it should be."""


@dataclass(frozen=True)
class Row:
    """One row of a contract: its name, what it asks, how it stands, and why or when."""

    name: str
    what: str
    status: Status
    note: str
    proof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Rows under one heading."""

    title: str
    rows: list[Row]


@dataclass(frozen=True)
class Contract:
    """One earlier system."""

    title: str
    intro: str
    sections: list[Section]

    @property
    def rows(self) -> list[Row]:
        """Every row of it, in order."""
        return [row for section in self.sections for row in section.rows]


@dataclass
class Marks:
    """Which tests carry the mark of a row."""

    tests: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def add(self, row: str, test: str) -> None:
        """Remember a test for a row, once."""
        known = self.tests.setdefault(row, [])
        if test not in known:
            known.append(test)


def read_contracts() -> list[Contract]:
    """All contracts, in the order of the page. Raises WrongRow, naming the row."""
    return [_contract(ROWS / f"{name}.yaml") for name in CONTRACTS]


def _contract(path: Path) -> Contract:
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    sections = [
        Section(title=part["title"], rows=[_row(name, entry) for name, entry in part["rows"].items()])
        for part in text["sections"]
    ]
    return Contract(title=text["title"], intro=text["intro"], sections=sections)


def _row(name: str, entry: dict[str, str]) -> Row:
    status = next((status for status in _KEYS if status in entry), None)
    if status is None:
        raise WrongRow(f"{name} is neither met nor differs nor later")
    if unknown := set(entry) - _KEYS[status] - {status}:
        raise WrongRow(f"{name} has keys that do not belong to '{status}': {sorted(unknown)}")
    if (needed := _NEEDED[status]) and not entry.get(needed):
        raise WrongRow(f"{name} is '{status}' and does not say '{needed}'")
    return Row(name=name, what=entry[status], status=status, note=_note(entry), proof=tuple(entry.get("proof", "").split()))


def _note(entry: dict[str, str]) -> str:
    parts = [
        entry.get("why", ""),
        f"with {entry['room']}" if "room" in entry else "",
        f"today: {entry['now']}" if "now" in entry else "",
        entry.get("note", ""),
    ]
    return "; ".join(part for part in parts if part)


def read_proofs() -> Marks:
    """The marks, and the tests that a row names itself because they prove more than it asks."""
    proofs = read_marks()
    for contract in read_contracts():
        for row in contract.rows:
            for test in row.proof:
                proofs.add(row.name, test)
    return proofs


def read_marks() -> Marks:
    """Every contract mark in the tests and in the shipped conformance suites."""
    marks = Marks()
    for folder in MARKED:
        for path in sorted(folder.rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            for row, test in _marks_in(ast.parse(path.read_text(encoding="utf-8"))):
                marks.add(row, f"{place}::{test}" if test else place)
    return marks


def _marks_in(module: ast.Module) -> Iterator[tuple[str, str]]:
    for statement in module.body:
        if isinstance(statement, ast.ClassDef):
            for inner in statement.body:
                named = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from ((row, f"{statement.name}::{inner.name}" if named else statement.name) for row in _rows_of(inner))
            for decorator in statement.decorator_list:
                yield from ((row, statement.name) for row in _rows_of(decorator))
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ((row, statement.name) for row in _rows_of(statement))
        else:
            yield from ((row, "") for row in _rows_of(statement))


def _rows_of(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "contract":
            for argument in inner.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def render() -> str:
    """The page as Markdown."""
    proofs = read_proofs()
    contracts = read_contracts()
    lines = [
        *header(
            "Compatibility",
            "Every row of the contracts of the four systems Weft takes the place of, in our words, and how it stands today.",
        ),
        "- **met**: the named tests prove it.",
        "- **differs**: Weft does it another way on purpose; the reason stands beside it.",
        "- **later**: the room that brings it is not part of Weft yet; what works today stands beside it.",
        "",
        *_summary(contracts),
    ]
    for contract in contracts:
        lines += ["", f"## {contract.title}", "", contract.intro]
        for section in contract.sections:
            lines += [
                "",
                f"### {section.title}",
                "",
                "| row | what it asks | stands | proof, reason or room |",
                "|---|---|---|---|",
            ]
            lines += [_line(row, proofs.tests.get(row.name, [])) for row in section.rows]
    return "\n".join(lines) + "\n"


def _summary(contracts: list[Contract]) -> list[str]:
    lines = ["| contract | rows | met | differs | later |", "|---|---|---|---|---|"]
    for contract in contracts:
        counts = [sum(row.status == status for row in contract.rows) for status in _KEYS]
        lines.append(f"| {contract.title} | {len(contract.rows)} | {' | '.join(map(str, counts))} |")
    return lines


def _line(row: Row, tests: list[str]) -> str:
    shown = [f"`{test.removeprefix('tests/')}`" for test in tests[:_SHOWN]]
    if len(tests) > _SHOWN:
        shown.append(f"and {len(tests) - _SHOWN} more")
    last = "; ".join(part for part in (row.note, ", ".join(shown)) if part)
    return f"| {row.name} | {row.what} | {row.status} | {last} |"
