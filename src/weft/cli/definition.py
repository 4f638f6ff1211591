"""Definitions of queries and rules as a person writes them: a file, or options; and files of events."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from weft.core.errors import Invalid

if TYPE_CHECKING:
    from weft.alerts.rule import RuleDefinition

NameOption = Annotated[str | None, typer.Option("--name", help="Its name; results go to analytics.NAME.", show_default=False)]
TopicOption = Annotated[str, typer.Option("--from", help="The topic it reads.")]
WhereOption = Annotated[str | None, typer.Option("--where", help="Which events count.", show_default=False)]
KeyOption = Annotated[
    list[str] | None, typer.Option("--key", help="What results are told apart by; may be repeated.", show_default=False)
]
WindowOption = Annotated[
    str | None, typer.Option("--window", help="5m, or as YAML: '{sliding: 10m, slide: 1m}'.", show_default=False)
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option("--select", help="NAME=AGGREGATE, such as mean=avg(temperature); may be repeated.", show_default=False),
]
HavingOption = Annotated[str | None, typer.Option("--having", help="Which results are told.", show_default=False)]


def read_definitions(file: Path | None, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The queries of a file, or the one that the options make. Raises Invalid."""
    if file is None:
        return [_from_options(options)]
    written = _yaml(read_text(file), str(file))
    definitions = cast("list[Any]", written) if isinstance(written, list) else [written]
    if not definitions or not all(isinstance(definition, dict) for definition in definitions):
        raise Invalid(f"{file} holds no query; write one, or a list of them, as YAML or JSON", field="file")
    return cast("list[dict[str, Any]]", definitions)


def read_written_rules(text: str) -> "list[RuleDefinition]":
    """The rules of a file: one mapping with a condition, or what rule files hold. Raises Invalid."""
    from weft.alerts.rule import read_definition
    from weft.alerts.rule_file import read_rule_file, read_yaml

    found = read_yaml(text)
    if isinstance(found, dict) and "condition" in found:
        return [read_definition(cast("dict[str, Any]", found))]
    return list(read_rule_file(text).rules)


def read_text(file: Path) -> str:
    """What a file holds, or for `-` the standard input."""
    return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")


def read_events(file: Path) -> list[Any]:
    """The events of a file, one JSON object a line. Raises Invalid, naming the line."""
    events: list[Any] = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            try:
                events.append(json.loads(line))
            except ValueError as unreadable:
                raise Invalid(f"line {number} of {file} is no JSON: {unreadable}", field="events") from unreadable
    return events


def _from_options(options: dict[str, Any]) -> dict[str, Any]:
    if options["name"] is None or options["window"] is None or not options["select"]:
        raise Invalid("give a file, or --name, --window and --select", field="file")
    select: dict[str, str] = {}
    for entry in options["select"]:
        name, equals, aggregate = entry.partition("=")
        if not equals:
            raise Invalid(f"'{entry}' says no name; write it as in mean=avg(temperature)", field="select")
        select[name.strip()] = aggregate.strip()
    window = _yaml(options["window"], "--window")
    return {name: value for name, value in options.items() if value} | {"select": select, "window": window}


def _yaml(text: str, place: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as unreadable:
        raise Invalid(f"{place} cannot be read: {unreadable}", field="file") from unreadable
