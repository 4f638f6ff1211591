"""PromQL in Weft's words: a stated part of it, and for the rest the reason why not.

A metric is a number in `data` of an event, a label is a field beside it. What is understood:

| PromQL | Weft |
|---|---|
| `metric{label="x", other!="y", third=~"a\\|b"}` | `last(data.metric where data.label == "x" and …)`, looking 5 minutes back |
| `avg_over_time(metric[5m])`, also `min`, `max`, `sum`, `count`, `last`, `stddev` | `avg(data.metric)` and so on |
| `quantile_over_time(0.95, metric[5m])` | `p95(data.metric)`, for the percentiles Weft has |
| `rate(metric[5m])`, `increase(…)`, `delta(…)` | `rate(data.metric)`, `rate(…) * seconds`, `delta(…)` |
| `sum by (label) (sum_over_time(…))`, `max` of `max_over_time` … | the same over all events, grouped by the label |
| numbers, `+ - * / %`, comparisons with a number, `and`, `or`, `absent(metric)` | the same |

Everything in one expression looks at the same stretch of time. Aggregations over rates and over instant values add up *series*,
which one window of events cannot; they are refused, and so are `offset`, `@`, sub-queries, `on`, `ignoring` and `group_left`.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import promql_parser as promql

from weft.stream.expression.tree import (
    Arithmetic,
    ArithmeticSign,
    Call,
    Comparator,
    Comparison,
    Listing,
    Logical,
    LogicalWord,
    Membership,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Text,
)
from weft.stream.expression.write import write

LOOK_BACK_S: Final = 300
"""How far back Prometheus looks for the value of an instant."""

_OVER_TIME: Final = {
    "avg_over_time": "avg",
    "min_over_time": "min",
    "max_over_time": "max",
    "sum_over_time": "sum",
    "count_over_time": "count",
    "last_over_time": "last",
    "stddev_over_time": "stddev",
    "rate": "rate",
    "delta": "delta",
}
_PERCENTILES: Final = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p99.9"}
_ADDS_UP: Final = {"sum": {"sum", "count"}, "min": {"min"}, "max": {"max"}}
"""For each aggregation over series the functions over time that give the same over all their samples at once."""
_COMPARATORS: Final = {"==", "!=", "<", "<=", ">", ">="}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_SIGNS: Final = {"+", "-", "*", "/", "%"}
_ONE_OF: Final = re.compile(r"[^\\^$.|?*+()\[\]{}]+(\|[^\\^$.|?*+()\[\]{}]+)*")
_NOWHERE: Final = {"column": 0, "length": 0}


class NotUnderstood(Exception):
    """A part of an expression has no counterpart; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A condition in Weft's language, the stretch of time it looks at, and the fields it is grouped by (None: not said)."""

    condition: str
    window_s: int
    group_by: tuple[str, ...] | None = None


@dataclass(slots=True)
class Translation:
    """One expression on its way. `labels` says what fields labels are, where it is not `data.<label>`."""

    labels: Mapping[str, str]
    ranges_s: set[int] = field(default_factory=set[int])
    groups: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])

    def condition(self, expression: promql.Expr) -> Node:
        """What is true or false: comparisons, joined by `and` and `or`, or `absent`."""
        match expression:
            case promql.ParenExpr():
                return self.condition(expression.expr)
            case promql.BinaryExpr() if str(expression.op) in {"and", "or"}:
                _refuse_matching(expression)
                word = cast("LogicalWord", str(expression.op))
                return Logical(word=word, terms=(self.condition(expression.lhs), self.condition(expression.rhs)), **_NOWHERE)
            case promql.BinaryExpr() if str(expression.op) in _COMPARATORS:
                return self._comparison(expression)
            case promql.Call() if expression.func.name == "absent":
                return self._absent(expression)
            case _:
                raise NotUnderstood(f"'{expression.prettify()}' is compared with nothing, so any value of it would be an alert")

    def _comparison(self, expression: promql.BinaryExpr) -> Node:
        _refuse_matching(expression)
        left, right, sign = expression.lhs, expression.rhs, str(expression.op)
        if isinstance(left, promql.NumberLiteral):
            left, right, sign = right, left, _MIRRORED[sign]
        return Comparison(sign=cast("Comparator", sign), left=self._value(left), right=self._value(right), **_NOWHERE)

    def _absent(self, call: promql.Call) -> Node:
        (selector,) = call.args
        if not isinstance(selector, promql.VectorSelector):
            raise NotUnderstood("absent is understood of a metric only")
        self.ranges_s.add(LOOK_BACK_S)
        return self._over(selector, "absent")

    def _value(self, expression: promql.Expr) -> Node:
        """What has a number for each series."""
        translate = self._translations().get(type(expression))
        if translate is None:
            raise NotUnderstood(f"'{expression.prettify()}' has no counterpart")
        return translate(expression)

    def _translations(self) -> dict[type, Callable[[Any], Node]]:
        return {
            promql.ParenExpr: lambda expression: self._value(expression.expr),
            promql.NumberLiteral: lambda expression: _number(expression.val),
            promql.UnaryExpr: lambda expression: Negative(operand=self._value(expression.expr), **_NOWHERE),
            promql.BinaryExpr: self._arithmetic,
            promql.VectorSelector: self._instant,
            promql.Call: self._call,
            promql.AggregateExpr: self._aggregation,
        }

    def _arithmetic(self, expression: promql.BinaryExpr) -> Node:
        _refuse_matching(expression)
        sign = str(expression.op)
        if sign not in _SIGNS:
            raise NotUnderstood(f"'{sign}' inside a value has no counterpart")
        left, right = self._value(expression.lhs), self._value(expression.rhs)
        return Arithmetic(sign=cast("ArithmeticSign", sign), left=left, right=right, **_NOWHERE)

    def _instant(self, selector: promql.VectorSelector) -> Node:
        self.ranges_s.add(LOOK_BACK_S)
        return self._over(selector, "last")

    def _call(self, call: promql.Call) -> Node:
        name, arguments = call.func.name, call.args
        if name == "quantile_over_time" and isinstance(arguments[0], promql.NumberLiteral):
            percentile = _PERCENTILES.get(arguments[0].val)
            if percentile is None:
                raise NotUnderstood(f"the quantile {arguments[0].val} is none of {', '.join(map(str, _PERCENTILES))}")
            return self._over(self._ranged(arguments[1]), percentile)
        if name == "increase":
            selector = self._ranged(arguments[0])
            seconds = _number(cast("promql.MatrixSelector", arguments[0]).range.total_seconds())
            return Arithmetic(sign="*", left=self._over(selector, "rate"), right=seconds, **_NOWHERE)
        if name not in _OVER_TIME:
            raise NotUnderstood(f"the function '{name}' has no counterpart")
        return self._over(self._ranged(arguments[0]), _OVER_TIME[name])

    def _ranged(self, argument: object) -> promql.VectorSelector:
        if not isinstance(argument, promql.MatrixSelector):
            raise NotUnderstood("sub-queries have no counterpart")
        self.ranges_s.add(round(argument.range.total_seconds()))
        return argument.vector_selector

    def _aggregation(self, expression: promql.AggregateExpr) -> Node:
        outer, modifier, inner = str(expression.op), expression.modifier, expression.expr
        over = _OVER_TIME.get(inner.func.name) if isinstance(inner, promql.Call) else None
        if over not in _ADDS_UP.get(outer, set()):
            raise NotUnderstood(
                f"'{outer}' over series of '{inner.prettify()}' needs each series by itself first; one window has only events"
            )
        if modifier is not None and modifier.type == promql.AggModifierType.Without:
            raise NotUnderstood("'without' needs all labels to be known; write 'by'")
        labels = [] if modifier is None else modifier.labels
        self.groups.add(tuple(self._field(label) for label in labels))
        return self._value(inner)

    def _over(self, selector: promql.VectorSelector, function: str) -> Node:
        if selector.offset is not None or selector.at is not None:
            raise NotUnderstood("'offset' and '@' look at another time, which a window cannot")
        if selector.name is None:
            raise NotUnderstood("a selector without the name of a metric has no counterpart")
        if selector.matchers.or_matchers:
            raise NotUnderstood("'or' between matchers has no counterpart")
        terms = [self._matched(matcher) for matcher in selector.matchers.matchers]
        where = Logical(word="and", terms=tuple(terms), **_NOWHERE) if len(terms) > 1 else (terms[0] if terms else None)
        return Call(function=function, arguments=(_name(f"data.{selector.name}"),), where=where, **_NOWHERE)

    def _matched(self, matcher: promql.Matcher) -> Node:
        name = _name(self._field(matcher.name))
        if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
            sign: Comparator = "==" if matcher.op == promql.MatchOp.Equal else "!="
            return Comparison(sign=sign, left=name, right=Text(value=matcher.value, **_NOWHERE), **_NOWHERE)
        if not _ONE_OF.fullmatch(matcher.value):
            raise NotUnderstood(f"the pattern '{matcher.value}' is more than a choice of texts such as 'a|b'")
        choice = Listing(items=tuple(Text(value=text, **_NOWHERE) for text in matcher.value.split("|")), **_NOWHERE)
        one_of = Membership(item=name, group=choice, **_NOWHERE)
        return one_of if matcher.op == promql.MatchOp.Re else Not(operand=one_of, **_NOWHERE)

    def _field(self, label: str) -> str:
        return self.labels.get(label, f"data.{label}")


def translate(expression: str, *, labels: Mapping[str, str]) -> Translated:
    """The condition of an alerting rule. `labels` says which field a label is, where it is not `data.<label>`.

    Raises NotUnderstood with the part that has no counterpart, or with the parser's word on an expression that is wrong.
    """
    try:
        parsed = promql.parse(expression)
    except ValueError as wrong:
        raise NotUnderstood(f"not PromQL: {wrong}") from wrong
    translation = Translation(labels)
    condition = write(translation.condition(parsed))
    if len(translation.ranges_s) > 1:
        ranges = ", ".join(f"{seconds} s" for seconds in sorted(translation.ranges_s))
        raise NotUnderstood(f"it looks at several stretches of time ({ranges}); a rule has one window")
    if len(translation.groups) > 1:
        raise NotUnderstood("its parts are grouped by different labels")
    return Translated(
        condition=condition,
        window_s=next(iter(translation.ranges_s), LOOK_BACK_S),
        group_by=next(iter(translation.groups), None),
    )


def duration_s(text: str) -> int:
    """A duration such as `1h30m`, in whole seconds, rounded up. Raises NotUnderstood."""
    try:
        return 0 if text == "0" else math.ceil(promql.parse_duration(text).total_seconds())
    except ValueError as wrong:
        raise NotUnderstood(f"'{text[:32]}' is no duration such as 5m or 1h30m") from wrong


def _refuse_matching(expression: promql.BinaryExpr) -> None:
    modifier = expression.modifier
    if modifier is not None and (modifier.matching is not None or modifier.group_labels):
        raise NotUnderstood("'on', 'ignoring' and 'group_left' match series with each other, which a window cannot")
    if modifier is not None and modifier.return_bool:
        raise NotUnderstood("'bool' makes a number of a condition, so the rule would always be true")


def _number(value: float) -> Number:
    whole = int(value) if value == int(value) and abs(value) < 2**53 else value
    return Number(text=repr(whole), value=whole, **_NOWHERE)


def _name(dotted: str) -> Name:
    first, *rest = dotted.split(".", 1)
    return Name(path=(first, *rest), **_NOWHERE)
