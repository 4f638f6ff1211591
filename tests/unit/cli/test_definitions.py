"""Queries as a person writes them: files of one or many, or options."""

from pathlib import Path

import pytest

from weft.cli.definition import read_definitions, read_events
from weft.core.errors import Invalid

OPTIONS = {"name": "mean", "from": "events", "where": None, "key": ["source"], "window": "5m", "select": ["m=avg(x)"]}


def test_a_file_holds_one_query_or_several(tmp_path: Path) -> None:
    one, several = tmp_path / "one.yaml", tmp_path / "several.json"
    one.write_text("name: a\nwindow: {sliding: 10m, slide: 1m}\n", encoding="utf-8")
    several.write_text('[{"name": "a"}, {"name": "b"}]', encoding="utf-8")

    assert read_definitions(one, {}) == [{"name": "a", "window": {"sliding": "10m", "slide": "1m"}}]
    assert read_definitions(several, {}) == [{"name": "a"}, {"name": "b"}]


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]", "a: [", "[]"])
def test_a_file_without_a_query_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "query.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(Invalid, match=r"query\.yaml"):
        read_definitions(file, {})


def test_options_make_a_query() -> None:
    assert read_definitions(None, OPTIONS) == [
        {"name": "mean", "from": "events", "key": ["source"], "window": "5m", "select": {"m": "avg(x)"}}
    ]
    sliding = read_definitions(None, {**OPTIONS, "window": "{sliding: 10m, slide: 1m}"})
    assert sliding[0]["window"] == {"sliding": "10m", "slide": "1m"}


@pytest.mark.parametrize("missing", [{"name": None}, {"window": None}, {"select": None}, {"select": ["avg(x)"]}])
def test_options_that_make_no_query_are_refused(missing: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        read_definitions(None, {**OPTIONS, **missing})


def test_events_are_read_line_by_line_and_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"type": "a"}\n\n{"type": "b"}\n', encoding="utf-8")
    assert read_events(file) == [{"type": "a"}, {"type": "b"}]

    file.write_text('{"type": "a"}\n{"type"\n', encoding="utf-8")
    with pytest.raises(Invalid, match="line 2"):
        read_events(file)
