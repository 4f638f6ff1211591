"""Binding: what every part is, and what a person is told where it does not fit."""

import pytest

from weft.core.errors import Invalid
from weft.stream.column import Field
from weft.stream.expression.bind import bind, bind_condition
from weft.stream.expression.functions import FUNCTIONS
from weft.stream.expression.names import EventNames, ResultNames


def readings(text: str) -> set[str]:
    return {f"{field.name} as {field.reading}" for field in bind_condition(text).fields}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("temperature > 30", {"data.temperature as number"}),
        ("data.temperature > 30", {"data.temperature as number"}),
        ("metadata.site == 'B'", {"metadata.site as text"}),
        ("source == 'lab/a'", {"source as text"}),
        ("open", {"data.open as boolean"}),
        ("open == true and not closed", {"data.open as boolean", "data.closed as boolean"}),
        ("a == b + 1", {"data.a as number", "data.b as number"}),
        ("coalesce(a, b) == 'x'", {"data.a as text", "data.b as text"}),
        ("coalesce(a, coalesce(b, 1)) == c", {"data.a as number", "data.b as number", "data.c as number"}),
        ("x in [1, 2.5]", {"data.x as number"}),
        ("x in ['a']", {"data.x as text"}),
        ("room in tags", {"data.room as text", "tags as texts"}),
        ("is_null(x)", {"data.x as present"}),
        ("is_null(user_id)", {"user_id as text"}),
        ("x == 1 or x == 'one'", {"data.x as number", "data.x as text"}),
        ("number(x) == number(text(y))", {"data.x as number", "data.y as text"}),
        ('data["gyro-x"].rms > 1', {'data["gyro-x"].rms as number'}),
        ("time - received_at > 5m", {"time as number", "received_at as number"}),
        ("data.time > 3", {"data.time as number"}),
    ],
)
def test_what_a_field_is_used_with_decides_what_it_is(text: str, read: set[str]) -> None:
    assert readings(text) == read


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("a == b", 1, "write number(a) or text(a)"),
        ("a == null", 1, "write is_null(a)"),
        ("a != null", 1, "write not is_null(a)"),
        ("5", 1, "5 is a number and no condition"),
        ("x and 'a'", 7, '"a" is a text and no condition'),
        ("type > 5", 1, "type is a text and 5 is a number"),
        ("5 + source > 1", 5, "source is a text; + takes a number"),
        ("-source == 'x'", 2, "a minus sign takes a number"),
        ("severity > 'low'", 1, 'write severity in ["high", "critical"]'),
        ("true < false", 1, "no order"),
        ("tags == 'a'", 1, "tags is a list of texts"),
        ("tags == tags", 1, "asked with in"),
        ("contains(tags, 'a')", 1, "with in"),
        ("'a' in source", 8, "a list, as in [1, 2], or tags"),
        ("'a' in room", 8, "a list, as in [1, 2], or tags"),
        ("a in [b]", 7, "plain values"),
        ("a in [null]", 7, "never in a list"),
        ("a in [1, 'x']", 1, "cannot be compared"),
        ("x > '30'", 5, "write 30 to compare numbers"),
        ("lower(3) == 'x'", 7, "lower takes a text"),
        ("lower() == 'x'", 1, "takes 1 and was given 0"),
        ("startswith(source) ", 1, "startswith(text, start) takes 2"),
        ("coalesce(a) == 1", 1, "two values or more"),
        ("coalesce(tags, tags) == 1", 1, "not tags"),
        ("coalesce(1, 'a') == 1", 1, "cannot be combined"),
        ("number(true) == 1", 8, "number takes a text or a number"),
        ("text(tags) == 'a'", 6, "ask with in"),
        ("is_null(coalesce(a, b))", 9, "write number(coalesce(a, b))"),
        ("lowr(source) == 'x'", 1, "did you mean lower?"),
        ("lower(source where a) == 'x'", 20, "takes no where"),
        ("count > 3 and avg(x) > 3", 15, "looks at a whole window"),
        ("source.name == 'x'", 1, "write data.source.name"),
        ("data == 1", 1, "name a field of it"),
        ("[1] == 1", 1, "met '['"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(text: str, column: int, says: str) -> None:
    with pytest.raises(Invalid) as wrong:
        bind_condition(text)
    assert says in wrong.value.message
    assert wrong.value.details["column"] == column


def test_results_have_only_their_own_names() -> None:
    names = ResultNames({"errors": "integer", "mean": "number"})
    assert bind("errors > 3 and mean > 2", names, "boolean").kind == "boolean"
    with pytest.raises(Invalid, match="did you mean errors"):
        bind("error > 3", names)
    with pytest.raises(Invalid, match="there are errors, mean"):
        bind("source == 'x'", names)


def test_a_value_of_the_wrong_kind_is_refused_where_one_is_asked_for() -> None:
    with pytest.raises(Invalid, match="this takes a number"):
        bind("source", EventNames(), "number")


def test_what_was_seen_changes_no_meaning() -> None:
    """A rule that was saved means the same tomorrow, when other events have come by."""
    seen = EventNames({"data.a": "text"})
    with pytest.raises(Invalid):
        bind_condition("a == b", seen)
    assert bind_condition("a == 1", seen) == bind_condition("a == 1")


def test_nothing_outside_the_event_can_be_named() -> None:
    found = bind_condition("__class__.__init__ == 'x' and data.__dict__ == 1").fields
    assert found == {
        Field("data.__class__.__init__", "text", ("data", "__class__", "__init__")),
        Field("data.__dict__", "number", ("data", "__dict__")),
    }


@pytest.mark.parametrize("text", [function.example for function in FUNCTIONS.values()])
def test_every_example_of_the_manual_is_a_condition(text: str) -> None:
    assert bind_condition(text).kind == "boolean"
