"""Files of rules: Weft's own, and those of Prometheus."""

import pytest

from weft.alerts.rule import RuleDefinition
from weft.alerts.rule_file import Reading, read_rule_file, write_rules
from weft.core.errors import Invalid

PROMETHEUS = """
groups:
  - name: host
    interval: 30s
    rules:
      - alert: HostHighLoad
        expr: avg_over_time(node_load1[5m]) > 4
        for: 1h30m
        keep_firing_for: 90s
        labels: {severity: page, team: lab}
        annotations: {summary: "load is {{ $value }}"}
      - alert: PumpSilent
        expr: absent(pump_pressure{room="b12"})
        labels: {severity: nobody}
      - record: job:errors:rate5m
        expr: sum by (job) (rate(errors[5m]))
      - alert: ErrorRatio
        expr: sum by (job) (rate(errors[5m])) / sum by (job) (rate(requests[5m])) > 0.05
      - alert: HostHighLoad
        expr: node_load1 > 9
"""


def test_rules_come_back_as_they_were_written() -> None:
    rules = [
        RuleDefinition.model_validate(
            {
                "name": "hot",
                "condition": "avg(temperature) > 30",
                "from": "lab",
                "for": "5m",
                "group_by": ["source"],
                "tags": ["ü"],
            }
        ),
        RuleDefinition.model_validate(
            {"name": "errors", "condition": "error_rate", "threshold": 0.05, "levels": {"warning": 0.05, "critical": 0.2}}
        ),
    ]

    text = write_rules(rules)

    assert read_rule_file(text).rules == rules
    assert "suppression_minutes" not in text, "what is as it is by default is noise in a file people read"


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("rules: [{name: a, condition: x > 1}, {name: a, condition: y > 1}]", "two rules of the file are called 'a'", "rules"),
        ("rules: [{name: a, condition: x > 1, windw: 5m}]", "rule 'a': windw", "rules.0.windw"),
        ("rules: [{name: a, condition: x > 1, window: 5 m}]", "rule 'a': window", "rules.0.window"),
        ("rules: [7]", "rule 1 of the file is no mapping", "rules.0"),
        ("rules: {a: 1}", "a list called 'rules'", "rules"),
        ("hello", "a list called 'rules'", "rules"),
        ("rules: [", "this is not YAML", "rules"),
        ("rules: [!!python/object/apply:os.system [ls]]", "this is not YAML", "rules"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, message: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_rule_file(text)

    assert message in refused.value.message
    assert refused.value.details["field"] == field


def test_a_rule_file_of_prometheus_is_brought_over_with_its_meaning() -> None:
    imported = read_rule_file(PROMETHEUS, Reading(topic="metrics", channels=("email",)))

    load, silent = imported.rules
    assert (load.name, load.condition, load.from_) == ("HostHighLoad", "avg(data.node_load1) > 4", "metrics")
    assert (load.window, load.slide, load.for_, load.keep_firing_for) == ("300s", "30s", "5400s", "90s")
    assert (load.level, load.group_by, load.channels) == ("critical", ["source"], ["email"])
    assert load.metadata["labels"] == {"severity": "page", "team": "lab"}
    assert silent.condition == 'absent(data.pump_pressure where data.room == "b12")'


def test_what_of_a_rule_file_cannot_be_brought_over_is_named_with_the_reason() -> None:
    imported = read_rule_file(PROMETHEUS)

    refused = {refusal.expression: refusal.why for refusal in imported.refusals}
    assert list(refused) == [
        "sum by (job) (rate(errors[5m]))",
        "sum by (job) (rate(errors[5m])) / sum by (job) (rate(requests[5m])) > 0.05",
        "node_load1 > 9",
    ]
    assert "continuous queries" in refused["sum by (job) (rate(errors[5m]))"]
    assert "name already" in refused["node_load1 > 9"]
    assert [remark.what for remark in imported.remarks if remark.name == "PumpSilent"] == [
        "its severity 'nobody' became the level warning",
        "one alert for each source; change group_by where its series differ by something else",
    ]
    assert any("templates" in remark.what for remark in imported.remarks)


@pytest.mark.parametrize(
    "text", ["groups: 1", "groups: [1]", "groups: [{name: a, rules: 3}]", "groups: [{name: a, interval: soon, rules: []}]"]
)
def test_what_only_looks_like_a_rule_file_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_rule_file(text)
