"""Live rules: the enabled ones, compiled, found by id, by name and by the topic of their results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from weft.alerts.compile import Compiled, compile_rule
from weft.alerts.rule import Rule
from weft.core.errors import Invalid

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRule:
    """A rule that is judged. `query_version` is the version of its query whose results count."""

    rule: Rule
    meaning: str
    compiled: Compiled
    query_version: int | None = None

    @property
    def topic(self) -> str | None:
        """Where its results come from; None for a rule about findings."""
        return None if self.compiled.query is None else self.compiled.query.results_topic


@dataclass(frozen=True, slots=True)
class LiveRules:
    """Every rule there is; `live` are those that are judged."""

    all: Mapping[str, tuple[Rule, str]] = field(default_factory=dict[str, tuple[Rule, str]])
    live: Mapping[str, LiveRule] = field(default_factory=dict[str, LiveRule])
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Rules that this Weft cannot judge, by name, and why."""

    @property
    def topics(self) -> Sequence[str]:
        """The topics of results to follow."""
        return sorted({one.topic for one in self.live.values() if one.topic is not None})

    def by_topic(self) -> dict[str, LiveRule]:
        """Each rule by the topic of its results."""
        return {one.topic: one for one in self.live.values() if one.topic is not None}

    def inhibitors(self) -> dict[str, frozenset[str]]:
        """For each rule that others can keep quiet the ids of those."""
        ids = {rule.name: rule_id for rule_id, (rule, _) in self.all.items()}
        return {
            rule_id: frozenset(ids[name] for name in one.rule.definition.inhibited_by if name in ids)
            for rule_id, one in self.live.items()
            if one.rule.definition.inhibited_by
        }


def enliven(rules: Iterable[tuple[Rule, str]], versions: Mapping[str, int], *, flaps: int, flaps_within_us: int) -> LiveRules:
    """Compile the rules that are enabled. One that cannot be judged any more is told, and keeps nobody else from it."""
    known = {rule.id: (rule, meaning) for rule, meaning in rules}
    live: dict[str, LiveRule] = {}
    failures: dict[str, str] = {}
    for rule, meaning in known.values():
        if not rule.definition.enabled:
            continue
        try:
            compiled = compile_rule(rule.definition, rule.id, flaps=flaps, flaps_within_us=flaps_within_us)
        except Invalid as wrong:
            failures[rule.name] = wrong.message
            logger.warning("rule_not_judged", rule=rule.name, why=wrong.message)
            continue
        live[rule.id] = LiveRule(rule=rule, meaning=meaning, compiled=compiled, query_version=versions.get(rule.id))
    return LiveRules(known, live, failures)
