"""PromQL in Weft's words."""

import pytest

from weft.alerts.prometheus.promql import NotUnderstood, translate
from weft.stream.expression.parser import parse

LABELS = {"instance": "source"}


@pytest.mark.parametrize(
    ("promql", "condition", "window_s", "group_by"),
    [
        ("node_load1 > 5", "last(data.node_load1) > 5", 300, None),
        ("5 < node_load1", "last(data.node_load1) > 5", 300, None),
        ("up == 0", "last(data.up) == 0", 300, None),
        ("-temperature < 10", "-last(data.temperature) < 10", 300, None),
        ('avg_over_time(t{room="a"}[10m]) >= 30.5', 'avg(data.t where data.room == "a") >= 30.5', 600, None),
        (
            'max_over_time(t{room="a",instance!="x"}[1h]) > 1',
            'max(data.t where data.room == "a" and source != "x") > 1',
            3600,
            None,
        ),
        ('min_over_time(t{room=~"a|b"}[5m]) < 1', 'min(data.t where data.room in ["a", "b"]) < 1', 300, None),
        ('min_over_time(t{room!~"a|b"}[5m]) < 1', 'min(data.t where not data.room in ["a", "b"]) < 1', 300, None),
        ("quantile_over_time(0.95, latency[5m]) > 0.2", "p95(data.latency) > 0.2", 300, None),
        ("rate(errors[5m]) / rate(requests[5m]) > 0.05", "rate(data.errors) / rate(data.requests) > 0.05", 300, None),
        ("increase(errors[10m]) > 3", "rate(data.errors) * 600 > 3", 600, None),
        ("(a - b) / 2 * 100 > 80", "(last(data.a) - last(data.b)) / 2 * 100 > 80", 300, None),
        ("sum by (job) (sum_over_time(bytes[1m])) > 1e6", "sum(data.bytes) > 1000000", 60, ("data.job",)),
        ("max by (instance) (max_over_time(t[1m])) > 9", "max(data.t) > 9", 60, ("source",)),
        ("sum(count_over_time(t[1m])) < 1", "count(data.t) < 1", 60, ()),
        ("a > 1 and b < 2 or c == 3", "last(data.a) > 1 and last(data.b) < 2 or last(data.c) == 3", 300, None),
        ('absent(up{job="mill"})', 'absent(data.up where data.job == "mill")', 300, None),
        ('a{x="say \\"hi\\""} > 1', 'last(data.a where data.x == "say \\"hi\\"") > 1', 300, None),
    ],
)
def test_what_is_understood(promql: str, condition: str, window_s: int, group_by: tuple[str, ...] | None) -> None:
    translated = translate(promql, labels=LABELS)

    assert (translated.condition, translated.window_s, translated.group_by) == (condition, window_s, group_by)
    assert parse(translated.condition) == parse(condition), "Weft does not read what the import wrote"


@pytest.mark.parametrize(
    ("promql", "why"),
    [
        ("node_load1", "compared with nothing"),
        ("node_load1 >", "not PromQL"),
        ("sum by (job) (rate(x[5m])) > 1", "'sum' over series"),
        ("sum(x) > 1", "'sum' over series"),
        ("topk(3, x) > 1", "'topk' over series"),
        ("avg by (job) (avg_over_time(x[5m])) > 1", "'avg' over series"),
        ("max without (job) (max_over_time(x[5m])) > 1", "'without'"),
        ("rate(a[5m]) > 1 and rate(b[10m]) > 1", "several stretches of time (300 s, 600 s)"),
        ("max by (a) (max_over_time(x[5m])) > max by (b) (max_over_time(y[5m]))", "different labels"),
        ("a offset 5m > 1", "'offset'"),
        ("a @ 100 > 1", "'@'"),
        ("a > on (x) b", "'on'"),
        ("a > bool 1", "'bool'"),
        ("(a > 1) + 2 > 3", "'>' inside a value"),
        ('a{x=~"b.*"} > 1', "'b.*'"),
        ("predict_linear(a[1h], 3600) < 0", "'predict_linear'"),
        ("max_over_time(rate(a[5m])[1h:1m]) > 1", "sub-queries"),
        ("quantile_over_time(0.42, a[5m]) > 1", "0.42"),
        ('{__name__="a"} > 1', "without the name"),
        ("a unless b", "compared with nothing"),
        ("time() - a > 60", "'time'"),
    ],
)
def test_what_is_not_understood_says_why(promql: str, why: str) -> None:
    with pytest.raises(NotUnderstood, match=_literally(why)):
        translate(promql, labels=LABELS)


def _literally(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "()[]{}.*+?|^$@" else sign for sign in text)
