"""Compiling: from a rule to the query that is asked of the stream, and to what is asked of its results.

Nothing here needs a server: result rows that come from anywhere are judged the same.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

import msgspec

from weft.alerts.judged import Judged, Reason
from weft.alerts.lifecycle import Escalation, Life, Policy
from weft.alerts.phase import Seen, Timing
from weft.alerts.rule import LEVELS, AlertLevel, RuleDefinition
from weft.core.errors import Invalid
from weft.core.interval import parse_interval
from weft.core.times import MINUTE_US
from weft.stream.expression.aggregates import THRESHOLD
from weft.stream.expression.bind import bind_condition
from weft.stream.expression.evaluate import evaluate_row, trace
from weft.stream.expression.names import ResultNames
from weft.stream.expression.parser import parse
from weft.stream.expression.split import Split, split_condition
from weft.stream.expression.tree import Name, walk
from weft.stream.expression.typed import Aggregate, Expression
from weft.stream.expression.write import write
from weft.stream.query import Query, read_query

QUERY: Final = "rule-"
"""What the names of the queries of rules begin with; the rule's id follows."""
FINDING_NAMES: Final = ResultNames(
    kinds={"weight": "integer", "level": "text"},
    sentences={"weight": "0 fine, 2 look, 3 act; unknown where the check is", "level": "fine, look or act"},
)
FINDING_KEY: Final = "finding"
"""What alerts about findings are told apart by."""
FLAPS: Final = 6
FLAPS_WITHIN_US: Final = 30 * MINUTE_US
_WINDOWS_MISSING: Final = 3
_FINDING_MISSING_US: Final = 5 * MINUTE_US
_NOTHING: Final[dict[str, object]] = {"count": 0, "distinct": 0, "absent": True}
"""What aggregates say of a window without events; the others are unknown."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule, and how bad it is where it is true."""

    level: AlertLevel
    expression: Expression


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to judge. `conditions` begin with the worst; `nothing` are the values of a window without events."""

    definition: RuleDefinition
    query: Query | None
    conditions: tuple[Condition, ...]
    clear: Expression | None
    policy: Policy
    nothing: Mapping[str, Any]
    expected: frozenset[tuple[str | None, ...]]
    meaning: str

    @property
    def revises(self) -> bool:
        """Whether a window that was answered may be answered again, differently."""
        return self.query is not None and self.query.emit == "revisions"

    def life(self, key: Mapping[str, str | None]) -> Life:
        """How alerts of this key live: data is due where it is expected."""
        if tuple(key.values()) in self.expected:
            return Life(replace(self.policy, timing=replace(self.policy.timing, watched=True)))
        return Life(self.policy)

    def judge(self, window: Seen, values: Mapping[str, Any]) -> Judged:
        """What the rule makes of the values of a window. `window` says which one; its verdict is filled in."""
        told = [(condition.level, evaluate_row(condition.expression, values)) for condition in self.conditions]
        level = next((level for level, value in told if value is True), None)
        is_true = True if level is not None else None if any(value is None for _, value in told) else False
        is_clear = None if is_true is None else not is_true
        if self.clear is not None:
            cleared = evaluate_row(self.clear, values)
            is_clear = cleared if isinstance(cleared, bool) else None
        seen = msgspec.structs.replace(window, is_true=is_true, is_clear=is_clear, level=level)
        return Judged(seen=seen, values=dict(values))

    def reasons(self, values: Mapping[str, Any]) -> list[Reason]:
        """Every condition over these values, with the value of each of its parts."""
        found = [_reason(condition.expression, values, condition.level) for condition in self.conditions]
        return found if self.clear is None else [*found, _reason(self.clear, values, None)]


def compile_rule(
    definition: RuleDefinition, rule_id: str, *, flaps: int = FLAPS, flaps_within_us: int = FLAPS_WITHIN_US
) -> Compiled:
    """Raises Invalid, naming the field, where the rule means nothing or contradicts itself."""
    splits: list[tuple[AlertLevel, Split]] = [
        (level, _split(definition, threshold)) for level, threshold in _thresholds(definition)
    ]
    clear = None if definition.resolve_when is None else _split_clear(definition, definition.resolve_when)
    aggregates = {name: found for _, part in splits for name, found in part.aggregates.items()}
    if clear is not None:
        aggregates |= clear.aggregates
    if definition.finding and aggregates:
        raise Invalid("a rule about findings has no events to count; it speaks of weight and level", field="condition")
    query = None if definition.finding else _query(definition, rule_id, [part for _, part in splits], clear)
    return Compiled(
        definition=definition,
        query=query,
        conditions=tuple(Condition(level, part.expression) for level, part in splits),
        clear=None if clear is None else clear.expression,
        policy=_policy(definition, flaps, flaps_within_us),
        nothing={name: _nothing(aggregate) for name, aggregate in aggregates.items()},
        expected=frozenset(tuple[str | None, ...](key) for key in definition.expect),
        meaning=_meaning(definition, query),
    )


def query_name(rule_id: str) -> str:
    """The name of the query of a rule."""
    return QUERY + rule_id


def _thresholds(definition: RuleDefinition) -> Sequence[tuple[AlertLevel, float | None]]:
    """Each level with its threshold, the worst first."""
    if not definition.levels:
        return [(definition.level, definition.threshold)]
    if definition.threshold is not None and definition.threshold not in definition.levels.values():
        listed = ", ".join(f"{level} {threshold:g}" for level, threshold in definition.levels.items())
        raise Invalid(
            f"the threshold is {definition.threshold:g}, the levels say {listed}; leave one of them out", field="threshold"
        )
    return sorted(definition.levels.items(), key=lambda entry: -LEVELS.index(entry[0]))


def _split(definition: RuleDefinition, threshold: float | None) -> Split:
    with _field("condition"):
        return split_condition(definition.condition, threshold=threshold, names=_names(definition))


def _split_clear(definition: RuleDefinition, text: str) -> Split:
    """A number of its own is no contradiction here: that is how one says when to stop."""
    with _field("resolve_when"):
        named = any(isinstance(node, Name) and node.path == (THRESHOLD,) for _, node in walk(parse(text)))
        return split_condition(text, threshold=definition.threshold if named else None, names=_names(definition))


def _names(definition: RuleDefinition) -> ResultNames | None:
    return FINDING_NAMES if definition.finding else None


def _query(definition: RuleDefinition, rule_id: str, conditions: Sequence[Split], clear: Split | None) -> Query:
    select: dict[str, str] = {}
    for part in (*conditions, *(() if clear is None else (clear,))):
        select |= part.select
    if not select:
        raise Invalid("the condition asks nothing of the events, such as count > 5", field="condition")
    is_final = definition.session_gap is not None or definition.lateness is None
    written: dict[str, object] = {
        "name": query_name(rule_id),
        "from": definition.from_,
        "where": _plain(definition.where),
        "key": definition.group_by,
        "window": _window(definition),
        "lateness": definition.lateness,
        "select": select,
        "emit": "final" if is_final else "revisions",
        "every": definition.every,
        "description": f"what the rule '{definition.name}' asks",
    }
    return read_query({name: value for name, value in written.items() if value is not None})


def _window(definition: RuleDefinition) -> str | dict[str, str]:
    if definition.session_gap is not None:
        return {"session": definition.session_gap}
    if definition.slide is not None and definition.slide != definition.window:
        return {"sliding": definition.window, "slide": definition.slide}
    return definition.window


def _plain(where: str | None) -> str | None:
    """The condition as it is always written, so that spaces change nothing."""
    if where is None:
        return None
    with _field("where"):
        bind_condition(where)
        return write(parse(where))


def _policy(definition: RuleDefinition, flaps: int, flaps_within_us: int) -> Policy:
    window_us = parse_interval(definition.session_gap or definition.window)
    step_us = None if definition.session_gap or definition.finding else parse_interval(definition.slide or definition.window)
    missing_us = _FINDING_MISSING_US if definition.finding else _WINDOWS_MISSING * window_us
    suppression_us = definition.suppression_minutes * MINUTE_US
    return Policy(
        timing=Timing(
            level=definition.level,
            for_us=_optional_us(definition.for_) or 0,
            keep_firing_us=_optional_us(definition.keep_firing_for) or 0,
            missing_us=_optional_us(definition.missing_for) or missing_us,
            no_data=definition.no_data or "alert",
            step_us=step_us,
            revisable_us=(_optional_us(definition.lateness) or 0) + window_us,
            watched=bool(definition.finding or definition.missing_for) or definition.no_data == "alert",
        ),
        suppression_us=suppression_us,
        repeat_us=_optional_us(definition.repeat_interval) or suppression_us or None,
        escalation=_escalation(definition),
        flaps=flaps,
        flaps_within_us=flaps_within_us,
        shadow=definition.shadow,
        revises=definition.every is None,
    )


def _escalation(definition: RuleDefinition) -> tuple[Escalation, ...]:
    if definition.escalation:
        return tuple(
            Escalation(after_us=parse_interval(step.after), level=step.level, channels=tuple(step.channels) or None)
            for step in definition.escalation
        )
    if definition.escalation_minutes:
        return (Escalation(after_us=definition.escalation_minutes * MINUTE_US),)
    return ()


def _meaning(definition: RuleDefinition, query: Query | None) -> str:
    """What two versions have in common where an alert of one is an alert of the other: names, channels and times may differ."""
    asked = query.written() if query is not None else {"findings": sorted(definition.finding)}
    asked.pop("description", None)
    thresholds = [[level, threshold] for level, threshold in _thresholds(definition)] if definition.levels else []
    written = {
        "asked": asked,
        "condition": write(parse(definition.condition)),
        "threshold": definition.threshold,
        "levels": thresholds,
        "resolve_when": None if definition.resolve_when is None else write(parse(definition.resolve_when)),
    }
    return sha256(msgspec.json.encode(written, order="deterministic")).hexdigest()


def _nothing(aggregate: Aggregate) -> object:
    if aggregate.function == "rate" and not aggregate.arguments:
        return 0.0
    return _NOTHING.get(aggregate.function)


def _reason(expression: Expression, values: Mapping[str, Any], level: AlertLevel | None) -> Reason:
    seen = trace(expression, values)
    value = seen.value if isinstance(seen.value, bool) else None
    return Reason(condition=expression.text, is_true=value, level=level, steps=seen.steps)


def _optional_us(text: str | None) -> int | None:
    return None if text is None else parse_interval(text)


@contextmanager
def _field(name: str) -> Generator[None]:
    """What is wrong inside is wrong with this field."""
    try:
        yield
    except Invalid as wrong:
        raise Invalid(f"{name}: {wrong.message}", **{"field": name, **wrong.details}) from wrong
