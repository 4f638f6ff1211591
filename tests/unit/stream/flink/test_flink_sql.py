"""What Flink is given: every number has 64 bits, texts stay texts, and what it cannot answer is refused with the reason."""

import re
from typing import Any

import pytest

from weft.core.times import SECOND_US
from weft.stream.engine.plan import plan
from weft.stream.flink import text
from weft.stream.flink.kafka import KafkaTables
from weft.stream.flink.statements import Script, script
from weft.stream.query import read_query

NOW_US = 1_780_000_000 * SECOND_US


def render(*queries: dict[str, Any], **tables: Any) -> Script:
    plans = [
        plan(read_query({"name": f"q{at}", "from": "readings", "window": "1m", **query}), 3) for at, query in enumerate(queries)
    ]
    return script(plans, KafkaTables(brokers="kafka:9092", **tables), bound_us=lambda _: 2 * SECOND_US, activated_us=NOW_US)


def refusal(query: dict[str, Any]) -> str:
    refused = render(query).refused
    assert list(refused) == ["q0"]
    return refused["q0"]


def test_queries_with_the_same_topic_and_lateness_read_it_once() -> None:
    select = {"n": "count"}
    script = render(
        {"select": select, "start": "earliest"},
        {"select": select, "start": "earliest", "key": ["source"]},
        {"select": select, "start": "earliest", "lateness": "5s"},
    )

    assert (
        len([statement for statement in script.statements if "'connector' = 'kafka'" in statement]) == 2 + 3
    )  # and three sinks
    assert script.answered == ["q0", "q1", "q2"]


def test_every_whole_number_says_that_it_has_64_bits() -> None:
    """Flink takes others for 32 bits, and multiplies past them without a word."""
    select = {"n": "count where value > 5", "first": "first(text(room))", "last": "last(number(value))"}
    script = render(
        {"select": select, "where": "time > 1780000000", "lateness": "3s"}, {"select": select, "window": {"session": "7d"}}
    )

    for statement in script.statements:
        calculated = re.sub(r"'(?:[^']|'')*'|`[^`]*`|CAST\(-?[0-9]+ AS BIGINT\)|[0-9.]+E[0-9]+", "", statement)
        assert re.findall(r"[0-9]{4,}", calculated) == []


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("it's", "'it''s'"),
        ("é", r"U&'\00e9'"),
        ("\\", r"'\'"),
        ("\\é", r"U&'\\\00e9'"),
        ("\x1f", r"U&'\001f'"),
        ("😀", r"U&'\d83d\de00'"),
        ("'; DROP TABLE x; --", "'''; DROP TABLE x; --'"),
    ],
)
def test_a_text_is_only_ever_a_text(written: str, shown: str) -> None:
    assert text.text(written) == shown


def test_a_name_is_only_ever_a_name() -> None:
    assert text.name("a`b") == "`a``b`"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"select": {"high": "p99(value)"}}, "percentiles"),
        ({"select": {"growth": "rate(total)"}}, "no order inside"),
        ({"select": {"n": "count"}, "where": "value % 2 == 1"}, "remainder"),
        ({"select": {"n": "count"}, "emit": "revisions"}, "revisions"),
        ({"select": {"n": "count"}, "every": "10s"}, "every"),
    ],
)
def test_what_flink_cannot_answer_is_refused_with_the_reason(query: dict[str, Any], reason: str) -> None:
    assert reason in refusal(query)


def test_a_refused_query_leaves_the_others_in_and_is_named() -> None:
    script = render({"select": {"high": "p99(value)"}}, {"select": {"n": "count"}})

    assert script.answered == ["q1"]
    assert script.written().startswith("-- q0 is not in here: ")


def test_latest_answers_windows_that_begin_after_the_submission_and_reads_far_enough_back() -> None:
    (script,) = [render({"select": {"n": "count"}, "lateness": "30s"})]

    assert f"start_us > CAST({NOW_US} AS BIGINT)" in script.statements[-1]
    back_us = 10 * 60 * SECOND_US + 60 * SECOND_US + 30 * SECOND_US
    assert any(
        f"'scan.startup.timestamp-millis' = '{(NOW_US - back_us) // 1000}'" in statement for statement in script.statements
    )


def test_earliest_reads_everything() -> None:
    written = render({"select": {"n": "count"}, "start": "earliest"}).written()

    assert "'earliest-offset'" in written
    assert str(NOW_US) not in written


def test_topics_have_the_prefix_in_kafka_and_none_in_an_event() -> None:
    written = render({"select": {"n": "count"}}, prefix="lab.").written()

    assert "'topic' = 'lab.readings'" in written
    assert "'topic' = 'lab.analytics.q0'" in written
    assert "lab.readings messages" not in written
