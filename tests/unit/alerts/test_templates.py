"""Templates: names from a closed list and nothing else, so that whoever writes one can read nothing and run nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.alerts.notify.notification import Notification
from weft.alerts.notify.template import MAX_CHARS, NAMES, check_template, fill
from weft.core.errors import Invalid


def told(**changes: Any) -> Notification:
    values: dict[str, Any] = {
        "fingerprint": "f",
        "transition": 3,
        "state": "firing",
        "rule_id": "r",
        "rule_name": "Too warm",
        "rule_version": 2,
        "level": "error",
        "summary": "31 degrees",
        "since_us": 0,
        "at_us": 1_000_000,
    }
    return Notification(**{**values, **changes})


def test_names_are_replaced_by_what_happened() -> None:
    text = fill("[{state}] {rule} v{rule_version}: {values} since {since}", told(values={"t": 31.25, "ok": False, "x": None}))

    assert text == "[firing] Too warm v2: ok=false, t=31.25, x=null since 1970-01-01T00:00:00Z"


def test_a_line_with_nothing_to_say_is_left_out() -> None:
    assert (
        fill("{summary}\nWhy: {why}\n\n\n\nText without a name\n{level} {why}", told())
        == "31 degrees\n\nText without a name\nerror"
    )


def test_braces_are_written_twice() -> None:
    check_template("{{state}} {state}", field="template.text")
    assert fill("{{state}} {state}", told()) == "{state} firing"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{nonsense}", "known are: state"),
        ("{summary.__class__}", "known are"),
        ("{summary!r}", "known are"),
        ("{summary:>10}", "known are"),
        ("{0}", "known are"),
        ("{}", "known are"),
        ("{ state }", "known are"),
        ("50 % { and }", "at character"),
        ("a } b", "single '}' at character 3"),
        ("x" * (MAX_CHARS + 1), "at most"),
    ],
)
def test_a_template_that_means_anything_else_is_refused_by_its_field_and_place(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        check_template(text, field="template.text")
    assert refused.value.field == "template.text"


def test_what_an_event_says_is_never_read_as_a_template() -> None:
    assert fill("{summary}", told(summary="{fingerprint} {{ {why}")) == "{fingerprint} {{ {why}"


@given(st.text(alphabet="{}ab.!:_staelv \n[]()0", max_size=60))
def test_whatever_is_accepted_can_be_filled_in(text: str) -> None:
    try:
        check_template(text, field="x")
    except Invalid:
        return
    assert isinstance(fill(text, told()), str)


def test_every_name_stands_for_something() -> None:
    full = told(
        description="d",
        labels={"a": "b"},
        values={"c": 1},
        links={"alert": "l", "why": "w"},
        occasion="reminder",
        group_key="g",
    )
    assert [name for name in NAMES if not fill(f"{{{name}}}", full)] == []
