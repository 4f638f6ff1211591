"""The compatibility page, its data and the tests' marks hold together."""

import pytest

from docs.generator import compatibility
from docs.generator.page import ROOT


@pytest.fixture(scope="module")
def rows() -> dict[str, compatibility.Row]:
    return {row.name: row for contract in compatibility.read_contracts() for row in contract.rows}


def test_every_numbered_row_is_listed_once(rows: dict[str, compatibility.Row]) -> None:
    listed = [row.name for contract in compatibility.read_contracts() for row in contract.rows]
    numbered = (
        {f"SF-{number}" for number in range(1, 344)}
        | {f"SF-D{number}" for number in range(1, 57)}
        | {f"HC-{number}" for number in range(344, 383)}
        | {f"HC-S{number}" for number in range(1, 41)}
        | {f"LM-{number}" for number in range(1, 72)}
        | {f"SW-{number}" for number in range(1, 25)}
    )

    assert sorted(numbered - set(listed)) == []
    assert len(listed) == len(set(listed)), "a row is listed twice"


def test_what_is_said_to_be_met_has_a_test_that_proves_it(rows: dict[str, compatibility.Row]) -> None:
    proofs = compatibility.read_proofs().tests
    unproven = [name for name, row in rows.items() if row.status == "met" and name not in proofs]

    assert unproven == [], "these rows are called met, but no test carries their mark"


def test_every_test_that_a_row_names_exists(rows: dict[str, compatibility.Row]) -> None:
    missing: list[str] = []
    for row in rows.values():
        for proof in row.proof:
            place, _, name = proof.partition("::")
            path = ROOT / place
            if not path.exists() or (name and f"def {name.split('::')[-1]}(" not in path.read_text(encoding="utf-8")):
                missing.append(f"{row.name}: {proof}")

    assert missing == []


def test_no_mark_names_an_unknown_row(rows: dict[str, compatibility.Row]) -> None:
    unknown = {row: tests for row, tests in compatibility.read_marks().tests.items() if row not in rows}

    assert unknown == {}, "marks of rows that no contract has"


def test_the_page_is_what_the_data_and_the_marks_say() -> None:
    page = ROOT / "docs" / "reference" / "compatibility.md"

    assert page.read_text(encoding="utf-8") == compatibility.render(), "run `make docs`"
