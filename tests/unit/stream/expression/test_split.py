"""The split of a rule's condition: what an engine has to work out, and what is asked of its answer."""

import re

import pytest

from weft.core.errors import Invalid
from weft.stream.expression.evaluate import evaluate_row, trace
from weft.stream.expression.functions import AGGREGATES, METRICS
from weft.stream.expression.names import ResultNames
from weft.stream.expression.split import Split, split, split_condition
from weft.stream.expression.typed import fields_of


def test_a_condition_becomes_named_aggregates_and_a_condition_over_their_names() -> None:
    found = split_condition("error_rate > 0.05 and avg(temperature where room == 'B') > 30")
    where = 'avg(data.temperature where data.room == "B")'
    name = next(name for name, text in found.select.items() if text == where)
    assert found.select == {"error_count": 'count(where type == "error")', "count": "count()", name: where}
    values = {"error_count": 6, "count": 100, name: 31.0}
    assert evaluate_row(found.expression, values) is True
    assert evaluate_row(found.expression, values | {name: 30.0}) is False


@pytest.mark.contract("SF-D23")
@pytest.mark.parametrize(
    ("text", "select"),
    [
        ("count > 1", {"count": "count()"}),
        ("error_count > 1", {"error_count": 'count(where type == "error")'}),
        ("error_rate > 1", {"error_count": 'count(where type == "error")', "count": "count()"}),
        ("event_rate > 1", {"event_rate": "rate()"}),
        ("unique_users > 1", {"unique_users": "distinct(user_id)"}),
        ("avg(duration) > 1", {"avg_duration": "avg(data.duration)"}),
        ("min(data.duration) < 1", {"min_duration": "min(data.duration)"}),
        ("max(duration) >= 1", {"max_duration": "max(data.duration)"}),
        ("sum(duration) <= 1", {"sum_duration": "sum(data.duration)"}),
        ("p95(duration) == 1", {"p95_duration": "p95(data.duration)"}),
        ("p99.9(duration) != 1", {"p99_9_duration": "p99.9(data.duration)"}),
        ("count(temperature) > 1", {"count_temperature": "count(where not is_null(data.temperature))"}),
        ("absent(temperature)", {"absent_temperature": "absent(where not is_null(data.temperature))"}),
        ("absent()", {"absent": "absent()"}),
        ("last(state) == 'open'", {"last_state_text": "last(text(data.state))"}),
        ("first(data.level) > 3", {"first_level_number": "first(number(data.level))"}),
        ("last(open)", {"last_open_boolean": "last(boolean(data.open))"}),
        ("last(source) == 'a'", {"last_source": "last(source)"}),
        ("delta(level) < -2 or rate(bytes) > 5", {"delta_level": "delta(data.level)", "rate_bytes": "rate(data.bytes)"}),
        ("distinct(source) > 2 and not stddev(x) > 3", {"distinct_source": "distinct(source)", "stddev_x": "stddev(data.x)"}),
        ("not (count > 3) and abs(avg(x)) < 5%", {"count": "count()", "avg_x": "avg(data.x)"}),
    ],
)
def test_names_a_condition_may_use(text: str, select: dict[str, str]) -> None:
    assert split_condition(text).select == select


def test_the_same_aggregate_is_worked_out_once_however_it_is_written() -> None:
    found = split_condition("avg(temperature) > 30 or avg( data.temperature ) < 3 or count() > 3 and count == 5")
    assert list(found.select) == ["avg_temperature", "count"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("avg(data.time)", "avg(time)"),
        ("avg(data.a.b)", "avg(data.a_b)"),
        ("avg(metadata.a)", "avg(data.metadata.a)"),
        ("avg(data.A)", "avg(data.a)"),
        ("avg(data.a where type == 'x')", "avg(data.a where type == 'y')"),
        ("last(number(a))", "last(text(a))"),
        ("max(abs(a))", "max(abs(b))"),
        ('avg(data["p q"])', "avg(data.p_q)"),
        ("count(a)", "count(where a == 1)"),
    ],
)
def test_different_aggregates_have_different_names(one: str, other: str) -> None:
    names = {*split(one).select, *split(other).select}
    assert len(names) == 2
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]{0,63}", name) for name in names), "a query's select takes no other names"


@pytest.mark.parametrize(
    "text",
    [
        *(example.example for example in AGGREGATES.values()),
        *METRICS,
        "ratio(count where type == 'a', count)",
        "ratio(type == 'a' and x > 1, true)",
        "ratio(sum(a), sum(b) where x > 3)",
        "error_rate where source == 'x'",
        "coalesce(avg(x), 0)",
        "distinct(text(room))",
    ],
)
def test_what_is_selected_means_the_same_when_it_is_read_again(text: str) -> None:
    """A rule's aggregates are stored as texts of a query's `select`."""
    for name, selected in split(text).select.items():
        again = split(selected)
        assert again.select == {name: selected}
        assert again.aggregates == {name: split(text).aggregates[name]}


def test_ratio_counts_the_events_of_conditions() -> None:
    found = split_condition("ratio(type == 'error', severity == 'high') > 5%")
    values = dict(zip(found.select, (1, 10), strict=True))
    assert sorted(found.select.values()) == ['count(where severity == "high")', 'count(where type == "error")']
    assert evaluate_row(found.expression, values) is True
    assert evaluate_row(found.expression, dict.fromkeys(values, 0)) is None, "a share of nothing is unknown"


@pytest.mark.contract("SF-D24")
def test_an_error_rate_over_nothing_is_unknown() -> None:
    assert evaluate_row(split_condition("error_rate > 0.05").expression, {"error_count": 0, "count": 0}) is None


@pytest.mark.contract("SF-D22")
def test_a_condition_without_a_comparison_is_compared_with_the_threshold() -> None:
    found = split_condition("avg(x)", threshold=30)
    assert [evaluate_row(found.expression, {"avg_x": value}) for value in (31.0, 30.0, None)] == [True, False, None]
    steps = trace(found.expression, {"avg_x": 31.0}).steps
    assert [(step.text, step.value) for step in steps] == [("avg(data.x) > 30", True), ("avg(data.x)", 31.0), ("30", 30)]


@pytest.mark.contract("SF-D22")
def test_the_threshold_is_a_name_a_condition_may_use() -> None:
    found = split_condition("avg(x) > threshold * 2", threshold=15)
    assert evaluate_row(found.expression, {"avg_x": 31.0}) is True
    with pytest.raises(Invalid, match="threshold is a field of single events"):
        split_condition("avg(x) > threshold")


@pytest.mark.contract("SF-D22")
@pytest.mark.parametrize("threshold", [0.05, 3.0, -1.0])
def test_a_threshold_that_is_in_the_condition_is_fine(threshold: float) -> None:
    split_condition("error_rate > 0.05 and count(where status == 500) > 3 or delta(x) < -1", threshold=threshold)


@pytest.mark.contract("SF-D22")
@pytest.mark.parametrize(("threshold", "text"), [(500, "500"), (0.25, "0.25"), (-3.5, "-3.5")])
def test_the_threshold_may_stand_inside_an_aggregate(threshold: float, text: str) -> None:
    found = split_condition("count(where latency > threshold) > 5", threshold=threshold)
    assert list(found.select.values()) == [f"count(where data.latency > {text})"]
    with pytest.raises(Invalid, match="nothing says whether"):
        split_condition("count(where latency > threshold) > 5")


@pytest.mark.contract("SF-D22")
def test_a_threshold_that_contradicts_the_condition_is_refused_with_both_values() -> None:
    with pytest.raises(Invalid, match=r"0\.05, the threshold is 0\.1") as wrong:
        split_condition("error_rate > 0.05 and count(where status == 0.1) > 3", threshold=0.1)
    assert wrong.value.details["column"] == 14


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("temperature > 30", 1, "as in avg(temperature) or max(temperature)"),
        ("eror_rate > 3", 1, "did you mean error_rate?"),
        ("averge(x) > 3", 1, "there is no aggregate averge"),
        ("avg() > 3", 1, "avg(number) takes 1 and was given 0"),
        ("count(a, b) > 3", 1, "takes 0 or 1 and was given 2"),
        ("avg(type) > 3", 5, "type is a text; avg takes a number"),
        ("avg(avg(x)) > 3", 5, "avg cannot stand inside avg"),
        ("avg(x where count() > 3) > 3", 13, "count cannot stand inside avg"),
        ("distinct(data.room) > 3", 10, "write number(data.room) or text(data.room)"),
        ("last(a) > last(b)", 1, "nothing says whether"),
        ("ratio(x, count) > 3", 7, "x is a field of single events"),
        ("ratio(count, 3) > 3", 14, "neither an aggregate nor a condition"),
        ("error_rate", 1, "or give the rule a threshold"),
        ("last(source)", 1, "is a text and no condition"),
        ("p0(x) > 1", 1, "there is no aggregate p0"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(text: str, column: int, says: str) -> None:
    with pytest.raises(Invalid) as wrong:
        split_condition(text)
    assert says in wrong.value.message
    assert wrong.value.details["column"] == column


def test_values_may_be_handed_in_beside_the_aggregates() -> None:
    found = split("avg(x) - baseline", names=ResultNames({"baseline": "number"}))
    assert evaluate_row(found.expression, {"avg_x": 5.0, "baseline": 2.0}) == 3.0


def everything_read(found: Split) -> set[str]:
    return {field.name for aggregate in found.aggregates.values() for field in fields_of(aggregate)}


def test_only_what_is_written_is_read_of_an_event() -> None:
    assert everything_read(split("avg(a where b == 1) + count")) == {"data.a", "data.b"}


@pytest.mark.parametrize("text", [aggregate.example for aggregate in AGGREGATES.values()])
def test_every_example_of_the_manual_is_a_condition(text: str) -> None:
    assert split_condition(text).expression.kind == "boolean"
