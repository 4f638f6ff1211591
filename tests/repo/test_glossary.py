"""The glossary has every room and every port, and no word twice."""

import ast
import re
from importlib.util import find_spec

from docs.generator.tree import ROOMS, ROOT, modules

ROW = re.compile(r"^\| (?P<words>\*\*.+?) \|(?P<rest>.*)$")
SECTION = re.compile(r"^## (?P<name>.+)$")


def rows() -> dict[str, dict[str, str]]:
    """The words of each section, and what stands beside them."""
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines():
        if heading := SECTION.match(line):
            section = found.setdefault(heading["name"], {})
        elif row := ROW.match(line):
            for word in re.findall(r"\*\*(.+?)\*\*", row["words"]):
                assert word not in section, f"'{word}' has two rows"
                section[word] = row["rest"]
    return found


def ports() -> set[str]:
    """The abstract classes in files named for ports."""
    return {
        node.name
        for place, module in modules().items()
        if place.endswith("/port.py")
        for node in module.body
        if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == "ABC" for base in node.bases)
    }


def test_the_glossary_has_the_rooms_there_are() -> None:
    assert sorted(rows()["Rooms"]) == ROOMS


def test_the_glossary_has_the_ports_there_are() -> None:
    assert {"Log", "EventStore", "Cache"} <= ports(), "no port is found any more"
    assert set(rows()["Ports"]) == ports()


def test_the_suite_of_a_port_is_where_the_glossary_says() -> None:
    suites = [name for rest in rows()["Ports"].values() for name in re.findall(r"`(weft\.testing\.\w+)`", rest)]

    assert len(suites) >= 3
    assert [name for name in suites if find_spec(name) is None] == []


def test_a_word_that_is_in_use_is_not_still_to_come() -> None:
    found = rows()

    assert found["Nouns"].keys() & found["Words of rooms still to come"].keys() == set()
