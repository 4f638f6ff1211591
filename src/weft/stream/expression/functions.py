"""Every function, aggregate and named metric in one table: for binding, completions, sentences and the manual."""

from dataclasses import dataclass
from typing import Final

from weft.stream.custom import find_custom

QUANTILE: Final = "p50"
"""The name under which the table explains p50, p99, p99.9 and the like."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of single values. `{0}` and so on in `phrase` are what it takes, in words."""

    name: str
    takes: tuple[str, ...]
    gives: str
    sentence: str
    phrase: str
    example: str

    @property
    def signature(self) -> str:
        """How it is called."""
        return f"{self.name}({', '.join(self.takes)})"


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """A function over the events of a window. A parameter that ends in `?` may be left out."""

    name: str
    takes: tuple[str, ...]
    gives: str
    sentence: str
    phrase: str
    example: str

    @property
    def signature(self) -> str:
        """How it is called."""
        return f"{self.name}({', '.join(self.takes)})"

    @property
    def least(self) -> int:
        """How many arguments it needs."""
        return sum(not parameter.endswith("?") for parameter in self.takes)


@dataclass(frozen=True, slots=True)
class Metric:
    """A named figure over a window: a short name of an aggregate."""

    name: str
    text: str
    sentence: str
    phrase: str


FUNCTIONS: Final = {
    function.name: function
    for function in (
        Function("abs", ("number",), "number", "A number without its sign.", "the size of {0}", "abs(data.drift) > 0.5"),
        Function(
            "boolean",
            ("value",),
            "boolean",
            "A value as true or false. Of a field of data: where it is that.",
            "{0} as true or false",
            "boolean(data.open) == boolean(data.wanted)",
        ),
        Function(
            "coalesce",
            ("value", "value", "..."),
            "value",
            "The first of several values of one type that is not null.",
            "the first known of {all}",
            "coalesce(data.celsius, data.temperature) > 30",
        ),
        Function(
            "contains",
            ("text", "part"),
            "boolean",
            "Whether a text has another in it.",
            "{0} contains {1}",
            'contains(source, "lab")',
        ),
        Function(
            "endswith", ("text", "end"), "boolean", "Whether a text ends so.", "{0} ends with {1}", 'endswith(source, "/door")'
        ),
        Function(
            "is_null",
            ("value",),
            "boolean",
            "Whether there is no value. Of a field of data: it is absent or null, whatever its type.",
            "{0} is missing",
            "is_null(data.temperature)",
        ),
        Function(
            "lower",
            ("text",),
            "text",
            "A text in small letters, one for one.",
            "{0} in small letters",
            'lower(source) == "door"',
        ),
        Function(
            "number",
            ("value",),
            "number",
            "A value as a number. Of a field of data: where it is one. Of a text: the number it writes, as `21.5` or `-3e2`; "
            "`number(text(data.x))` reads a field that holds numbers as texts.",
            "{0} as a number",
            "number(text(data.reading)) > 3",
        ),
        Function(
            "startswith",
            ("text", "start"),
            "boolean",
            "Whether a text begins so.",
            "{0} begins with {1}",
            'startswith(source, "lab/")',
        ),
        Function(
            "text",
            ("value",),
            "text",
            "A value as a text. Of a field of data: where it is one. Of a number: its digits, whole ones without a point, "
            "others as short as they can be read back; of a truth: `true` or `false`.",
            "{0} as a text",
            'text(number(data.code)) in ["17", "18"]',
        ),
    )
}

AGGREGATES: Final = {
    aggregate.name: aggregate
    for aggregate in (
        AggregateFunction(
            "absent",
            ("value?",),
            "boolean",
            "True where no event came; with a value, where none came that has it.",
            "no event came{with}",
            "absent(data.temperature)",
        ),
        AggregateFunction(
            "avg", ("number",), "number", "The mean, exactly rounded.", "the average of {0}", "avg(temperature) > 30"
        ),
        AggregateFunction(
            "count",
            ("value?",),
            "integer",
            "How many events; with a value, how many in which it is not null.",
            "the number of events{with}",
            'count(where type == "error") > 5',
        ),
        AggregateFunction(
            "delta",
            ("number",),
            "number",
            "The last value less the first, by time.",
            "the change of {0}",
            "delta(data.level) < -2",
        ),
        AggregateFunction(
            "distinct",
            ("value",),
            "integer",
            "How many different values: exactly up to 1,024, about beyond. Of a field of data, say of which type.",
            "the number of different values of {0}",
            "distinct(text(data.room)) > 3",
        ),
        AggregateFunction(
            "first", ("value",), "value", "The earliest value.", "the first {0}", 'first(data.state) == "closed"'
        ),
        AggregateFunction("last", ("value",), "value", "The latest value.", "the last {0}", 'last(data.state) == "open"'),
        AggregateFunction("max", ("number",), "number", "The largest.", "the largest {0}", "max(temperature) > 80"),
        AggregateFunction("min", ("number",), "number", "The smallest.", "the smallest {0}", "min(data.battery) < 10%"),
        AggregateFunction(
            QUANTILE,
            ("number",),
            "number",
            "The smallest value that this share of all does not exceed: `p50` is the median. Any from `p1` "
            "to `p99.999`. Exact up to 1,024 values, about beyond.",
            "the {quantile} percentile of {0}",
            "p99(data.latency_ms) > 500",
        ),
        AggregateFunction(
            "rate",
            ("number?",),
            "number",
            "Events per second of the window; with a value, the growth per second of that counter, its resets made good.",
            "the rate of {0} per second",
            "rate(data.bytes_total) > 1000000",
        ),
        AggregateFunction(
            "ratio",
            ("part", "whole"),
            "number",
            "One part of a whole: two aggregates, or two conditions whose events are counted. Null where the whole is 0.",
            "{0} as a share of {1}",
            'ratio(type == "error", type == "api.request") > 5%',
        ),
        AggregateFunction(
            "stddev",
            ("number",),
            "number",
            "How far values lie from their mean: the root of the mean square, of all values.",
            "the standard deviation of {0}",
            "stddev(temperature) > 2",
        ),
        AggregateFunction(
            "sum", ("number",), "number", "All values together, exactly rounded.", "the sum of {0}", "sum(data.bytes) > 1000000"
        ),
    )
}

METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("count", "count()", "How many events.", "the number of events"),
        Metric("error_count", 'count(where type == "error")', "How many events of type `error`.", "the number of errors"),
        Metric(
            "error_rate",
            'ratio(count(where type == "error"), count())',
            "Events of type `error` as a share of all, 0 to 1.",
            "the error rate",
        ),
        Metric("event_rate", "rate()", "Events for each second of the window.", "the number of events per second"),
        Metric("unique_users", "distinct(user_id)", "How many different user ids.", "the number of different users"),
    )
}


def find_quantile(name: str) -> float | None:
    """0.999 for `p99.9`; None for a name that is no percentile's."""
    digits = name[1:]
    if not name.startswith("p") or not digits.replace(".", "", 1).isdecimal() or not digits.isascii():
        return None
    share = float(digits) / 100
    return share if 0 < share < 1 else None


def find_aggregate(name: str) -> AggregateFunction | None:
    """The aggregate of this name: any percentile included, and those that other packages bring."""
    if find_quantile(name) is not None:
        return AGGREGATES[QUANTILE]
    return AGGREGATES.get(name) or (None if name in FUNCTIONS or name in METRICS else _find_custom(name))


def _find_custom(name: str) -> AggregateFunction | None:
    custom = find_custom(name)
    if custom is None:
        return None
    return AggregateFunction(name, ("number",), "number", custom.sentence, custom.phrase, f"{name}(data.value) > 1")
