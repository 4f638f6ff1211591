"""A file of rules: how they are carried from one Weft to another, kept beside code, or brought over from Prometheus.

YAML. Weft's own has one list, `rules`; a rule file of Prometheus has `groups`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec
import yaml

from weft.alerts.rule import RuleDefinition, read_definition
from weft.core.errors import Invalid, TooLarge, Unsupported
from weft.core.event import DEFAULT_TOPIC

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_RULES: Final = 5_000
LABELS: Final[Mapping[str, str]] = MappingProxyType({"instance": "source"})
"""What fields well-known labels of Prometheus are; every other one is a field of `data`."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that could not be brought over, and why."""

    name: str
    expression: str
    why: str


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a rule that is not quite as it was."""

    name: str
    what: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What a file became. Nothing of it is left out in silence: what became no rule is a refusal."""

    rules: list[RuleDefinition]
    refusals: list[Refusal] = msgspec.field(default_factory=list[Refusal])
    remarks: list[Remark] = msgspec.field(default_factory=list[Remark])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read a rule file of Prometheus: the topic the metrics are in, which fields labels are, whom the rules tell."""

    topic: str = DEFAULT_TOPIC
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)
    channels: tuple[str, ...] = ()


def read_yaml(text: str) -> object:
    """What a YAML text says. Raises Invalid, naming line and column, or TooLarge."""
    if len(text) > MAX_BYTES:
        raise TooLarge(f"the file has {len(text)} characters, at most {MAX_BYTES} are read", limit=MAX_BYTES)
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as wrong:
        mark = getattr(wrong, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        raise Invalid(f"this is not YAML: {getattr(wrong, 'problem', None) or wrong}{place}", field="rules") from wrong
    except RecursionError as wrong:
        raise Invalid("this YAML is nested too deeply", field="rules") from wrong


def read_rule_file(text: str, reading: Reading | None = None) -> Imported:
    """The rules of a file of either kind. Raises Invalid that says where it is wrong, TooLarge, and Unsupported for a rule file
    of Prometheus where the parser of its expressions is not installed."""
    written = read_yaml(text)
    fields: Mapping[str, object] = cast("Mapping[str, object]", written) if isinstance(written, Mapping) else {}
    if "groups" not in fields:
        return Imported(rules=read_rules(written))
    try:
        from weft.alerts.prometheus.rule_group import read_groups
    except ModuleNotFoundError as missing:
        raise Unsupported("rule files of Prometheus need a parser; run: pip install 'weft[prometheus]'") from missing
    return read_groups(fields, reading or Reading())


def read_rules(written: Any) -> list[RuleDefinition]:
    """The rules of a file. Raises Invalid that names the rule and its field; names must differ."""
    entries = _entries(written)
    rules = [_read(entry, index) for index, entry in enumerate(entries)]
    names = [rule.name for rule in rules]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise Invalid(f"two rules of the file are called '{twice}'", field="rules")
    return rules


def write_rules(rules: Iterable[RuleDefinition]) -> str:
    """The rules as such a file, without what is as it is by default."""
    written = {"rules": [rule.to_written() for rule in rules]}
    return yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=120)


def _entries(written: object) -> list[object]:
    entries = cast("Mapping[str, object]", written).get("rules") if isinstance(written, Mapping) else written
    if not isinstance(entries, list):
        raise Invalid("a file of rules holds a list called 'rules'", field="rules")
    found = cast("list[object]", entries)
    if len(found) > MAX_RULES:
        raise TooLarge(f"the file has {len(found)} rules, at most {MAX_RULES} are read at once", limit=MAX_RULES)
    return found


def _read(entry: object, index: int) -> RuleDefinition:
    if not isinstance(entry, Mapping):
        raise Invalid(f"rule {index + 1} of the file is no mapping of fields", field=f"rules.{index}")
    fields = cast("Mapping[str, Any]", entry)
    try:
        return read_definition(fields)
    except Invalid as wrong:
        name = fields.get("name", index + 1)
        place = f"rules.{index}.{wrong.details.get('field') or ''}".rstrip(".")
        raise Invalid(f"rule '{name}': {wrong.message}", field=place) from wrong
