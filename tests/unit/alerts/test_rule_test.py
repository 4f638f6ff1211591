"""Tests of rules: events in, expected alerts out."""

from typing import Any

import pytest
import yaml

from weft.alerts.rule import RuleDefinition, read_definition
from weft.alerts.rule_test import Outcome, read_tests, run_test
from weft.alerts.series import read_series
from weft.core.errors import Invalid

HOT = {
    "name": "hot",
    "condition": "max(temperature)",
    "window": "1m",
    "group_by": ["source"],
    "for": "2m",
    "keep_firing_for": "2m",
    "levels": {"warning": 30, "critical": 80},
}


def run(text: str, *rules: dict[str, Any]) -> Outcome:
    definitions: list[RuleDefinition] = [read_definition(rule) for rule in rules]
    (test,) = read_tests(yaml.safe_load(text))
    return run_test(test, definitions, out_of_order_us=1_000_000)


def test_a_whole_life_of_an_alert_is_as_expected() -> None:
    outcome = run(
        """
        - name: the pump overheats
          events:
            - {source: pump-1, every: 10s, values: {temperature: 20x29 40x29 90x29 20x60}}
            - {source: pump-2, every: 10s, values: {temperature: 20x150}}
          expect:
            - {at: 5m, rule: hot, alerts: []}
            - {at: 6m, rule: hot, alerts: [{key: {source: pump-1}, status: pending}]}
            - {at: 8m, rule: hot, alerts: [{key: {source: pump-1}, level: warning}]}
            - {at: 11m, rule: hot, alerts: [{key: {source: pump-1}, level: critical}]}
            - {at: 16m, rule: hot, alerts: [{key: {source: pump-1}, status: recovering}]}
            - {at: 17m, rule: hot, alerts: []}
        """,
        HOT,
    )

    assert outcome.passed, outcome.mismatches
    changes = [happening.transition.change for happening in outcome.happenings]
    assert changes == ["pending", "firing", "level", "recovering", "resolved"]


def test_an_alert_too_many_fails_like_one_too_few_and_both_sides_are_shown() -> None:
    outcome = run(
        """
        - name: two pumps
          events:
            - {source: pump-1, values: {temperature: 40x60}}
            - {source: pump-2, values: {temperature: 40x60}}
          expect:
            - {at: 5m, rule: hot, alerts: [{key: {source: pump-1}}]}
        """,
        {**HOT, "levels": {}, "threshold": 30},
    )

    (mismatch,) = outcome.mismatches
    assert not outcome.passed
    assert mismatch.expected == ["source=pump-1 firing"]
    assert mismatch.found == ["source=pump-1 firing warning", "source=pump-2 firing warning"]


def test_a_device_that_falls_silent_is_missed() -> None:
    rule = {
        "name": "silent",
        "condition": "absent(temperature)",
        "window": "1m",
        "group_by": ["source"],
        "expect": ["pump-1", "pump-2"],
    }
    outcome = run(
        """
        - name: pump-2 never says a word, pump-1 stops
          events:
            - {source: pump-1, values: {temperature: 20x17}}
          expect:
            - {at: 3m, rule: silent, alerts: [{key: {source: pump-2}}]}
            - {at: 5m, rule: silent, alerts: [{key: {source: pump-1}}, {key: {source: pump-2}}]}
        """,
        rule,
    )

    assert outcome.passed, outcome.mismatches


@pytest.mark.contract("SF-336")
def test_a_figure_that_falls_is_told() -> None:
    rule = {"name": "falling", "condition": "delta(revenue) < -50", "window": "5m"}
    outcome = run(
        """
        - name: sales rise, then break down
          events:
            - {source: shop, every: 1m, values: {revenue: "100+10x4 140-30x4"}}
          expect:
            - {at: 5m, rule: falling, alerts: []}
            - {at: 10m, rule: falling, alerts: [{status: firing}]}
        """,
        rule,
    )

    assert outcome.passed, outcome.mismatches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{name: a, expect: [{at: 1m, rule: nobody}]}]", "speaks of rule 'nobody'; the file has hot"),
        ("[{name: a, expect: [{at: 1m, rule: hot}], events: [{source: a, values: {t: 1xx}}]}]", "'1xx' is no part of a series"),
        ("[{name: a, expect: [{at: soon, rule: hot}]}]", "'soon' is not an interval"),
        ("[{name: a, expect: [{rule: hot}]}]", "at"),
        ("[{name: a, expext: []}]", "expext"),
        ("7", "tests"),
    ],
)
def test_a_wrong_test_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        run(text, HOT)

    assert message in refused.value.message


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2.5 -3", [1, 2.5, -3]),
        ("5x2", [5, 5, 5]),
        ("1+2x3", [1, 3, 5, 7]),
        ("10-5x2", [10, 5, 0]),
        ("1 _ _x2 4", [1, None, None, None, 4]),
        ("1e3", [1000.0]),
    ],
)
def test_a_series_is_read_as_prometheus_reads_it(text: str, values: list[float | None]) -> None:
    assert read_series(text, field="values") == values
