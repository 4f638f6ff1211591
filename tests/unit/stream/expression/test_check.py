"""Checking an expression while it is typed: what a form can show beside the text."""

import time

import msgspec
import pytest

from weft.stream.expression.check import Answer, Part, Question, check

SEEN = {"data.temperature": "number", "data.room": "text"}


def asked(expression: str, **more: object) -> Answer:
    return check(msgspec.convert({"expression": expression, "fields": SEEN, **more}, Question))


def offered(expression: str, **more: object) -> list[str]:
    return [completion.text for completion in asked(expression, cursor=len(expression), **more).completions]


def flat(part: Part) -> list[tuple[str, str | None]]:
    return [(part.text, part.kind), *(pair for inner in part.parts for pair in flat(inner))]


def test_a_rule_is_explained_whole() -> None:
    answer = asked("error_rate > 5% and avg(temperature) > 30", purpose="rule")
    assert answer.valid
    assert answer.kind == "boolean"
    assert answer.sentence == "The error rate is above 5 % and the average of temperature is above 30."
    assert answer.fields == ["data.temperature", "type"]
    assert [aggregate.name for aggregate in answer.aggregates] == ["error_count", "count", "avg_temperature"]
    assert answer.tree is not None
    assert flat(answer.tree) == [
        ("error_rate > 5% and avg(temperature) > 30", "boolean"),
        ("error_rate > 5%", "boolean"),
        ("error_rate", "number"),
        ("5%", "number"),
        ("avg(temperature) > 30", "boolean"),
        ("avg(temperature)", "number"),
        ("temperature", "number"),
        ("30", "number"),
    ]
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer


def test_an_error_is_part_of_the_answer_and_points_at_its_place() -> None:
    answer = asked("temperature > 30 and", purpose="where")
    assert not answer.valid
    (error,) = answer.errors
    assert (error.column, error.expected) == (21, "a name, a number, a text, a function or '('")


def test_what_can_be_read_has_a_tree_even_where_it_means_nothing() -> None:
    answer = asked("source > 5")
    assert not answer.valid
    assert answer.tree is not None
    assert flat(answer.tree) == [("source > 5", None), ("source", None), ("5", None)]


@pytest.mark.parametrize(
    ("expression", "purpose", "warning"),
    [
        ("temprature > 30", "where", "did you mean data.temperature?"),
        ("sourc == 'a'", "where", "did you mean source?"),
        ("avg(temprature) > 30", "rule", "did you mean data.temperature?"),
        ("severity == 'hihg'", "where", "did you mean high?"),
        ("severity in ['high', 'worst']", "where", "there are low, medium, high, critical"),
    ],
)
def test_what_was_hardly_meant_is_warned_of(expression: str, purpose: str, warning: str) -> None:
    answer = asked(expression, purpose=purpose)
    assert answer.valid
    assert [warning in found.message for found in answer.warnings] == [True]


@pytest.mark.parametrize(
    ("expression", "purpose"),
    [("temperature > 30 and humidity > 2", "where"), ("error_rate > threshold", "rule"), ("count > 3", "select")],
)
def test_what_is_fine_is_not_warned_of(expression: str, purpose: str) -> None:
    assert asked(expression, purpose=purpose, threshold=3).warnings == []


@pytest.mark.parametrize(
    ("expression", "more", "first"),
    [
        ("temp", {}, ["data.temperature"]),
        ("", {}, ["data.temperature", "data.room", "id", "type"]),
        ("sever", {}, ["severity"]),
        ("severity == ", {}, ['"low"', '"medium"', '"high"', '"critical"']),
        ("severity in ['low', 'h", {}, ['"high"']),
        ('type == "api', {}, ['"api.request"', '"api.response"']),
        ("temperature ", {}, ["and", "or", "==", "!="]),
        ("temperature > 30 a", {}, ["and"]),
        ("start", {}, ["startswith("]),
        ("err", {"purpose": "rule"}, ["error_count", "error_rate"]),
        ("avg(", {"purpose": "rule"}, ["data.temperature", "data.room"]),
        ("avg(temperature) ", {"purpose": "rule"}, ["and", "or"]),
        ("count where sou", {"purpose": "rule"}, ["source"]),
        ("thr", {"purpose": "rule", "threshold": 3}, ["threshold"]),
        ("me", {"purpose": "having", "values": {"mean": "number"}}, ["mean"]),
    ],
)
def test_what_could_come_next_is_offered(expression: str, more: dict[str, object], first: list[str]) -> None:
    assert offered(expression, **more)[: len(first)] == first


def test_a_completion_says_what_it_takes_the_place_of() -> None:
    (completion,) = asked("source == 'a' and temp", cursor=22).completions
    assert (completion.text, completion.column, completion.length) == ("data.temperature", 19, 4)
    assert "where" in offered("count ", purpose="rule")


@pytest.mark.parametrize("cursor", [-5, 0, 3, 10_000])
def test_a_cursor_may_be_anywhere(cursor: int) -> None:
    asked("a $ 'b", cursor=cursor)


@pytest.mark.parametrize(
    ("expression", "purpose", "sentence"),
    [
        ("not is_null(x) and not open", "where", "x is known and open is not true."),
        ("a or b and (c or d)", "where", "a is true or (b is true and (c is true or d is true))."),
        ("type in ['a', 'b'] or 'night' not in tags", "where", 'type is one of "a", "b" or "night" is not among the tags.'),
        ("time - received_at > 5m", "where", "time less received_at is above 5 minutes."),
        ("(a + 1) * 2 != -b", "where", "(a plus 1) times 2 is not minus b."),
        ("startswith(lower(source), 'lab')", "where", 'source in small letters begins with "lab".'),
        ("not (a == 1)", "where", "it is not so that a is 1."),
        ("p99.9(latency) > 1s", "rule", "The 99.9th percentile of latency is above 1 second."),
        ("absent(temperature)", "rule", "No event came with temperature."),
        ("not absent(temperature)", "rule", "An event came with temperature."),
        ("count(user_id) < 3", "rule", "The number of events with user_id is below 3."),
        ("count where type == 'x'", "select", 'The number of events where type is "x".'),
        (
            "unique_users + event_rate > 3",
            "rule",
            "The number of different users plus the number of events per second is above 3.",
        ),
        ("coalesce(min(a), max(b), 0) <= 1", "rule", "The first known of the smallest a, the largest b and 0 is at most 1."),
        (
            "rate() > 1 and rate(bytes) > 1",
            "rule",
            "The rate of events per second is above 1 and the rate of bytes per second is above 1.",
        ),
    ],
)
def test_an_expression_is_said_in_words(expression: str, purpose: str, sentence: str) -> None:
    answer = asked(expression, purpose=purpose)
    assert answer.errors == []
    assert answer.sentence is not None
    assert answer.sentence[0].lower() + answer.sentence[1:] == sentence[0].lower() + sentence[1:]


def test_a_threshold_is_part_of_the_sentence() -> None:
    assert asked("error_rate", purpose="rule", threshold=0.05).sentence == "The error rate is above 0.05."


def test_the_answer_comes_at_once_whatever_was_seen() -> None:
    fields = {f"data.field_{number}_of_a_machine": "number" for number in range(1_000)}
    text = " + ".join(f"feld_{number}_of_a_machine" for number in range(30)) + " > 1"
    started = time.process_time()
    check(Question(expression=text, fields=fields, cursor=5))
    assert time.process_time() - started < 0.2
