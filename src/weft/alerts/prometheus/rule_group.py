"""A rule file of Prometheus: groups of alerting rules, brought over one by one."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from weft.alerts.prometheus.promql import NotUnderstood, Translated, duration_s, translate
from weft.alerts.rule import AlertLevel, RuleDefinition, read_definition
from weft.alerts.rule_file import Imported, Reading, Refusal, Remark
from weft.core.errors import Invalid

Fields = Mapping[str, Any]

_DEFAULT_EVERY_S: Final = 60
_LEVELS: Final[Mapping[str, AlertLevel]] = MappingProxyType(
    {"critical": "critical", "page": "critical", "error": "error", "warning": "warning", "warn": "warning", "info": "info"}
)


def read_groups(written: Mapping[str, object], reading: Reading) -> Imported:
    """The rules of a Prometheus rule file (its YAML, read). Raises Invalid where it is no such file."""
    imported = Imported(rules=[])
    names: set[str] = set()
    for every_s, rule in _rules(written):
        name = str(rule.get("alert") or rule.get("record") or "?")
        try:
            definition, remarks = _bring(rule, every_s, reading, names)
        except (Invalid, NotUnderstood) as why:
            imported.refusals.append(Refusal(name=name, expression=str(rule.get("expr", "")), why=str(why)))
        else:
            names.add(name)
            imported.rules.append(definition)
            imported.remarks.extend(Remark(name=name, what=what) for what in remarks)
    return imported


def _rules(written: Mapping[str, object]) -> Iterator[tuple[int, Fields]]:
    """Each rule with the seconds between two evaluations of its group."""
    for group in _mappings(written.get("groups"), "a rule file of Prometheus holds a list called 'groups'"):
        try:
            every_s = duration_s(str(group["interval"])) if "interval" in group else _DEFAULT_EVERY_S
        except NotUnderstood as wrong:
            raise Invalid(f"group '{group.get('name')}': {wrong}", field="groups") from wrong
        for rule in _mappings(group.get("rules", []), f"group '{group.get('name')}' holds a list of rules"):
            yield every_s, rule


def _mappings(written: object, what: str) -> list[Fields]:
    if not isinstance(written, list) or not all(isinstance(entry, Mapping) for entry in cast("list[object]", written)):
        raise Invalid(what, field="groups")
    return cast("list[Fields]", written)


def _bring(rule: Fields, every_s: int, reading: Reading, names: set[str]) -> tuple[RuleDefinition, list[str]]:
    if "alert" not in rule:
        raise NotUnderstood("it records a series; Weft has continuous queries for that")
    if str(rule["alert"]) in names:
        raise NotUnderstood("another rule of this file has this name already; names are unique here")
    translated = translate(str(rule.get("expr", "")), labels=reading.labels)
    labels, annotations = _texts(rule.get("labels")), _texts(rule.get("annotations"))
    written = {
        "name": str(rule["alert"]),
        "description": annotations.get("description") or annotations.get("summary"),
        "condition": translated.condition,
        "from": reading.topic,
        "group_by": list(("source",) if translated.group_by is None else translated.group_by),
        "window": f"{translated.window_s}s",
        "slide": f"{every_s}s" if _slides(translated, every_s) else None,
        "for": _interval(rule.get("for")),
        "keep_firing_for": _interval(rule.get("keep_firing_for")),
        "level": _LEVELS.get(labels.get("severity", "warning"), "warning"),
        "channels": list(reading.channels),
        "metadata": {"labels": labels, "annotations": annotations, "promql": str(rule.get("expr", ""))},
    }
    said = {name: value for name, value in written.items() if value is not None}
    return read_definition(said), list(_remarks(translated, every_s, labels, annotations))


def _slides(translated: Translated, every_s: int) -> bool:
    return 0 < every_s < translated.window_s and translated.window_s % every_s == 0


def _remarks(translated: Translated, every_s: int, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Iterator[str]:
    severity = labels.get("severity", "warning")
    if severity not in _LEVELS:
        yield f"its severity '{severity}' became the level warning"
    if translated.group_by is None:
        yield "one alert for each source; change group_by where its series differ by something else"
    if every_s != translated.window_s and not _slides(translated, every_s):
        yield f"judged once a window of {translated.window_s} s, of which the group's interval of {every_s} s is no part"
    if any("{{" in text for text in annotations.values()):
        yield "the templates in its annotations are kept as text; here templates belong to channels"


def _texts(written: object) -> dict[str, str]:
    if not isinstance(written, Mapping):
        return {}
    return {str(name): str(value) for name, value in cast("Fields", written).items()}


def _interval(written: object) -> str | None:
    seconds = 0 if written is None else duration_s(str(written))
    return f"{seconds}s" if seconds else None
